"""`stafett serve` and `stafett demo`: run the control tower."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import sys
from pathlib import Path

import click
import uvicorn
import uvloop
from click.core import ParameterSource

from stafett.client.day import Day
from stafett.client.loggers import Simulated
from stafett.exchange.mllp import Listener
from stafett.ledger.database import database
from stafett.ledger.ending import ended
from stafett.ledger.keeping import archiving, check_archive
from stafett.ledger.schema import migrate
from stafett.service import belongings, demo_replan, demo_results
from stafett.service import demo as demo_network
from stafett.service.accounts import Person
from stafett.service.tower import Tower
from stafett.web.app import application
from stafett.web.wire import Protocol

log = logging.getLogger(__name__)
FOLDER = Path(".stafett")
DAY_PROTOCOL = "autologous-car-t"


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Where the embedded database and the vault's key live.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=8321, show_default=True,
              help="0 takes any free port.")  # fmt: skip
@click.option("--archive", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Keep the embedded database's log here, for recovery to a moment.")  # fmt: skip
@click.option(
    "--trust-clock",
    is_flag=True,
    help="Start although the record's newest entry lies after this machine's time.",
)
def serve(folder: Path, host: str, port: int, archive: Path | None, trust_clock: bool) -> None:
    """Serve the control tower: API, stations, board.

    Exit status: 2 it cannot be served here (a port that is taken, a key that is missing, a clock
    that is behind); it says why, and nothing was changed.
    """
    listening = _listen(host, port)
    _run(folder, listening, host, demo=False, day=False, pace=0, journeys=0, archive=archive,
         trust_clock=trust_clock)  # fmt: skip


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER / "demo",
    show_default=True,
    help="Where the demo keeps its database.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=8321, show_default=True,
              help="0 takes any free port.")  # fmt: skip
@click.option(
    "--day/--no-day",
    default=True,
    show_default=True,
    help="Let scripted people carry journeys in the background.",
)
@click.option(
    "--pace", default=2.0, show_default=True, help="Seconds between two acts of a journey."
)
@click.option("--journeys", default=12, show_default=True, help="Scripted journeys at a time.")
def demo(folder: Path, host: str, port: int, day: bool, pace: float, journeys: int) -> None:
    """Serve the control tower with the demo network and a scripted day.

    A port that was not asked for and is taken gives way to the next free one.
    """
    given = click.get_current_context().get_parameter_source("port")
    listening = _listen(host, port, instead=given is ParameterSource.DEFAULT)
    _run(folder, listening, host, demo=True, day=day, pace=pace, journeys=journeys)


def _run(
    folder: Path,
    listening: socket.socket,
    host: str,
    *,
    demo: bool,
    day: bool,
    pace: float,
    journeys: int,
    archive: Path | None = None,
    trust_clock: bool = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Browsers allow passkeys at `localhost`, not at a number.
    name = "localhost" if host in ("127.0.0.1", "::1") else host
    address = f"http://{name}:{listening.getsockname()[1]}"
    try:
        click.echo("Starting the database ...", err=True)
        with (
            database(folder / "postgres", archiving(archive) if archive else None) as server,
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            if archive is not None:
                check_archive(server, archive)
            belongings.examine(server.url, folder, trust_clock=trust_clock)
            click.echo("Preparing the record ...", err=True)
            migrate(server.url)  # before anything is made in the folder
            runner.run(_serve(server.url, folder, listening, address, demo, day, pace, journeys))
    finally:
        listening.close()
    click.echo("Stopped; everything acknowledged is in the record.", err=True)


class CannotListen(click.ClickException):
    """The address cannot be had: exit status 2."""

    exit_code = 2


def _listen(host: str, port: int, *, instead: bool = False) -> socket.socket:
    """Take the port; with `instead` the next free one where it is taken, and say so."""
    for candidate in (port, *range(port + 1, port + 20), 0) if instead else (port,):
        # Named as TCP: asyncio sends small answers at once (TCP_NODELAY) only then.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE and instead:
                continue
            raise CannotListen(_cannot_listen(host, candidate, error)) from None
        listening.listen(1024)
        if candidate != port:
            click.echo(f"Port {port} is taken: another program listens there.", err=True)
        return listening
    raise CannotListen(f"no free port on {host}")


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken: another program listens there (which: "
            f"`ss -ltnp sport = :{port}`). Stop it, or choose another with --port (0 takes any)"
        )
    if error.errno == errno.EACCES:
        return (
            f"port {port} is below 1024 and this user may not listen there: choose a higher one "
            "with --port, and let a proxy that speaks TLS stand in front of it"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: see `ip address`, or use --host 0.0.0.0"
    return f"cannot listen on {host}: {error.strerror}"


async def _serve(
    url: str,
    folder: Path,
    listening: socket.socket,
    address: str,
    demo: bool,
    day: bool,
    pace: float,
    journeys: int,
) -> None:
    try:
        tower = Tower(url, folder)
    except ValueError as error:  # a setting in the environment: it says which, and what fits
        raise click.ClickException(str(error)) from None
    async with tower:
        people = await demo_network.furnish(tower) if demo else []
        if demo and tower.hl7 is None:
            tower.hl7 = await _listen_hl7(tower)
        shown = [p for p in people if p.login.endswith("-1") or not p.roles]
        password = demo_network.PASSWORD if demo else ""
        app = application(tower, shown, password, opened=True)
        config = uvicorn.Config(
            app,
            http=Protocol,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=2,
            # Longer than clients and proxies keep an idle connection (5 to 60 s): else a request
            # now and then meets a connection that is just being closed.
            timeout_keep_alive=75,
            access_log=False,
            ws_max_size=65_536,  # subscribers of EPCIS have nothing to say
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        playing: asyncio.Task[None] | None = None
        showing: asyncio.Task[None] | None = None

        def stop() -> None:
            server.should_exit = True
            if playing is not None:  # its people leave before the doors close
                playing.cancel()

        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop)
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.02)
        steady()
        first = "" if await tower.accounts.people() else await tower.signin.invite(None)
        _announce(address, shown, password, first, tower.hl7)
        if demo:
            showing = asyncio.create_task(_replans(tower))
        if demo and day:
            tower.conditions.profile = demo_network.PROFILE
            playing = asyncio.create_task(_day(tower, address, pace, journeys))
        await serving
        await ended(playing, showing)


def steady() -> None:
    """Look for cyclic garbage seldom, and never again in what was loaded until now.

    Nearly everything here is freed by reference counts; each look walks journeys and protocols that
    live for months. Measured: a fifth of the CPU of an append.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _replans(tower: Tower) -> None:
    """Let the demo show what replanning is; it does without if that cannot be worked out."""
    parties = await tower.networks.parties(demo_network.NETWORK)
    try:
        await demo_replan.show(tower.bookings, parties["treating_clinic"])
    except Exception:
        log.exception("the demo shows no replan")


