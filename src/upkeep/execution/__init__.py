"""How a run advances: claim, chunks, checkpoints, and every way to stop."""
