"""The `stafett` command."""

from stafett.cli.main import main

__all__ = ["main"]
