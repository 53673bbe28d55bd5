"""The pure core: commands in, events or a reasoned refusal out. No clock, no I/O, no database."""
