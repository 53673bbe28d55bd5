"""Pictures of the design room, each from a plain table. What they say is handed in as words."""
