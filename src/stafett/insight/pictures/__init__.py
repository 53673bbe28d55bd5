"""Pictures: each is drawn from a plain table as an SVG that prints."""
