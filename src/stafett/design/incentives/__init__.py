"""What each actor does under a contract, what is lost by it, and who is owed what."""
