"""To the queue and back: messages, the sweep, and the workers."""
