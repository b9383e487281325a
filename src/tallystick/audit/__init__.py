"""Who did what, through the API and the command line: a log that only grows."""
