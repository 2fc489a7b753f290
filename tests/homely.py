"""A world whose first node and whose client live in real data directories, so that their commands can be given."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zmq
from policed import PolicedWorld

from cluster.cli.commands import run
from cluster.codec import encode
from cluster.control import ControlServer
from cluster.effects import Now
from cluster.journal import RosterKept, WalletKept, note, read
from cluster.keys import Keys, Secrets
from cluster.owner_desk import NodeDesk
from cluster.party import opened, unseal_seed
from cluster.public_part import entry_of
from cluster.records import Record
from cluster.roster import ClientEntry, NodeEntry, Roster
from cluster.runtime import _evidence_of_node
from cluster.schemes import Wallet
from cluster.storage import DataDir
from cluster.vault import Vault

PASS = ("--passphrase-file", "pass")
AT_NODE = ("--datadir", "node0")


class Homely(PolicedWorld):
    """One node and the client have the keys of real data directories; time begins at the real clock's."""

    def __init__(self, places: dict[str, DataDir], policy: str) -> None:
        self.keys: dict[str, Keys] = {}
        self.entries: dict[str, NodeEntry | ClientEntry] = {}
        for name, place in places.items():
            self.keys[name] = unseal_seed(place, b"correct horse").keys("regtest")
            with opened(place) as party:
                entry = entry_of(party.part)
                assert isinstance(entry, NodeEntry | ClientEntry)
                self.entries[name] = entry
        super().__init__(policy)

    def _secrets(self, name: str, index: int) -> Secrets:
        return self.keys[name].secrets(index) if name in self.keys else super()._secrets(name, index)

    def _roster(self) -> Roster:
        self.now = Now(time.time_ns() // 1_000_000, 1_000)
        for name, keys in self.keys.items():
            self.seats[name].identity = keys.identity()  # type: ignore[assignment]
        made = super()._roster()
        node, client = self.entries["node0"], self.entries["client"]
        assert isinstance(node, NodeEntry)
        assert isinstance(client, ClientEntry)
        nodes = (node, *made.nodes[1:])
        return Roster(
            made.version, made.network, made.cluster_id, made.epoch, nodes, made.coordinators, (client,), made.people
        )  # fmt: skip


@dataclass
class Home:
    """The data directories, the world around them, and the wallet that it made."""

    world: Homely
    wallet: Wallet
    place: DataDir

    @classmethod
    def make(cls, root: Path, policy: str) -> Home:
        """Make both data directories in `root`, which is the current directory, and a wallet of the world's."""
        for name, text in {"pass": "correct horse\n", "bad": "wrong\n"}.items():
            (root / name).write_text(text)
            (root / name).chmod(0o600)
        for role, name in (("node", "node0"), ("client", "client")):
            made = ["init", "--role", role, "--name", name, "--datadir", name, "--kdf-memory", "19", *PASS]
            assert run(made) == 0
        places = {name: DataDir(root / name, "regtest") for name in ("node0", "client")}
        world = Homely(places, policy)
        return cls(world, world.make_wallet(), places["node0"])

    @contextmanager
    def running(self) -> Iterator[None]:
        """While the node runs: its control socket is served, as the driver's loop would."""
        inner = self.world.watch.judges["node0"].inner
        exact, disk = encode(self.world.roster), self.world.seats["node0"].disk
        desk = NodeDesk(self.world.node("node0"), exact, inner, lambda: disk)

        def handle(request: Mapping[str, object]) -> Mapping[str, object]:
            if request.get("do") == "evidence":  # from the database, as it was laid down
                with opened(self.place, "node") as party:
                    return _evidence_of_node(party, self.world.node("node0")).handle(request)
            facts, step = desk.handle(request, self.world.now, os.urandom(32))
            if step is not None:
                self.world.perform("node0", step)
            return facts

        server, done = ControlServer(self.place.control_socket, handle), threading.Event()

        def loop() -> None:
            while not done.is_set():
                poller = zmq.Poller()
                for descriptor, flags in server.pollables():
                    poller.register(descriptor, flags)
                poller.poll(5)
                server.service()

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            server.close()

    def lay_down(self) -> None:
        """Write all that the node remembers into its data directory, so that it can be looked at while it rests."""
        keys = self.world.keys["node0"]
        vault = Vault(keys.secrets, keys.sealing_key())

        def sealed(record: Record) -> Record:
            entry = read(record)
            if not isinstance(entry, WalletKept):
                return record
            kept = vault.seal(record.wallet_id, self.wallet.recovery_data, os.urandom(32))
            return note(WalletKept(entry.at_ms, entry.charter, kept), record.wallet_id)

        with opened(self.place) as party:
            party.remember(RosterKept(self.world.now.wall_ms, encode(self.world.roster)))
            party.store.append([sealed(record) for record in self.world.seats["node0"].disk])
