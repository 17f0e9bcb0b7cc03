"""What is stored: runs, their leases and their events."""
