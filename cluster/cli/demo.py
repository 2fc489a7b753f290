"""`assent demo`: see the main job done on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from cluster.cli.call import Call, common
from cluster.errors import UsageError

__all__ = ["demo"]


@click.command()
@common
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), help="Where the files go (default: a new one)."
)
def demo(call: Call, *, directory: Path | None) -> None:
    """Three nodes, a coordinator and a private chain: make a key, sign a payment, mine it, refuse a theft."""
    from cluster.demo import Demo
    from cluster.runtime import check_backend

    check_backend()
    if directory is not None and directory.exists():
        raise UsageError(f"--dir {directory}: this exists already; name a directory that does not")
    root = directory.absolute() if directory else Path(tempfile.mkdtemp(prefix="assent-demo-")) / "cluster"
    facts = Demo(root, call.output.talk).run()
    call.output.give(facts, "")
