"""The mirror once more, from the stored events alone."""
