"""What developers write: tasks, their parameters, and what they walk."""
