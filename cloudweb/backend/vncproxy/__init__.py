"""A proxy that lends a server's screen for a moment: password in front, the node's VNC behind."""
