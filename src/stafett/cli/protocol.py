"""`stafett protocol`: the compiler for delivery chains."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

import click

from stafett.cli.completing import named
from stafett.cli.group import Sentences
from stafett.protocol import builtin, report, schema
from stafett.protocol import diff as differences
from stafett.protocol import draw as drawing
from stafett.protocol.check import prove
from stafett.protocol.finding import Finding
from stafett.protocol.model import Protocol
from stafett.protocol.read import ReadError
from stafett.protocol.texts import languages


def _shown() -> tuple[str, ...]:
    return (*builtin.names(), builtin.ONBOARDING)


@click.group(cls=Sentences)
def protocol() -> None:
    """Check, draw and compare delivery chains."""


@protocol.command()
@click.argument("file", shell_complete=named(builtin.names))
@click.option("--product", help="Bind to this product only (default: to each of them).")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(file: str, product: str | None, as_json: bool) -> None:
    """Prove that FILE (or a built-in protocol of that name) has no holes.

    Exit status: 0 no errors; 1 errors were found; 2 it cannot be read as a protocol.
    """
    begun = perf_counter()
    document = None
    try:
        document = builtin.load(file)
        proof = prove(document, product)
    except ReadError as error:
        errors = (document.problems(product) if document is not None else []) or [error]
        findings = [Finding("unreadable", e.place, _said(e)) for e in errors]
        if as_json:
            _print_json({"ok": False, "findings": [finding.as_dict() for finding in findings]})
        else:
            click.echo("\n".join(line for finding in findings for line in report.lines(finding)))
        sys.exit(2)
    seconds = perf_counter() - begun
    if as_json:
        _print_json(
            {
                "ok": not proof.errors,
                "findings": [finding.as_dict() for finding in proof.findings],
                "held": list(proof.held),
                "products": list(proof.products),
                "markings": proof.markings,
                "seconds": round(seconds, 3),
            }
        )
    else:
        for finding in (*proof.warnings, *proof.errors):
            click.echo("\n".join(report.lines(finding)))
        click.echo("\n".join(report.summary(proof, seconds)))
    sys.exit(1 if proof.errors else 0)


def _said(error: ReadError) -> str:
    return error.what + (f" ({error.todo})" if error.todo else "")


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@protocol.command()
@click.argument("name", shell_complete=named(_shown, files=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: standard output.")
def show(name: str, output: Path | None) -> None:
    """Print the file of the built-in protocol NAME: to read it, or to copy and change it."""
    try:
        text = builtin.source(name).decode()
    except ReadError as error:
        click.echo(f"{error.place.file}: error: {_said(error)}", err=True)
        sys.exit(2)
    _written(text, output)


@protocol.command("schema")
def schema_() -> None:
    """Print the JSON Schema of the language, for editors."""
    click.echo(schema.text(), nl=False)


@protocol.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(as_json: bool) -> None:
    """List the built-in protocols."""
    found = [(name, builtin.builtin(name).value) for name in builtin.names()]
    rows = [(n, str(v.get("version", "")), str(v.get("family", ""))) for n, v in found]
    if as_json:
        _print_json([dict(zip(("name", "version", "family"), row, strict=True)) for row in rows])
        return
    for name, version, family in rows:
        click.echo(f"{name}  {version}  {family}")


@protocol.command()
@click.argument("file", shell_complete=named(builtin.names))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: standard output.")
@click.option("--language", default="en", show_default=True, help="Language of the texts.")
@click.option("--product", help="Bind to this product (default: the first).")
def draw(file: str, output: Path | None, language: str, product: str | None) -> None:
    """Draw FILE (or a built-in protocol of that name) as SVG, readable at A3."""
    bound = _bound(file, product)
    _spoken(bound, language)
    _written(drawing.draw(bound, language), output)


@protocol.command()
@click.argument("old", shell_complete=named(builtin.names))
@click.argument("new", shell_complete=named(builtin.names))
@click.option("--language", default="en", show_default=True, help="Language of the texts.")
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
def diff(old: str, new: str, language: str, as_json: bool) -> None:
    """Say what changed from OLD to NEW, and for whom.

    Exit status: 0 nothing changed for anybody; 1 something did; 2 a file cannot be read.
    """
    before, after = _bound(old, None), _bound(new, None)
    _spoken(after, language)
    changes = differences.diff(before, after, language)
    if as_json:
        _print_json({"changes": [change._asdict() for change in changes]})
    else:
        click.echo("\n".join(differences.lines(before, after, changes, language)))
    named = (before.protocol, before.version)
    if changes and named == (after.protocol, after.version):
        click.echo(f"Both are version {after.version}: give the changed one another.", err=True)
    sys.exit(1 if changes else 0)


def _written(text: str, output: Path | None) -> None:
    """Write to a file and say how much, or to standard output."""
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{output}: {max(1, len(text) // 1024)} kB", err=True)


def _spoken(bound: Protocol, language: str) -> None:
    """Say that a protocol has no text in a language: its English stands in."""
    known = languages(bound)
    if language not in {"en", *known}:
        there = ", ".join(sorted(known)) or "in one language only"
        click.echo(f"no text in {language!r} (there is: {there}); English stands in", err=True)


def _bound(file: str, product: str | None) -> Protocol:
    try:
        return builtin.load(file).bind(product)
    except ReadError as error:
        click.echo(f"{error.place}: error: {_said(error)}", err=True)
        sys.exit(2)
