"""The floor of the cluster table: the same letters over the same kind of sockets, the same commits, the same crypto.

Nothing is signed, read or judged here. A relay process stands for the coordinator (one ROUTER, CURVE), one process
per node and one client dial in (DEALER, CURVE), and bytes of the sizes of real letters make the rounds that the
client waits for: request, propose, verdict and nonces, order, partial signatures, final. What a cluster says beside
(states for the client, the end for the nodes) is left out.

The commits of the path stand one after the other, as they must: the coordinator's request, a node's judgement, its
partial signature, the coordinator's end. The crypto is the bare C calls of one signer (the others work at the same
time) and of the coordinator: BIP 445, and Ed25519 over the letters that the client waits for. Sizes and commits are
those of a real signature (`bench.observed`).
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median

import zmq
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from bench.crypto import Rivals
from bench.observed import Commits, Sizes
from cluster.transport.profile import DEALER_OPTIONS, ROUTER_OPTIONS

ROOT = Path(__file__).resolve().parent.parent
TAIL = bytes(64)  # in the place of a letter's signature
ID_BYTES = 4  # at the head of a letter here: which request it is about

Socket = zmq.Socket[bytes]


def letter(request: bytes, size: int) -> list[bytes]:
    """The two frames of a letter of this size about a request."""
    return [request + bytes(size - ID_BYTES), TAIL]


def bind(context: zmq.Context[Socket], secret: bytes) -> Socket:
    """The listening end, with the coordinator's options but for its door-keeper (asked once a connection)."""
    socket = context.socket(zmq.ROUTER)
    socket.curve_secretkey = secret
    keeper = (zmq.SocketOption.ZAP_DOMAIN, zmq.SocketOption.ZAP_ENFORCE_DOMAIN)
    for option, value in ROUTER_OPTIONS.items():
        if option not in keeper:
            socket.setsockopt(option, value)
    return socket


def dial(context: zmq.Context[Socket], name: str, endpoint: str, server: bytes) -> Socket:
    """A dialling end, with a node's options."""
    socket = context.socket(zmq.DEALER)
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.curve_serverkey = server
    for option, value in DEALER_OPTIONS.items():
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.ROUTING_ID, name.encode())
    socket.connect(endpoint)
    return socket


def relay(secret: bytes, sizes: Sizes, t: int, n: int) -> None:
    """The coordinator's place: carries the rounds of any number of signatures."""
    socket = bind(zmq.Context(), secret)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    nodes = [f"node-{i}".encode() for i in range(n)]
    seen: set[bytes] = set()
    while len(seen) < n:
        seen.add(socket.recv_multipart()[0])
    print("all nodes are here", flush=True)
    ready: dict[bytes, list[bytes]] = {}
    signed: dict[bytes, int] = {}
    while True:
        sender, body, _ = socket.recv_multipart()
        request = body[:ID_BYTES]
        if sender == b"client":
            ready[request], signed[request] = [], 0
            for node in nodes:
                socket.send_multipart([node, *letter(request, sizes.propose)])
        elif len(body) == sizes.nonces and request in ready:
            ready[request].append(sender)
            if len(ready[request]) == t:
                for node in ready.pop(request):
                    socket.send_multipart([node, *letter(request, sizes.order)])
        elif len(body) == sizes.psigs:
            signed[request] += 1
            if signed[request] == t:
                del signed[request]
                socket.send_multipart([b"client", *letter(request, sizes.final)])


def answer(name: str, endpoint: str, server: bytes, sizes: Sizes) -> None:
    """A node's place: two letters for a proposal, one for an order."""
    socket = dial(zmq.Context(), name, endpoint, server)
    socket.send_multipart([b"here", TAIL])
    while True:
        body, _ = socket.recv_multipart()
        request = body[:ID_BYTES]
        if len(body) == sizes.propose:
            socket.send_multipart(letter(request, sizes.verdict))
            socket.send_multipart(letter(request, sizes.nonces))
        else:
            socket.send_multipart(letter(request, sizes.psigs))


class Echo:
    """The client of a relay and its nodes."""

    def __init__(self, socket: Socket, sizes: Sizes) -> None:
        self._socket = socket
        self._sizes = sizes
        self._number = 0

    def run(self, count: int, *, in_flight: int = 1) -> list[float]:
        """Milliseconds of each of so many rounds of letters, so many at a time."""
        taken: list[float] = []
        began: dict[bytes, float] = {}
        asked = 0
        while len(taken) < count:
            while asked < count and len(began) < in_flight:
                self._number += 1
                asked += 1
                request = self._number.to_bytes(ID_BYTES)
                began[request] = time.perf_counter()
                self._socket.send_multipart(letter(request, self._sizes.request))
            body, _ = self._socket.recv_multipart()
            taken.append((time.perf_counter() - began.pop(body[:ID_BYTES])) * 1000)
        return taken


