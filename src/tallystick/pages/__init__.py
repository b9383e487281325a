"""Pages that customers see; server-rendered on the page kit."""
