"""CPU of one signature in each pure machine: a whole 2-of-3 cluster in memory, no sockets, no disk, no policy.

What a machine spends beyond its crypto goes into reading the PSBT with two libraries, letters, and checks. Uses the
tests' world, so it needs `tests` on the path, as in `make bench`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from wire import Envelope
from world import World

from bench.crypto import Rivals, deal
from bench.measure import interleaved
from bench.table import Cell, Table
from cluster.codec import forget_checked
from cluster.schemes import Wallet
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

TURNS = {1: 40, 100: 3}


class TimedWorld(World):
    """A world that counts the CPU time of every delivery for whoever gets the letter, in milliseconds."""

    def __init__(self) -> None:
        self.spent_ms: dict[str, float] = {}
        super().__init__(2, 3)

    def deliver(self, envelope: Envelope) -> None:
        """Hand over a letter and charge its addressee, who knows nothing of what the others checked."""
        forget_checked()
        started = time.thread_time()
        super().deliver(envelope)
        self.charge(envelope.addressee, started)

    def charge(self, name: str, started: float) -> None:
        """Add what has passed since `started`."""
        self.spent_ms[name] = self.spent_ms.get(name, 0) + (time.thread_time() - started) * 1000


def spend(wallet: Wallet, *, inputs: int, number: int) -> bytes:
    """A PSBT of so many inputs to one payment and change, different for each number."""
    coins = [
        Coin(OutPoint(number.to_bytes(4) + i.to_bytes(4) + bytes(24), 0), 100_000, WalletPath(0, i % 20))
        for i in range(inputs)
    ]
    payment = Payment(wallet.public.script(WalletPath(0, 5)), 50_000)
    return build_psbt(
        wallet.public, coins=coins, payments=[payment], fee_sats=500 * (inputs + 2), change=WalletPath(1, 0)
    )


def sign(world: TimedWorld, wallet: Wallet, psbt: bytes) -> None:
    """One request from the client's word to everybody's end."""
    started = time.thread_time()
    view = world.request(wallet, psbt)
    world.charge("client", started)
    if not world.run(lambda: view.final is not None):
        raise RuntimeError(f"the cluster in memory did not sign: {view.state} {view.codes}")
    world.run(ms=100)


def crypto_ms() -> tuple[float, float]:
    """Our signer's (nonce, checked round two) and coordinator's crypto for one input, in milliseconds."""
    rivals = Rivals(deal(2, 3))
    taken = interleaved(
        {
            "nonce": rivals.our_nonce,
            "sign": lambda: rivals.our_sign(self_check=True),
            "close": rivals.our_coordinator,
        },
        turns=200,
    )
    return (taken["nonce"] + taken["sign"]) / 1000, taken["close"] / 1000


def tables() -> Iterator[Table]:
    """One row per machine and size."""
    world = TimedWorld()
    wallet = world.make_wallet()
    sign(world, wallet, spend(wallet, inputs=1, number=0))
    signer, coordinator = crypto_ms()
    rows: list[tuple[Cell, ...]] = []
    number = 1
    for inputs, turns in TURNS.items():
        psbts = [spend(wallet, inputs=inputs, number=number + i) for i in range(turns)]
        number += turns
        world.spent_ms.clear()
        for psbt in psbts:
            sign(world, wallet, psbt)
        spent = {name: total / turns for name, total in world.spent_ms.items()}
        busiest = max(ms for name, ms in spent.items() if name.startswith("node"))
        rows.append((f"{inputs}", "client", spent["client"], None))
        rows.append((f"{inputs}", "coordinator", spent["coord"], coordinator * inputs))
        rows.append((f"{inputs}", "node that signs", busiest, signer * inputs))
        rows.append((f"{inputs}", "all five", sum(spent.values()), (2 * signer + coordinator) * inputs))
    yield Table(
        name="machines",
        title="CPU of one 2-of-3 signature in the pure machines (mean, milliseconds)",
        columns=("inputs", "machine", "all", "crypto in it"),
        rows=tuple(rows),
        notes=(
            "In memory: no sockets, disk or policy. A node's share includes checking the final transaction.",
        ),
    )
