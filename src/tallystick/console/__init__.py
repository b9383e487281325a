"""The console: what staff see of everything, and what they may do about it."""