@contextmanager
def echoing(sizes: Sizes, *, t: int, n: int) -> Iterator[Echo]:
    """The relay and the nodes as processes, and their client; all are ended afterwards."""
    public, secret = zmq.curve_keypair()
    what = json.dumps({"sizes": asdict(sizes), "t": t, "n": n})
    command = [sys.executable, "-m", "bench.floor"]
    context: zmq.Context[Socket] = zmq.Context()
    first = subprocess.Popen(
        [*command, "relay", what, secret.decode()], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    running = [first]
    try:
        assert first.stdout is not None
        endpoint = f"tcp://127.0.0.1:{int(first.stdout.readline())}"
        for i in range(n):
            node = [*command, f"node-{i}", what, endpoint, public.decode()]
            running.append(subprocess.Popen(node, cwd=ROOT, text=True))
        first.stdout.readline()
        socket = dial(context, "client", endpoint, public)
        socket.setsockopt(zmq.RCVTIMEO, 20_000)
        yield Echo(socket, sizes)
    finally:
        for process in running:
            process.kill()
            process.wait()
        context.destroy(linger=0)


class Ledger:
    """A bare database that takes the commits of a signature, each durable (WAL, synchronous=FULL)."""

    def __init__(self, path: Path, commits: Commits) -> None:
        self._series = [[(bytes(size),) for size in sizes] for sizes in commits.series]
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE record (height INTEGER PRIMARY KEY, body BLOB)")

    def run(self, count: int, *, shared_by: int = 1) -> list[float]:
        """Milliseconds of the four commits in series, each shared by so many signatures; that many times."""
        taken = []
        for _ in range(count):
            started = time.perf_counter()
            for rows in self._series:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("INSERT INTO record (body) VALUES (?)", rows * shared_by)
                self._database.execute("COMMIT")
            taken.append((time.perf_counter() - started) * 1000)
        return taken

    def close(self) -> None:
        """Let go of it."""
        self._database.close()


def crypto_ms(rivals: Rivals, *, inputs: int) -> tuple[float, float]:
    """Milliseconds of bare C calls, by the clock on the wall as everything else here.

    Returns:
        What one signer needs for so many inputs (its own check included), and what the coordinator needs.
    """
    signer = coordinator = 0.0
    for _ in range(inputs):
        nonce, sign, close = rivals.raw_nonce(), rivals.raw_sign(self_check=True), rivals.raw_coordinator()
        began = time.perf_counter()
        nonce()
        sign()
        between = time.perf_counter()
        close()
        signer += between - began
        coordinator += time.perf_counter() - between
    return signer * 1000, coordinator * 1000


class Seals:
    """Ed25519 over letters of these sizes: by whom, how often, and what that takes."""

    def __init__(self, sizes: Sizes, *, t: int, n: int) -> None:
        self._public, self._secret = crypto_sign_seed_keypair(bytes(32))
        self._signed = {size: crypto_sign(bytes(size), self._secret) for size in asdict(sizes).values()}
        self._sizes, self._t, self._n = sizes, t, n

    def run(self) -> tuple[float, float, float, float]:
        """Milliseconds of all letters: of client, coordinator, a node's judgement, and a node's partial signature."""
        sizes, t, n = self._sizes, self._t, self._n
        client = self._ms(signs=[sizes.request], verifies=[sizes.final])
        coordinator = self._ms(
            signs=[*[sizes.propose] * n, *[sizes.order] * t, sizes.final],
            verifies=[sizes.request, *[sizes.verdict, sizes.nonces, sizes.psigs] * t],
        )
        judging = self._ms(signs=[sizes.verdict, sizes.nonces], verifies=[sizes.propose, sizes.request])
        signing = self._ms(signs=[sizes.psigs], verifies=[sizes.order, *[sizes.verdict, sizes.nonces] * t])
        return client, coordinator, judging, signing

    def _ms(self, *, signs: Sequence[int], verifies: Sequence[int]) -> float:
        began = time.perf_counter()
        for size in signs:
            crypto_sign(self._signed[size][64:], self._secret)
        for size in verifies:
            crypto_sign_open(self._signed[size], self._public)
        return (time.perf_counter() - began) * 1000


class Floor:
    """Everything the floor is made of, measured piece by piece; `ms` is the sum of the medians."""

    def __init__(self) -> None:
        self.letters: list[float] = []
        self.commits: list[float] = []
        self.crypto: list[float] = []
        self.seals: list[float] = []

    def add(
        self,
        letters: Sequence[float],
        commits: Sequence[float],
        crypto: Sequence[float],
        seals: Sequence[float],
    ) -> None:
        """Take one piece of the run into account."""
        self.letters += letters
        self.commits += commits
        self.crypto += crypto
        self.seals += seals

    @property
    def parts(self) -> tuple[float, float, float, float]:
        """Letters, commits, BIP 445 and Ed25519, in milliseconds (medians)."""
        return median(self.letters), median(self.commits), median(self.crypto), median(self.seals)

    @property
    def ms(self) -> float:
        """What no cluster of this shape can go below on this machine."""
        return sum(self.parts)


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
