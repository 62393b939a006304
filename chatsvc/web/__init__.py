"""What the pages are made of: templates and static files."""
