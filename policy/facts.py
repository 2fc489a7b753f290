"""What a judgement rests on: only what this node itself read, keeps or checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policy.book import Book
from policy.bookings import Booking
from policy.clock import ClockReading
from policy.grants import Grant
from policy.intents import Intent
from taproot import Network, OutPoint, Spend


@dataclass(frozen=True, slots=True)
class WalletFacts:
    """The wallet as this node's own records have it.

    `known` says that its keygen is complete. `next_index` holds the first unused index of branch 0 and of branch 1,
    and `gap_limit` how far beyond it an output still counts as found by every wallet that watches. `roles` are the
    roles of all n members, and `me` is this node's. `t` is how many nodes sign at least by the ordinary way. `way`
    is the way of the spend in question; None means the ordinary one of a wallet that any t nodes can spend. `leaves`
    says of each recovery leaf how many nodes sign by it at least.
    """

    known: bool
    name: str
    network: Network
    n: int
    t: int
    gap_limit: int
    next_index: tuple[int, int] = (0, 0)
    roles: tuple[str, ...] = ()
    me: str = ""
    way: WayFacts | None = None
    leaves: tuple[tuple[str, int], ...] = ()

    @property
    def approvals(self) -> int:
        """How many nodes sign a spend at least, by its way."""
        return self.t if self.way is None else self.way.approvals

    @property
    def most(self) -> int:
        """How many nodes can sign a spend together, by its way."""
        return self.n if self.way is None else self.way.most

    @property
    def signing_roles(self) -> tuple[str, ...]:
        """The roles of the nodes that have a part in the spend's way."""
        return self.roles if self.way is None else self.way.roles


@dataclass(frozen=True, slots=True)
class WayFacts:
    """The way by which a spend is to be made: the wallet's ordinary one, or a recovery leaf.

    `leaf` is its name, "" for the ordinary way. `approvals` is how many nodes sign at least, `most` how many can sign
    together, `roles` those of the nodes that have a part in it. `outsiders` are the names of participants that are no
    nodes and may have one too.
    """

    leaf: str
    approvals: int
    most: int
    roles: tuple[str, ...] = ()
    outsiders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CoinFacts:
    """Where a coin stands in the chain: its block's height and time, or None where it is not in a block."""

    height: int | None
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """The chain as a source that this node trusts tells it."""

    tip_height: int
    tip_at_ms: int
    balance_sats: int
    coins: Mapping[OutPoint, CoinFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PersonSaid:
    """What a person of the roster signed about this very spend, and when that arrived by the policy clock."""

    name: str
    roles: tuple[str, ...]
    yes: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class OwnerSaid:
    """The owner's standing answer to this very spend: when, by the policy clock, and with the right number or not."""

    yes: bool
    at_ms: int = 0
    matched: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about one request at this moment. None stands for a fact that has no source here.

    `initiator` is the client that asks, `initiator_person` the person it belongs to ("" if nobody's) with their
    roles. `owner_said` is the owner's answer to this spend id, `people` what others said of it. `waiting_since_ms`
    is when this node first let it wait. `frozen` says why this node's wallet is frozen, "" where it is not.
    `listed_since_ms` says since when a script stands in any list of the policy in force.
    """

    spend: Spend
    spend_id: bytes
    wallet: WalletFacts
    initiator: str = ""
    initiator_person: str = ""
    initiator_roles: tuple[str, ...] = ()
    clock: ClockReading | None = None
    book: Book | None = None
    chain: ChainFacts | None = None
    owner_said: OwnerSaid | None = None
    people: tuple[PersonSaid, ...] = ()
    waiting_since_ms: int | None = None
    frozen: str = ""
    grants: tuple[Grant, ...] = ()
    intent: Intent | None = None
    listed_since_ms: Mapping[bytes, int] = field(default_factory=dict)

    @property
    def leaving_sats(self) -> int:
        """What leaves the wallet: the payments and the fee."""
        return self.spend.sent_sats + self.spend.fee_sats

    def booking(self, now_ms: int, grant: bytes = b"") -> Booking:
        """What signing this spend costs the budgets."""
        spend = self.spend
        return Booking(
            self.spend_id,
            now_ms,
            self.leaving_sats,
            tuple(coin.outpoint for coin in spend.inputs),
            fee_sats=spend.fee_sats,
            payments=tuple((output.script_pubkey, output.amount_sats) for output in spend.outputs_to_others),
            initiator=self.initiator,
            height=None if self.chain is None else self.chain.tip_height,
            grant=grant,
            intent=b"" if self.intent is None else self.intent.id,
        )
