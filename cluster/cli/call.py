"""What every command has: its options, the data directory it means, and the owner's passphrase."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cluster.cli.output import Output
from cluster.errors import StateError, UsageError, WrongPassphrase
from cluster.hardening import conceal_process
from cluster.keys import Seed
from cluster.party import unseal_seed
from cluster.sealed import passphrase_bytes
from cluster.storage import DataDir, read_private

__all__ = ["NETWORKS", "Call", "PassphraseSource", "common", "passphrase_options", "person_rescue"]

NETWORKS = ("regtest", "signet", "testnet4", "mainnet")

MAX_PASSPHRASE_BYTES = 4096
TRIES = 3


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where the passphrase comes from: a file, an inherited descriptor, or the person at the terminal."""

    file: Path | None = None
    descriptor: int | None = None

    @property
    def asks(self) -> bool:
        """Whether a person will be asked."""
        return self.file is None and self.descriptor is None

    def read(self, prompt: str = "Passphrase", *, confirm: bool = False) -> bytes:
        """The passphrase; UsageError when there is none to be had."""
        if self.file is not None:
            return _typed(read_private(self.file, max_bytes=MAX_PASSPHRASE_BYTES))
        if self.descriptor is not None:
            return _typed(_read_descriptor(self.descriptor))
        if not sys.stdin.isatty():
            raise UsageError(
                "a passphrase is needed and there is no terminal: use --passphrase-file or --passphrase-fd"
            )
        text = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
        return passphrase_bytes(text)


def _typed(data: bytes) -> bytes:
    """What a person would have typed: the text without the line end that editors add."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError("the passphrase is not UTF-8 text") from None
    return passphrase_bytes(text.removesuffix("\n").removesuffix("\r"))


def _read_descriptor(descriptor: int) -> bytes:
    try:
        data = b""
        while len(data) <= MAX_PASSPHRASE_BYTES:
            piece = os.read(descriptor, MAX_PASSPHRASE_BYTES + 1 - len(data))
            if not piece:
                return data
            data += piece
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise UsageError(f"--passphrase-fd {descriptor}: cannot be read ({reason})") from None
    raise UsageError(f"--passphrase-fd {descriptor}: more than {MAX_PASSPHRASE_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one command."""

    output: Output
    datadir: Path | None
    network: str | None
    passphrase: PassphraseSource = PassphraseSource()

    def place(self) -> DataDir:
        """The data directory that is meant; StateError or UsageError when there is none, or more than one."""
        if self.network is not None:
            place = DataDir.locate(self.datadir, self.network)
            place.open()
            return place
        root = DataDir.locate(self.datadir, NETWORKS[0]).root
        found = [name for name in NETWORKS if (root / name / "config.yaml").exists()]
        if not found:
            raise StateError(
                f"{root}: no data directory here; `assent init` makes one, `--datadir` names another"
            )
        if len(found) > 1:
            raise UsageError(
                f"{root}: there are several networks ({', '.join(found)}); name one with --network"
            )
        place = DataDir(root, found[0])
        place.open()
        return place

    def unlock(self, place: DataDir) -> Seed:
        """The seed, opened with the owner's passphrase; at a terminal a wrong one may be corrected, after a wait."""
        tried = 1
        while True:
            try:
                return unseal_seed(place, self.passphrase.read())
            except WrongPassphrase as wrong:
                if not self.passphrase.asks or tried == TRIES:
                    raise
                self.output.talk(f"{wrong}; wait {tried} s and try again")
                time.sleep(tried)
                tried += 1


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all have, and its `Call` as first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @click.option(
        "--datadir",
        type=click.Path(path_type=Path),
        help="The data directory (default: XDG, ~/.local/share/assent).",
    )
    @click.option("--network", type=click.Choice(NETWORKS), help="Only needed where it is not clear.")
    @click.option("--debug", is_flag=True, help="Show a traceback when the program is at fault.")
    @wraps(command)
    def wrapped(**options: Any) -> None:
        output = click.get_current_context().find_object(Output)
        assert output is not None  # the group was given one
        output.as_json = options.pop("as_json")
        options.pop("debug")  # read from the arguments, so that it holds for whatever fails before
        if "passphrase_file" in options:
            conceal_process()
        source = PassphraseSource(options.pop("passphrase_file", None), options.pop("passphrase_fd", None))
        command(Call(output, options.pop("datadir"), options.pop("network"), source), **options)

    return wrapped


def passphrase_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the two options that say where the passphrase is; without them it is asked for."""
    with_file = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        help="Read the passphrase from this private file (mode 600).",
    )
    with_descriptor = click.option(
        "--passphrase-fd", type=click.IntRange(0), help="Read the passphrase from this open descriptor."
    )
    return with_file(with_descriptor(command))


def person_rescue(command: Callable[..., None]) -> Callable[..., None]:
    """Give a person's command the option that says who gathers a rescue, where no coordinator is left."""
    return click.option(
        "--rescue",
        "gatherer",
        default="",
        help="Who gathers a rescue, and where (person): NAME=tcp://HOST:PORT.",
    )(command)
