"""A storm of letters from a coordinator that belongs to the attacker, over a cluster that goes on working.

The attacker has the coordinator's identity key, has heard every letter, and may say anything to any node at any time:
letters as they were, later, to another node, with parts exchanged for parts of others, with other headers, orders
from any verdicts and nonces, and plain rubbish. The true coordinator works on in between, as does the client.
"""

from __future__ import annotations

import copy
import gc
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import FunctionType, ModuleType
from typing import Any

import msgspec
from chaos import NODES, Chaos
from hostile import NASTY
from wire import Envelope
from world import ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.codec import SIGNATURE_DOMAIN
from cluster.messages import Decision
from cluster.subjects import Subject

KEPT = 3_000
"""So many of the letters ever sent the attacker has at hand."""

HEADER_IDS = (3, 4, 5)
"""Where wallet, request and session id stand in a header."""


def allowed(subject: Subject) -> bool:
    """What every policy of this world approves: about half of all requests."""
    return subject.request_id[0] % 2 == 0


@dataclass
class Storm(Chaos):
    """A world in which everybody but the attacker is honest, and what the attacker does, one letter after the other."""

    seed: int = 1
    late: deque[Envelope] = field(default_factory=deque)
    letters: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.kept: deque[Envelope] = deque(maxlen=KEPT)
        super().__post_init__()
        self.identity = self.world.seats["coord"].identity

    def make_world(self) -> World:
        return World(judges=self.judge, seed=self.seed, hook=self.keep)

    def judge(self, name: str) -> ScriptedJudge:
        return ScriptedJudge(
            name, lambda subject, _: Decision.APPROVE if allowed(subject) else Decision.REFUSE
        )

    def keep(self, envelope: Envelope) -> list[Envelope]:
        self.kept.append(envelope)
        return [envelope]

    def blow(self) -> None:
        """One letter of the attacker's; now and then time passes, and the client asks for something."""
        if self.letters % 200 == 0:
            self.ask_anew()
        if self.letters % 7 == 0:
            self.world.run(ms=self.random.choice((1, 6, 11, 16, 60)))
        if self.letters % 2_500 == 2_499:
            self.world.run(ms=65_000)
        ways: tuple[Callable[[], None], ...] = (
            self.replay_one, self.to_another, self.hold_back, self.let_out, self.other_header,
            self.other_parts, self.other_parts, self.other_parts, self.equivocate, self.rubbish,
        )  # fmt: skip
        way = self.random.choice(ways)
        self.kinds[way.__name__] = self.kinds.get(way.__name__, 0) + 1
        self.letters += 1
        way()

    def ask_anew(self) -> None:
        """The client asks for something new, and forgets what has ended."""
        self.asked += 1
        self.request(self.asked)
        del self.views[:-6]
        client = self.world.client.signing
        wanted = {view.subject.request_id for view in self.views}
        for request_id in [one for one in client if one not in wanted]:
            del client[request_id]
        for seat in self.world.seats.values():
            seat.said.clear()

    # What the attacker does.

    def replay_one(self) -> None:
        """A letter as it was."""
        self.hand(self.any_letter())

    def to_another(self) -> None:
        """A letter of whoever, to somebody else."""
        envelope = self.any_letter()
        self.hand(Envelope("coord", self.any_node(), envelope.letter, envelope.signature))

    def hold_back(self) -> None:
        """A letter is kept for later."""
        self.late.append(self.any_letter())

    def let_out(self) -> None:
        """Letters that were kept come all at once, the last first."""
        while self.late and self.random.random() < 0.8:
            self.hand(self.late.pop())

    def other_header(self) -> None:
        """A letter of the coordinator's with another kind, other ids, another time; truly signed."""
        tree = self.tree_of(self.any_letter("coord"))
        header = tree[0]
        for _ in range(self.random.randint(1, 2)):
            at = self.random.choice((1, *HEADER_IDS, *HEADER_IDS, 7, 8, 9, 10))
            header[at] = self.tree_of(self.any_letter())[0][at]
        self.say(tree)

    def other_parts(self) -> None:
        """A letter of the coordinator's with parts exchanged, dropped, doubled; truly signed."""
        tree = self.tree_of(self.any_letter("coord"))
        donor = self.tree_of(self.any_letter())
        body = list(tree[1:])
        for _ in range(self.random.randint(1, 3)):
            self.exchange(body, donor[1:])
        self.say([tree[0], *body])

    def equivocate(self) -> None:
        """Different orders, from any approvals and nonces, to different nodes."""
        self.sent = [self.any_letter() for _ in range(150)]
        signers = tuple(sorted(self.random.sample(range(3), self.random.choice((2, 2, 3)))))
        for node in NODES:
            self.evil_order(node, signers, self.random.randrange(6), self.random.randrange(6))

    def rubbish(self) -> None:
        """Bytes that are no letter, or one with a changed bit."""
        if self.random.random() < 0.2:
            letter = self.random.choice(NASTY)[:100_000]
            signature = self.identity.sign(SIGNATURE_DOMAIN + letter)
        else:
            envelope = self.any_letter("coord")
            at = self.random.randrange(len(envelope.letter))
            changed = envelope.letter[at] ^ (1 << self.random.randrange(8))
            letter = envelope.letter[:at] + bytes([changed]) + envelope.letter[at + 1 :]
            signature = (
                envelope.signature
                if self.random.random() < 0.3
                else self.identity.sign(SIGNATURE_DOMAIN + letter)
            )
        self.hand(Envelope("coord", self.any_node(), letter, signature))

    # How.

    def any_node(self) -> str:
        return self.random.choice(NODES)

    def any_letter(self, sender: str = "") -> Envelope:
        """One that was sent, by whom it matters not, or by this one; rather a late than an early one."""
        while True:
            at = int(len(self.kept) * self.random.random() ** 0.5)
            if self.kept[at].sender == (sender or self.kept[at].sender):
                return self.kept[at]

    @staticmethod
    def tree_of(envelope: Envelope) -> list[Any]:
        tree = msgspec.msgpack.decode(envelope.letter)
        assert isinstance(tree, list)
        return tree

    def exchange(self, tree: list[Any], donor: Any) -> None:
        """Change one place somewhere in the tree."""
        if not tree:
            tree.append(self.part_of(donor))
            return
        at = self.random.randrange(len(tree))
        if isinstance(tree[at], list) and tree[at] and self.random.random() < 0.8:
            self.exchange(tree[at], donor)
            return
        how = self.random.random()
        if how < 0.15:
            del tree[at]
        elif how < 0.3:
            tree.insert(at, copy.deepcopy(tree[at]))
        elif how < 0.45 and isinstance(tree[at], bytes) and tree[at]:
            changed = bytearray(tree[at])
            changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
            tree[at] = bytes(changed)
        elif how < 0.55:
            tree[at] = self.random.choice((0, 1, 2**53, -1, b"", bytes(32), "", None, True, [], 1.5))
        else:
            tree[at] = self.part_of(donor)

    def part_of(self, value: Any) -> Any:
        """Any part of another letter."""
        while isinstance(value, list) and value and self.random.random() < 0.75:
            value = self.random.choice(value)
        return copy.deepcopy(value)

    def say(self, tree: list[Any]) -> None:
        """To the addressee in its header, or to another; truly signed by the coordinator."""
        node = self.any_node()
        tree[0][6] = self.identity.public
        if self.random.random() < 0.9:
            tree[0][7] = self.world.seats[node].identity.public
            tree[0][8] = b"evil" * 4
            tree[0][9] = self.letters + 1
            tree[0][10] = self.world.now.wall_ms + 60_000
        letter = msgspec.msgpack.encode(tree)
        self.hand(Envelope("coord", node, letter, self.identity.sign(SIGNATURE_DOMAIN + letter)))

    def hand(self, envelope: Envelope) -> None:
        """Straight to a node, whoever it was for."""
        node = envelope.addressee if envelope.addressee in NODES else self.any_node()
        self.world.deliver(Envelope("coord", node, envelope.letter, envelope.signature))


def held_bytes(machine: object) -> int:
    """What a machine holds in memory: all that can be reached from it but code and modules."""
    seen, waiting, total = {id(machine)}, [machine], 0
    while waiting:
        one = waiting.pop()
        total += sys.getsizeof(one)
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, type | ModuleType | FunctionType):
                seen.add(id(other))
                waiting.append(other)
    return total


def ended_well(views: list[SigningView]) -> bool:
    """Whether everything allowed that was asked last is signed, and nothing else is."""
    return all((view.final is not None) == allowed(view.subject) for view in views)
