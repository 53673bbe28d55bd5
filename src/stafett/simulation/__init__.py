"""The compiled discrete-event kernel. Knows nothing of therapies."""
