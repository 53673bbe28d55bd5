"""The Python client for integrators."""
