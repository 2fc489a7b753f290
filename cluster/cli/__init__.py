"""The command `assent`: what people type. It parses, asks, prints, and leaves every decision to the rooms below."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    from cluster.cli.commands import run

    sys.exit(run(sys.argv[1:]))
