"""Rules and values with no I/O and no framework: every other package may import this one."""
