"""Reads a tutorial and runs its commands, in order, with real processes; what differs from a person's run is here.

A block ```sh runs as it stands, ```sh (exit N) must end so, ```sh setup is for people. `ID` in a command stands
for what waits at that node, the port is one that is free, and the passphrase's key derivation is at its floor.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

_BLOCK = re.compile(r"^```sh(?P<how>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[0-9]+\. ([a-z]+)")


@dataclass(frozen=True)
class Block:
    """Commands, where they stand, and the exit code that the last of them must have."""

    line: int
    text: str
    code: int


@dataclass
class Ran:
    """What one block printed."""

    block: Block
    code: int
    out: str
    err: str


def blocks(path: Path) -> Iterator[Block]:
    """The blocks of a tutorial that are to be run."""
    text = path.read_text()
    for match in _BLOCK.finditer(text):
        how = match["how"].strip()
        if how != "setup":
            code = int(how.removeprefix("(exit ").removesuffix(")")) if how else 0
            yield Block(text.count("\n", 0, match.start()) + 1, match["body"], code)


def free_port() -> int:
    """A TCP port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Tour:
    """A directory in which a tutorial is being followed."""

    home: Path
    port: int = field(default_factory=free_port)
    words: dict[str, str] = field(default_factory=dict)

    def run(self, block: Block, timeout_s: float = 120) -> Ran:
        """Run one block; AssertionError unless it ends as it must."""
        text = self._prepared(block.text)
        done = subprocess.run(
            ["bash", "-c", f"set -e; umask 077\n{text}"],
            cwd=self.home,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        ran = Ran(block, done.returncode, done.stdout, done.stderr)
        assert done.returncode == block.code, (
            f"line {block.line}: {done.returncode}\n{text}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        self._learn_words(ran)
        self._wait_ready(text)
        return ran

    def assent(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """One command beside the tutorial."""
        return subprocess.run(
            ["assent", *arguments],
            cwd=self.home,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """What the setup block of the tutorial exports."""
        binaries = str(Path(sys.executable).parent)
        return {
            "PATH": os.pathsep.join([binaries, os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.home),
            "CONFIGS": str(REPOSITORY / "configs"),
            "PYTHONPATH": str(REPOSITORY),
            "LANG": "C.UTF-8",
        }

    def pids(self) -> list[int]:
        """The processes that were started in the background."""
        return [int(path.read_text()) for path in self.home.glob("*.pid") if path.read_text().strip()]

    def stop(self) -> None:
        """End what still runs."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _prepared(self, text: str) -> str:
        text = text.replace("--timeout 5s", "--timeout 3s").replace(
            "127.0.0.1:7711", f"127.0.0.1:{self.port}"
        )
        text = re.sub(r"^(assent (?:init|recover) .*)$", r"\1 --kdf-memory 19", text, flags=re.MULTILINE)
        if "--words-file words" in text:
            words = self.home / "words"
            words.touch(mode=0o600)
            words.write_text(self.words["offline"])
        return re.sub(
            r"^assent (approve|refuse) ID (.*--datadir (\S+).*)$",
            r'assent \1 "$(assent pending --json --datadir \3 | python -c "import json, sys;'
            r" print(json.load(sys.stdin)['pending'][0]['id'][:8])"
            r'")" \2',
            text,
            flags=re.MULTILINE,
        )

    def _learn_words(self, ran: Ran) -> None:
        """A person writes the seed words on paper."""
        names = re.findall(r"assent init .*--name (\S+)", ran.block.text)
        shown = _WORD.findall(ran.err) if names else []
        for place, name in enumerate(names):
            self.words[name] = " ".join(shown[24 * place : 24 * (place + 1)])

    def _wait_ready(self, text: str) -> None:
        """A person looks into the log before going on."""
        for log in re.findall(r"> (\S+\.log) 2>&1 &", text):
            end = time.monotonic() + 30
            while "ready " not in (self.home / log).read_text():
                assert time.monotonic() < end, f"{log}: {(self.home / log).read_text()}"
                time.sleep(0.05)


def json_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The one object that a command printed."""
    assert done.stdout.count("\n") == 1, done.stdout
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found
