"""What one signature takes, seen in a cluster in memory: the size of each letter, and the commits in series.

Uses the tests' world, so it needs `tests` on the path, as in `make bench`.
"""

from __future__ import annotations

from dataclasses import dataclass

from wire import Envelope
from world import World

from bench.living import spend
from cluster.effects import Step
from cluster.messages import Kind


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long each letter that the client waits for is, in bytes."""

    request: int
    propose: int
    verdict: int
    nonces: int
    order: int
    psigs: int
    final: int


@dataclass(frozen=True, slots=True)
class Commits:
    """The sizes of the records of each commit that the client waits for, in bytes."""

    coordinator_request: tuple[int, ...]
    node_judgement: tuple[int, ...]
    node_signing: tuple[int, ...]
    coordinator_final: tuple[int, ...]

    @property
    def series(self) -> tuple[tuple[int, ...], ...]:
        """All four, in order."""
        return (self.coordinator_request, self.node_judgement, self.node_signing, self.coordinator_final)


_NAMES = {
    Kind.REQUEST: "request",
    Kind.PROPOSE: "propose",
    Kind.VERDICT: "verdict",
    Kind.NONCES: "nonces",
    Kind.ORDER: "order",
    Kind.PARTIAL_SIGNATURES: "psigs",
    Kind.FINAL: "final",
}


class _Observed(World):
    """Notes the first letter of each kind, and every commit, until somebody says Final."""

    def __init__(self, t: int, n: int) -> None:
        self.sizes: dict[str, int] = {}
        self.commits: list[tuple[str, tuple[str, ...], tuple[int, ...]]] = []
        super().__init__(t, n, hook=self._look)

    def _look(self, envelope: Envelope) -> list[Envelope]:
        if envelope.kind in _NAMES:
            self.sizes.setdefault(_NAMES[envelope.kind], len(envelope.letter))
        return [envelope]

    def perform(self, name: str, step: Step) -> None:
        """Note what is written, then let it happen."""
        if step.remember:
            kinds = tuple(record.kind for record in step.remember)
            self.commits.append((name, kinds, tuple(len(record.body) for record in step.remember)))
        super().perform(name, step)


def observed(*, inputs: int, t: int, n: int) -> tuple[Sizes, Commits]:
    """The letters and commits of one signature over so many inputs."""
    world = _Observed(t, n)
    wallet = world.make_wallet()
    world.commits.clear()
    view = world.request(wallet, spend(wallet, inputs=inputs, number=0))
    if not world.run(lambda: view.final is not None):
        raise RuntimeError(f"the cluster in memory did not sign: {view.state} {view.codes}")
    signer = next(name for name, kinds, _ in world.commits if "signed" in kinds)
    path = [(name, sizes) for name, _, sizes in world.commits if name in {"coord", signer}]
    before_final = [sizes for _, sizes in path[:4]]
    if [name for name, _ in path[:4]] != ["coord", signer, signer, "coord"]:
        raise RuntimeError("a signature is not made of the four commits that the floor is made of")
    return Sizes(**world.sizes), Commits(*before_final)
