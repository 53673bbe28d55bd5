"""Every code that the proof can give, group by group."""
