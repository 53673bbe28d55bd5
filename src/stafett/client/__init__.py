"""The Python client for integrators."""

from stafett.client.client import Client, Refused
from stafett.client.exchange import Exchange

__all__ = ["Client", "Exchange", "Refused"]
