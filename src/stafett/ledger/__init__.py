"""The append-only, co-signed record on PostgreSQL. Knows nothing of therapies."""
