"""A whole cluster on this machine, made by the very commands a person types: for the demo, the bench and the tests.

Every party has a directory of its own, as if on its own machine, and every node and the coordinator is a process
of its own. The one thing that no real set-up has is a passphrase in a file beside the data.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.control import control_call
from cluster.errors import ClusterError, StateError, error_of
from cluster.storage import DataDir

__all__ = ["COORDINATOR", "CLIENT", "Done", "LocalCluster"]

COORDINATOR = "coordinator"
CLIENT = "laptop"

NETWORK = "regtest"
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Done:
    """How one command ended: its exit code, its JSON object, and what it said to the person."""

    code: int
    facts: Mapping[str, object]
    talk: str

    def need(self) -> Mapping[str, object]:
        """The facts; raises the error that the command reported when it failed."""
        if self.code:
            error = self.facts.get("error")
            kind = error.get("kind", "") if isinstance(error, dict) else ""
            text = error.get("text", "") if isinstance(error, dict) else self.talk.strip()[-300:]
            raise error_of(str(kind), str(text) or f"the command ended with {self.code}")
        return self.facts


@dataclass(slots=True)
class LocalCluster:
    """Parties below one directory; use it as a context manager, or call `close`.

    Args:
        root: where everything goes; one directory a party.
        profiles: the policy (YAML text) of each node, by its name.
        kdf_memory_mib: what the key derivation takes; the default is the real one.
        people: the roles of each person, by name.
        spares: the names of further coordinators.
        endpoint: where the first coordinator is reached; a free port of the loopback address if empty.
        bind: where it listens, if not there.
    """

    root: Path
    profiles: Mapping[str, str]
    kdf_memory_mib: int | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    people: Mapping[str, Sequence[str]] = field(default_factory=dict)
    spares: Sequence[str] = ()
    endpoint: str = ""
    bind: str = ""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes, in the order of the roster."""
        return tuple(self.profiles)

    def datadir(self, name: str) -> Path:
        """A party's own directory."""
        return self.root / name

    # Commands.

    def program(self, name: str) -> list[str]:
        """What starts the program of a party; a test may put another in its place."""
        del name
        return _program()

    def words(self, name: str, *words: str, passphrase: bool = False) -> list[str]:
        """What a person would type, to the letter."""
        typed = [*self.program(name), *words, "--datadir", str(self.datadir(name))]
        return [*typed, "--passphrase-file", str(self._passphrase_file(name))] if passphrase else typed

    def run(self, name: str, *words: str, passphrase: bool = False, timeout_s: float = 120) -> Done:
        """Run one command of one party to its end."""
        typed = [*self.words(name, *words, passphrase=passphrase), "--json"]
        done = subprocess.run(
            typed, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False
        )
        return _done(done.returncode, done.stdout, done.stderr)

    def begin(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Begin a command that waits for others; `finish` takes its end."""
        typed = [*self.words(name, *words, passphrase=True), "--json"]
        return subprocess.Popen(
            typed, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    @staticmethod
    def finish(process: subprocess.Popen[bytes], timeout_s: float = 120) -> Done:
        """The end of a command that was begun."""
        out, err = process.communicate(timeout=timeout_s)
        return _done(process.returncode, out, err)

    def ask(self, name: str, request: Mapping[str, object]) -> Mapping[str, object]:
        """Ask a running party through its control socket."""
        return control_call(DataDir(self.datadir(name), NETWORK).control_socket, request, 10)

    def _passphrase_file(self, name: str) -> Path:
        return self.root / f"{name}.passphrase"

    # Making the cluster.

    def create(self) -> None:
        """Seeds, directories and public parts of all parties; the seed words are shown to nobody."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        orders = {name: ["--role", "node", "--policy", str(self._profile(name))] for name in self.nodes}
        for name in (COORDINATOR, *self.spares):
            orders[name] = ["--role", "coordinator", "--listen", f"tcp://127.0.0.1:{_free_port()}"]
        if self.endpoint:
            bind = ["--bind", self.bind] if self.bind else []
            orders[COORDINATOR] = ["--role", "coordinator", "--listen", self.endpoint, *bind]
        orders[CLIENT] = ["--role", "client"]
        for name, roles in self.people.items():
            orders[name] = ["--role", "person", *(word for role in roles for word in ("--person-role", role))]
        memory = [] if self.kdf_memory_mib is None else ["--kdf-memory", str(self.kdf_memory_mib)]

        def init(name: str) -> None:
            _write_private(self._passphrase_file(name), f"the passphrase of {name}\n")
            words = ["init", "--name", name, "--network", NETWORK, *orders[name], *memory]
            self.run(name, *words, passphrase=True).need()

        self._each(orders, init)

    def accept_roster(self) -> Sequence[str]:
        """One roster of all parties, accepted by each; its twelve words."""
        parties = (*self.nodes, COORDINATOR, *self.spares, CLIENT, *self.people)
        file = self.root / "roster.json"
        parts = [str(self.datadir(name) / NETWORK / "public.json") for name in parties]
        typed = [*_program(), "roster", "build", "--out", str(file), *parts, "--json"]
        done = subprocess.run(typed, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        built = _done(done.returncode, done.stdout, done.stderr).need()
        self._each(parties, lambda name: self.run(name, "roster", "accept", str(file), "--yes").need())
        words = built["words"]
        assert isinstance(words, list)
        return [str(word) for word in words]

    def make_wallet(
        self, name: str, threshold: int, *more: str, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        """A wallet with every owner's yes and every owner's copy; `more` is what else `wallet create` is told."""
        process = self.begin(CLIENT, "wallet", "create", "--name", name, "--threshold", str(threshold), *more)
        try:
            for kind in ("wallet", "copy"):
                waiting = set(self.nodes)
                while waiting:
                    if process.poll() not in {None, 0}:
                        self.finish(process).need()
                    for node in sorted(waiting):
                        found = [entry for entry in self.pending(node) if entry["kind"] == kind]
                        if found:
                            if kind == "wallet":
                                self.approve(node, str(found[0]["id"]))
                            else:
                                self._confirm_copy(node, name)
                            tell(f"{node}: {'agreed' if kind == 'wallet' else 'copy made and confirmed'}")
                            waiting.discard(node)
                    time.sleep(0.05)
            self.finish(process).need()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def pending(self, name: str) -> list[Mapping[str, object]]:
        """What waits for a node's owner."""
        found = self.ask(name, {"do": "pending"})["pending"]
        assert isinstance(found, list)
        return found

    def approve(self, name: str, subject: str) -> None:
        """A node's owner says yes."""
        self.run(name, "approve", subject, passphrase=True).need()

    def _confirm_copy(self, name: str, wallet: str) -> None:
        file = self.root / f"{name}.{wallet}.json"
        self.run(name, "backup", "show", "--wallet", wallet, "--out", str(file)).need()
        self.run(name, "backup", "check", str(file)).need()

    # Processes.

    def start(self, *names: str, more: Sequence[str] = ()) -> None:
        """Start nodes or the coordinator, and wait until each is ready; `more` is what else each is told."""
        for name in names:
            role = "coordinator" if name in {COORDINATOR, *self.spares} else "node"
            log = self.root / f"{name}.log"
            with log.open("ab") as sink:
                typed = [*self.words(name, role, "run", *more, passphrase=True), "--json"]
                self.running[name] = subprocess.Popen(
                    typed, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sink
                )
        for name in names:
            self._await_ready(name)

    def _await_ready(self, name: str) -> None:
        process = self.running[name]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line or not json.loads(line).get("ready"):
            log = (self.root / f"{name}.log").read_text(encoding="utf-8", errors="replace")
            raise StateError(f"{name} did not start: {log.strip().splitlines()[-1:] or 'no word'}")

    def stop(self, *names: str, kill: bool = False) -> None:
        """End processes: politely, or as a power cut would."""
        for name in names:
            self.running[name].send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        for name in names:
            process = self.running.pop(name)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def close(self) -> None:
        """End everything that runs; the files stay."""
        self.stop(*self.running)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Small things.

    def _profile(self, name: str) -> Path:
        file = self.root / f"{name}.policy.yaml"
        file.write_text(self.profiles[name], encoding="utf-8")
        return file

    @staticmethod
    def _each(names: Sequence[str] | Mapping[str, object], act: Callable[[str], object]) -> None:
        """Do it for each, two at a time: a key derivation takes 256 MiB."""
        with ThreadPoolExecutor(2) as pool:
            for result in [pool.submit(act, name) for name in names]:
                result.result()


def _program() -> list[str]:
    script = Path(sys.executable).with_name("assent")
    return (
        [str(script)] if script.exists() else [sys.executable, "-c", "from cluster.cli import main; main()"]
    )


def _done(code: int, out: bytes, err: bytes) -> Done:
    try:
        facts = json.loads(out) if out.strip() else {}
    except ValueError:
        raise ClusterError("a command printed something that is no JSON") from None
    return Done(code, facts, err.decode(errors="replace"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
