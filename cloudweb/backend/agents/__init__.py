"""Programs that run beside Ganeti on a master node: they need pika and nothing of the web."""
