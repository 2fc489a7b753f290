"""The floor of the cluster table: the same letters over the same kind of sockets, the same commits, the same crypto.

Nothing is signed, read or judged here. A relay process stands for the coordinator (one ROUTER, CURVE), one process
per node and one client dial in (DEALER, CURVE), and bytes of the sizes of real letters make the rounds of one
signature: request, propose, verdict and nonces, order, partial signatures, final. The commits of the path stand one
after the other, as they must: the coordinator's request, a node's judgement, its signing, the coordinator's end.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import zmq

from cluster.transport.profile import DEALER_OPTIONS, ROUTER_OPTIONS

ROOT = Path(__file__).resolve().parent.parent
COMMITS_IN_SERIES = 4
HEADER = 300  # ids, keys and times of a letter, about


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long each letter is, in bytes, for one spend."""

    request: int
    propose: int
    verdict: int
    nonces: int
    order: int
    psigs: int
    final: int

    @classmethod
    def of(cls, *, inputs: int, t: int) -> Sizes:
        """The sizes for a PSBT of so many inputs and a quorum of t."""
        request = HEADER + 150 + 170 * inputs
        verdict, nonces = HEADER + 150, HEADER + 70 * inputs
        order = HEADER + t * (verdict + nonces + 140)
        final = HEADER + 200 + 180 * inputs
        return cls(request, request + HEADER, verdict, nonces, order, HEADER + 34 * inputs, final)


def bind(context: zmq.Context[zmq.Socket[bytes]], secret: bytes) -> zmq.Socket[bytes]:
    """The listening end, with the coordinator's options but for its door-keeper (asked once a connection)."""
    socket = context.socket(zmq.ROUTER)
    socket.curve_secretkey = secret
    keeper = (zmq.SocketOption.ZAP_DOMAIN, zmq.SocketOption.ZAP_ENFORCE_DOMAIN)
    for option, value in ROUTER_OPTIONS.items():
        if option not in keeper:
            socket.setsockopt(option, value)
    return socket


def dial(
    context: zmq.Context[zmq.Socket[bytes]], name: str, endpoint: str, server: bytes
) -> zmq.Socket[bytes]:
    """A dialling end, with a node's options."""
    socket = context.socket(zmq.DEALER)
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.curve_serverkey = server
    for option, value in DEALER_OPTIONS.items():
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.ROUTING_ID, name.encode())
    socket.setsockopt(zmq.RCVTIMEO, 20_000)
    socket.connect(endpoint)
    return socket


def relay(secret: bytes, sizes: Sizes, t: int, n: int) -> None:
    """The coordinator's place: carries the rounds of one signature after the other."""
    socket = bind(zmq.Context(), secret)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    nodes = [f"node-{i}".encode() for i in range(n)]
    tail = bytes(64)
    seen: set[bytes] = set()
    while len(seen) < n:
        seen.add(socket.recv_multipart()[0])
    print("all nodes are here", flush=True)
    while True:
        client, _, _ = socket.recv_multipart()
        for node in nodes:
            socket.send_multipart([node, bytes(sizes.propose), tail])
        answers = dict.fromkeys(nodes, 0)
        ready: list[bytes] = []
        while len(ready) < t:
            sender, _, _ = socket.recv_multipart()
            answers[sender] += 1
            if answers[sender] == 2:
                ready.append(sender)
        for node in ready:
            socket.send_multipart([node, bytes(sizes.order), tail])
        late = 2 * n - sum(answers.values())
        for _ in range(t + late):
            socket.recv_multipart()
        socket.send_multipart([client, bytes(sizes.final), tail])


def answer(name: str, endpoint: str, server: bytes, sizes: Sizes) -> None:
    """A node's place: two letters for a proposal, one for an order."""
    socket = dial(zmq.Context(), name, endpoint, server)
    socket.setsockopt(zmq.RCVTIMEO, -1)
    tail = bytes(64)
    socket.send_multipart([b"", tail])
    while True:
        letter, _ = socket.recv_multipart()
        if len(letter) == sizes.propose:
            socket.send_multipart([bytes(sizes.verdict), tail])
            socket.send_multipart([bytes(sizes.nonces), tail])
        else:
            socket.send_multipart([bytes(sizes.psigs), tail])


@contextmanager
def processes(sizes: Sizes, *, t: int, n: int) -> Iterator[zmq.Socket[bytes]]:
    """The relay and the nodes as processes, and the client's socket; all are ended afterwards."""
    public, secret = zmq.curve_keypair()
    what = json.dumps({"sizes": asdict(sizes), "t": t, "n": n})
    command = [sys.executable, "-m", "bench.floor"]
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    running = [
        subprocess.Popen(
            [*command, "relay", what, secret.decode()], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
    ]
    try:
        assert running[0].stdout is not None
        endpoint = f"tcp://127.0.0.1:{int(running[0].stdout.readline())}"
        for i in range(n):
            running.append(
                subprocess.Popen(
                    [*command, f"node-{i}", what, endpoint, public.decode()], cwd=ROOT, text=True
                )
            )
        running[0].stdout.readline()
        yield dial(context, "client", endpoint, public)
    finally:
        for process in running:
            process.kill()
            process.wait()
        context.destroy(linger=0)


def letters(*, inputs: int, t: int, n: int, turns: int) -> list[float]:
    """Milliseconds of each round of letters, one signature at a time."""
    sizes = Sizes.of(inputs=inputs, t=t)
    taken = []
    with processes(sizes, t=t, n=n) as client:
        for turn in range(turns + 5):
            started = time.perf_counter()
            client.send_multipart([bytes(sizes.request), bytes(64)])
            client.recv_multipart()
            if turn >= 5:
                taken.append((time.perf_counter() - started) * 1000)
    return taken


def commits(*, size: int, turns: int) -> list[float]:
    """Milliseconds of the commits of one signature in series, each durable (WAL, synchronous=FULL)."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "floor.sqlite", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE record (height INTEGER PRIMARY KEY, body BLOB)")
        for _ in range(turns):
            started = time.perf_counter()
            for _ in range(COMMITS_IN_SERIES):
                database.execute("BEGIN IMMEDIATE")
                database.execute("INSERT INTO record (body) VALUES (?)", (bytes(size),))
                database.execute("COMMIT")
            taken.append((time.perf_counter() - started) * 1000)
        database.close()
    return taken


@dataclass(frozen=True, slots=True)
class Floor:
    """The parts of the floor of one signature, in milliseconds (medians)."""

    letters_ms: float
    commits_ms: float
    crypto_ms: float

    @property
    def total_ms(self) -> float:
        """What no cluster of this shape can go below on this machine."""
        return self.letters_ms + self.commits_ms + self.crypto_ms


def measure(*, inputs: int, t: int, n: int, crypto_ms: float, turns: int = 100) -> Floor:
    """The floor of a t-of-n signature over so many inputs; `crypto_ms` is signer plus coordinator."""
    sizes = Sizes.of(inputs=inputs, t=t)
    return Floor(
        letters_ms=median(letters(inputs=inputs, t=t, n=n, turns=turns)),
        commits_ms=median(commits(size=sizes.propose, turns=turns)),
        crypto_ms=crypto_ms,
    )


def main() -> None:
    """A process of the floor: `relay` or a node, with its sizes as JSON."""
    role, what, *rest = sys.argv[1:]
    data = json.loads(what)
    sizes = Sizes(**data["sizes"])
    if role == "relay":
        relay(rest[0].encode(), sizes, data["t"], data["n"])
    else:
        answer(role, rest[0], rest[1].encode(), sizes)


if __name__ == "__main__":
    main()
