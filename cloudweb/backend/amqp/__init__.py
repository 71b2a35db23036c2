"""What clusters say on the message bus: its messages, its queues, and who listens to them."""
