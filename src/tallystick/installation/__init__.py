"""Whose database this is, and from when on anybody is told of anything."""