async def _listen_hl7(tower: Tower) -> Listener:
    """Let the demo take laboratory results at the usual port, or at a free one."""
    for port in (demo_results.PORT, 0):
        listener = Listener("127.0.0.1", port, tower.results.receive)
        with contextlib.suppress(OSError):
            await listener.start()
            return listener
    raise click.ClickException("no free port for HL7")


async def _day(tower: Tower, address: str, pace: float, journeys: int) -> None:
    pinned = tower.library.current()[DAY_PROTOCOL]
    parties = await tower.networks.parties(demo_network.NETWORK)
    products: tuple[str | None, ...] = pinned.document.products or (None,)
    nets = {product: tower.library.net(pinned.sha256, product) for product in products}
    people: dict[str, list[str]] = {}
    for person in await tower.accounts.people():
        for role in person.roles:
            people.setdefault(role, []).append(person.login)
    day = Day(
        address,
        nets,
        demo_network.NETWORK,
        {role: parties[role] for role in next(iter(nets.values())).protocol.roles},
        people,
        demo_network.PASSWORD,
        pace=pace,
        at_once=journeys,
        spread=True,
    )
    loggers = Simulated(address, demo_network.LOGGERS, demo_network.PASSWORD)
    await asyncio.gather(day.run(), loggers.run())


def _announce(
    address: str,
    people: list[Person],
    password: str,
    first: str = "",
    hl7: Listener | None = None,
) -> None:
    """Say where it is; `first` is the token of the first administrator's one-time link."""
    click.echo(f"\nStafett is at {address}\n")
    if first:
        click.echo("Nobody has an account yet. Open this link once, within 24 hours, to become the")
        click.echo(f"first administrator:\n\n  {address}/welcome/{first}\n")
    if people:
        click.echo(f"Demo sign-ins (password for each: {password}):")
        for person in people:
            click.echo(f"  {person.login:24} {person.name:22} {person.organisation}")
        click.echo("\nGiver and receiver need two browsers: sign in as two people.")
    if hl7 is not None:
        host, port = hl7.address
        click.echo(f"Laboratory results (HL7 v2, MLLP) are taken at {host}:{port}")
    click.echo("Stop with Ctrl-C.")
    sys.stdout.flush()
