"""The running exchange: the store, and the loops that belong to it.

    async with Exchange(url, ledger) as exchange: ...

Waiting captures are worked off, webhooks are served, and journeys are joined with captured events.
Several processes may run it on one database; each piece of work is taken by one of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from types import TracebackType
from typing import Final

from stafett.exchange.captures import Captures
from stafett.exchange.cloudevents import CloudEvent
from stafett.exchange.deliveries import Deliveries, LedgerFeed, ledger_event
from stafett.exchange.epcis_listing import Listing
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.gs1urn import settled
from stafett.exchange.joins import Joins
from stafett.exchange.subscriptions import Subscriptions
from stafett.ledger import Ledger
from stafett.ledger.tending import Tended, end_all

PREFIXES: Final = "STAFETT_GS1_PREFIXES"  # company prefixes that no captured URN need tell


class Exchange:
    """One exchange for one process and event loop; the database must be migrated."""

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        *,
        source: str = "urn:stafett:ledger",
        alerts: LedgerFeed | None = None,
    ) -> None:
        companies = settled(os.environ.get(PREFIXES, ""))
        self.store = EpcisStore(url, connections=12, companies=companies)
        self.captures = Captures(self.store)  # whoever keeps letters sets its `keep`
        self.subscriptions = Subscriptions(self.store, refused_name)
        self.listing = Listing(self.store)
        self.joins = Joins(self.store)
        self.deliveries = Deliveries(
            self.subscriptions, ledger=self._feed, alerts=alerts, refuse_host=refused_host
        )
        self._ledger = ledger
        self._source = source
        self.tended = (
            Tended("captures", lambda: self.captures.work(asyncio.Event())),
            Tended("webhooks", lambda: self.deliveries.run(asyncio.Event())),
            Tended("joins of journeys and events", lambda: self.joins.follow(self._ledger)),
        )

    async def __aenter__(self) -> Exchange:
        await self.store.__aenter__()
        for one in self.tended:
            one.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await end_all(*self.tended)
        await self.store.__aexit__(kind, error, trace)

    async def _feed(self, owner: str, after: int, limit: int) -> list[tuple[int, CloudEvent]]:
        events = await self._ledger.read(after, limit, organisation=owner)
        return [(e.position, ledger_event(e, self._source)) for e in events]


async def refused_host(host: str) -> str | None:
    """Say why a webhook must not go to a host: this machine and link-local addresses.

    Those are where an outgoing request could be turned against the server itself or its cloud's
    metadata service. Private networks are allowed: hospitals live in them.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return "its name cannot be resolved"
    for *_, address in found:
        why = _refused(ipaddress.ip_address(str(address[0]).split("%")[0]))
        if why is not None:
            return why
    return None


def refused_name(host: str) -> str | None:
    """Say why a webhook must not go to a host, as far as its name alone tells."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return f"{host} is this machine"
    try:
        return _refused(ipaddress.ip_address(host.split("%")[0]))
    except ValueError:
        return None


def _refused(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        return f"{ip} is this machine or link-local"
    return None
