"""The Python client for integrators."""

from stafett.client.client import Client, Refused

__all__ = ["Client", "Refused"]
