"""The golden cases of a profile: spends that its writer described in the file, and what must be said of each.

They are data alone: reading them is `policy.reading_cases`' business, and judging them `policy.golden`'s. They decide
nothing, so they are no part of a profile's digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from policy.values import CoinSet
from policy.verdict import Outcome


@dataclass(frozen=True, slots=True)
class CaseWallet:
    """The wallet that a case is about: how many nodes, how many sign, their roles (none: unknown) and this node's."""

    n: int = 3
    t: int = 2
    roles: tuple[str, ...] = ()
    me: str = ""


@dataclass(frozen=True, slots=True)
class CasePayment:
    """One output: its script (b"": this wallet itself), its amount, and the word that the file has for it."""

    script: bytes
    amount_sats: int
    word: str


@dataclass(frozen=True, slots=True)
class CaseClient:
    """Who asks: the client, and the person it belongs to with their roles."""

    name: str = "client"
    person: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseWord:
    """What a person or the owner ("" for a name) said: yes or no, how long ago, and whether with the right number."""

    name: str = ""
    roles: tuple[str, ...] = ()
    yes: bool = True
    ago_ms: int = 0
    matched: bool = False


@dataclass(frozen=True, slots=True)
class CaseSpent:
    """A spend that this node signed before: how long ago, what it paid, its fee, who asked.

    `grant` is the place, from 1, of the case's grant that it was signed under; 0 for none. `replaced` says that the
    case's own spend replaces it: the same coins and payments.
    """

    ago_ms: int
    pays: tuple[CasePayment, ...]
    fee_sats: int
    client: str = ""
    grant: int = 0
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class CaseChain:
    """The chain as the case has it: the balance, the tip, and how deep and how old every coin is."""

    balance_sats: int = 100_000_000
    tip_height: int = 900_000
    tip_age_ms: int = 600_000
    confirmations: int = 6
    coin_age_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class CaseIntent:
    """The intent that came with the spend; what is None is as the spend has it."""

    device: str
    pays: tuple[CasePayment, ...] | None = None
    max_fee_sats: int | None = None
    expired: bool = False
    spent: bool = False


@dataclass(frozen=True, slots=True)
class CaseGrant:
    """A grant in force: to whom, up to how much, how many payments, for how much longer (below zero: it ran out)."""

    script: bytes
    sum_sats: int
    payments: int = 1_000
    left_ms: int = 30 * 86_400_000
    must_sign: str = ""


@dataclass(frozen=True, slots=True)
class CaseSeat:
    """One signer of the quorum: its role, and the digest of its policy (zeros where the case does not say)."""

    role: str
    policy_digest: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class Case:
    """One golden case: a spend, what is known and was said of it, and the expected outcome with its tags."""

    name: str
    line: int
    expect: Outcome
    tags: tuple[str, ...]
    pays: tuple[CasePayment, ...]
    at_ms: int
    wallet: CaseWallet = CaseWallet()
    client: CaseClient = CaseClient()
    fee_sats: int | None = None
    rate: int | None = None
    inputs: int = 1
    coins: CoinSet | None = None
    change: bool | None = None
    data: bool = False
    locktime: int = 0
    leaf: str = ""
    replaceable: bool = True
    owner: CaseWord | None = None
    people: tuple[CaseWord, ...] = ()
    waited_ms: int | None = None
    spent: tuple[CaseSpent, ...] = ()
    chain: CaseChain | None = None
    listed_ms: int | None = None
    in_doubt: bool = False
    recovered_ms: int | None = None
    frozen: bool = False
    intent: CaseIntent | None = None
    grants: tuple[CaseGrant, ...] = ()
    quorum: tuple[CaseSeat, ...] = ()
