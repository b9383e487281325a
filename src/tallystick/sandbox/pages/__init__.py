"""Pages that the sandbox serves to browsers."""
