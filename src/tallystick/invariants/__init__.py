"""What must always hold, as checks by name."""
