"""The `stafett` command: one verb per room, loaded only when it is called.

Exit status: 0 it worked; 1 the answer is no (a protocol with errors, a ledger that does not
verify); 2 the command was called wrongly or its input cannot be read.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from difflib import get_close_matches
from typing import Any

import click

import stafett

# Verb -> (module:function, the one line shown in --help). Kept here so that `stafett --help` and
# tab completion stay fast: a room is imported only when its verb is called.
VERBS: dict[str, tuple[str, str]] = {
    "dossier": ("stafett.cli.dossier:dossier", "one journey for the file, and its check later"),
    "letters": ("stafett.cli.letters:letters", "what came from partners and was refused"),
    "exchange": ("stafett.cli.exchange:exchange", "read and write EPCIS, FHIR, OCEL, XES, tables"),
    "conformance": (
        "stafett.cli.conformance:conformance",
        "try an endpoint against what a handoff owes",
    ),
    "insight": (
        "stafett.cli.insight:insight",
        "learn from an event log: interfaces, layers, origin",
    ),
    "demo": ("stafett.cli.serve:demo", "serve the demo network with a scripted day"),
    "readings": ("stafett.cli.readings:readings", "bring in logger files; files of the broker"),
    "serve": ("stafett.cli.serve:serve", "serve the control tower"),
    "design": ("stafett.cli.design:design", "simulate delivery systems and compare them"),
    "capacity": ("stafett.cli.capacity:capacity", "slot chains, and replanning them"),
    "capital": (
        "stafett.cli.capital:capital",
        "which investments help most, and who would fund them",
    ),
    "incentives": (
        "stafett.cli.incentives:incentives",
        "what contracts make actors do, and who is owed what",
    ),
    "journey": ("stafett.cli.journey:journey", "prove what the record says of one journey"),
    "ledger": ("stafett.cli.ledger:ledger", "export, verify, back up and restore the record"),
    "people": ("stafett.cli.people:people", "an organisation's people: invite, roles, competence"),
    "protocol": ("stafett.cli.protocol:protocol", "check, draw and compare delivery chains"),
    "rebuild": ("stafett.cli.rebuild:rebuild", "make the board's rows anew from the record"),
    "registry": ("stafett.cli.registry:registry", "trials, adoption, sites: import and export"),
    "vault": ("stafett.cli.vault:vault", "replace the master key of patients' identifiers"),
    "witness": ("stafett.cli.witness:witness", "watch a shared record: witness and mirror"),
}


def _unfit(error: Exception) -> bool:
    """Tell whether a tower cannot stand here, and its message says so (if the ledger is loaded)."""
    module = sys.modules.get("stafett.ledger.unfit")
    return module is not None and isinstance(error, module.Unfit)


def _no_database(error: Exception) -> bool:
    """Tell whether a database did not answer, or its address is none (psycopg, if it is loaded)."""
    psycopg = sys.modules.get("psycopg")
    if psycopg is None:
        return False
    wrong_address = type(error) is psycopg.ProgrammingError
    return wrong_address or isinstance(error, psycopg.OperationalError)


class Rooms(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every verb."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the room that owns `cmd_name`."""
        if cmd_name not in VERBS:
            return None
        module, function = VERBS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), function)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the verb that was likely meant where there is none of that name."""
        near = get_close_matches(args[0], VERBS, 3)
        if args[0] not in VERBS and near and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. (Did you mean {' or '.join(map(repr, near))}?)")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; what cannot be read, written or reached is a line, and exit status 2."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE or error.filename is None:
                raise
            click.echo(f"stafett: {error.filename}: {error.strerror}", err=True)
            raise click.exceptions.Exit(2) from None
        except Exception as error:
            if _unfit(error):
                said = str(error)
            elif _no_database(error):
                first = (str(error).strip().splitlines() or ["it does not answer"])[0]
                named = "STAFETT_DATABASE_URL" in os.environ
                where = " (its address is in STAFETT_DATABASE_URL)" if named else ""
                said = f"the database cannot be reached{where}: {first}"
            else:
                raise
            click.echo(f"stafett: {said}", err=True)
            raise click.exceptions.Exit(2) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in sorted(VERBS)])


@click.command(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(stafett.__version__, prog_name="stafett")
def main() -> None:
    """Prove, run, watch, learn from and design the delivery of advanced therapies."""
