"""What `make` runs: standard library only, so that a fresh machine can."""
