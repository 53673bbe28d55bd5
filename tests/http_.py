"""Requests without a session, all over one TLS context: making one takes 50 ms of work."""

from __future__ import annotations

import ssl
from functools import partial

import httpx

TLS = ssl.create_default_context()
request = partial(httpx.request, verify=TLS)
get = partial(httpx.get, verify=TLS)
post = partial(httpx.post, verify=TLS)
put = partial(httpx.put, verify=TLS)
delete = partial(httpx.delete, verify=TLS)
