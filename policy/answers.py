"""What a node says of a spend that is made up for the purpose, asked of the real judge: alone, or with which yeses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from policy import tags
from policy.book import Book
from policy.bookings import Booking
from policy.circumstances import Circumstance
from policy.clock import ClockReading
from policy.conditions import said_of
from policy.facts import Facts, OwnerSaid, PersonSaid, WalletFacts
from policy.grants import Grant
from policy.intents import Intent
from policy.judge import judge
from policy.places import Place, clauses_of, layers
from policy.profile import Clause, Profile, Tier, Written
from policy.quorum import NO_DEMANDS, Conditions
from policy.setting import FEE_MIN, FEE_MIN_RATE
from policy.values import People
from policy.verdict import Judgement, Outcome
from taproot import SIGHASH_DEFAULT, OutPoint, Spend, SpendInput

_SPEND_ID = b"\x77" * 32
_LONG_AGO = 1
_MOST_PEOPLE = 64
_GRANTED = frozenset({tags.GRANT, tags.GRANT_SUM, tags.GRANT_COUNT, tags.GRANT_EXPIRED})
_FAR_MS = 400 * 86_400_000


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """What a node's yes takes: its owner's, other people's, a grant, a delay. Nothing: it approves by itself."""

    owner: bool = False
    people: bool = False
    grant: bool = False
    wait: bool = False

    @property
    def humans(self) -> bool:
        """Whether a person must do something for this very spend, or have granted it."""
        return self.owner or self.people or self.grant

    @property
    def words(self) -> str:
        """In a word or two."""
        names = ("owner", "people", "grant", "wait")
        given = (self.owner, self.people, self.grant, self.wait)
        return "+".join(name for name, is_needed in zip(names, given, strict=True) if is_needed) or "alone"


ALONE = Need()


@dataclass(frozen=True, slots=True)
class Answer:
    """The mildest that a node says: what it needs (None: it never signs), what of the quorum, by which tiers."""

    need: Need | None
    conditions: Conditions = NO_DEMANDS
    tiers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the wallet: its role, and its profile as the survey asks it.

    A fee is what every spend pays to somebody else, so spends made up here pay none and profiles are asked without
    their least fee. `digest` stays that of the profile in force.
    """

    role: str
    profile: Profile
    digest: bytes

    @classmethod
    def of(cls, role: str, profile: Profile) -> Member:
        """The node with this role and profile."""
        return cls(role, feeless(profile), profile.digest)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What could help at all to get its yes, the mildest first."""
        tiers = [tier for layer in layers(self.profile) for tier in layer.tiers]
        asks = [tier.then.ask for tier in tiers if tier.then.ask is not None]
        owner = any(ask.owner for ask in asks)
        people = any(ask.people.groups or ask.distinct for ask in asks)
        people = people or any(clause.key == "approved_by" for clause in clauses_of(self.profile))
        grant = any(tier.then.grant for tier in tiers)
        wait = any(tier.then.wait for tier in tiers)
        found = [
            Need(*given)
            for given in product(
                *([False, True] if useful else [False] for useful in (owner, people, grant, wait))
            )
        ]
        return tuple(sorted(found, key=lambda n: (n.owner + n.people + n.grant, n.wait, n)))


def feeless(profile: Profile) -> Profile:
    """The profile without a least fee, whatever else it says of fees."""
    none: dict[str, Written[int | None]] = {FEE_MIN.key: Written(None), FEE_MIN_RATE.key: Written(None)}
    base = None if profile.base is None else feeless(profile.base)
    return replace(profile, written={**profile.written, **none}, base=base)


def made_spend(place: Place, sats: int, now: Circumstance, profile: Profile) -> Spend:
    """One coin, paid out in full to one kind of place, without a fee."""
    each, rest = divmod(sats, now.outputs)
    amounts = [each + (number < rest) for number in range(now.outputs)]
    sequence = 0xFFFFFFFD if now.replaceable else 0xFFFFFFFE
    coin = SpendInput(now.coin, sats, _own_script(), sequence, SIGHASH_DEFAULT, now.path)
    outputs = tuple(place.output(index, amount) for index, amount in enumerate(amounts))
    return Spend(profile.network, 2, 0, (coin,), outputs, 0, 200, b"", bytes(32), 2, 200)


def _own_script() -> bytes:
    return b"\x51\x20" + b"\x33" * 32


def facts_for(
    member: Member, place: Place, sats: int, now: Circumstance, wallet: WalletFacts, book: Book | None = None
) -> Facts:
    """All that a node would know of such a spend while nobody has said anything."""
    spend = made_spend(place, sats, now, member.profile)
    payments = tuple((out.script_pubkey, out.amount_sats) for out in spend.outputs_to_others)
    intent = Intent(b"\x01" * 32, now.device, now.coin, payments, 2**50, now.now_ms + _FAR_MS, now.now_ms)
    return Facts(
        spend,
        _SPEND_ID,
        replace(wallet, network=member.profile.network, me=member.role),
        initiator=now.client,
        initiator_roles=now.roles,
        clock=ClockReading(now.now_ms, in_doubt=False),
        book=_book(place, now) if book is None else book,
        intent=intent,
        listed_since_ms=dict.fromkeys(member.profile.listed_scripts, _LONG_AGO),
    )


def _book(place: Place, now: Circumstance) -> Book:
    """A fresh book; one old payment of nothing in it, where the place counts as paid before."""
    if not now.paid_before:
        return Book()
    return Book.of(
        [Booking(b"\x66" * 32, _LONG_AGO, 0, (OutPoint(b"\x66" * 32, 0),), payments=((place.script, 0),))]
    )


def ask(member: Member, place: Place, sats: int, now: Circumstance, wallet: WalletFacts) -> Answer:
    """The mildest thing that gets this node's yes to such a spend, if anything does."""
    plain = facts_for(member, place, sats, now, wallet)
    codes: tuple[str, ...] = ()
    for need in member.needs:
        for facts in _helped(member, plain, place, need):
            judgement = judge(member.profile, facts)
            if judgement.outcome is Outcome.APPROVE:
                return Answer(need, judgement.conditions, tuple(_fitting(member.profile, facts)))
            codes = codes or judgement.codes
            if need == ALONE and _hopeless(member.profile, judgement):
                return Answer(None, codes=codes)
    return Answer(None, codes=codes)


def _hopeless(profile: Profile, judgement: Judgement) -> bool:
    """Whether it is refused for what no yes, grant or delay can change."""
    if judgement.outcome is not Outcome.REFUSE or any(c.key == "approved_by" for c in clauses_of(profile)):
        return False
    refusing = {reason.tag for reason in judgement.reasons if reason.outcome is Outcome.REFUSE}
    return not refusing <= _GRANTED


def _helped(member: Member, plain: Facts, place: Place, need: Need) -> Iterator[Facts]:
    """The same facts with what a need stands for; several where delays differ."""
    assert plain.clock is not None
    now_ms = plain.clock.now_ms
    changes = plain
    if need.owner:
        changes = replace(changes, owner_said=OwnerSaid(True, now_ms, matched=True))
    if need.people:
        changes = replace(changes, people=_people(member.profile, now_ms))
    if need.grant:
        grant = Grant(b"\x02" * 32, place.script, 2**62, now_ms + _FAR_MS, 2**40, made_at_ms=now_ms)
        changes = replace(changes, grants=(grant,))
    yield from waited(member.profile, changes) if need.wait else (changes,)


def waited(profile: Profile, facts: Facts) -> Iterator[Facts]:
    """The same facts after each delay that a profile names."""
    tiers = [tier for layer in layers(profile) for tier in layer.tiers]
    now_ms = 0 if facts.clock is None else facts.clock.now_ms
    for delay in sorted({tier.then.wait.delay_ms for tier in tiers if tier.then.wait is not None}):
        yield replace(facts, waiting_since_ms=now_ms - delay)


def _people(profile: Profile, now_ms: int) -> tuple[PersonSaid, ...]:
    """A yes from as many people of each role as any rule could want."""
    wanted: dict[str, int] = {}
    distinct = 0
    for layer in layers(profile):
        groups = [clause.value for clause in clauses_of(layer) if isinstance(clause.value, People)]
        for tier in layer.tiers:
            if tier.then.ask is not None:
                groups.append(tier.then.ask.people)
                distinct = max(distinct, min(tier.then.ask.distinct, _MOST_PEOPLE))
        for role, count in (pair for group in groups for pair in group.groups):
            wanted[role] = max(wanted.get(role, 0), min(count, _MOST_PEOPLE))
    roles = [role for role, count in wanted.items() for _ in range(count)]
    roles += [""] * max(0, distinct - len(roles))
    return tuple(
        PersonSaid(f"person-{number}", (role,) if role else (), True, now_ms)
        for number, role in enumerate(roles)
    )


def _fitting(profile: Profile, facts: Facts) -> Iterator[str]:
    """The tier that decides in each layer, by name."""
    for layer in layers(profile):
        found = fitting_tier(layer, facts)
        if found is not None:
            yield found.name


def fitting_tier(profile: Profile, facts: Facts) -> Tier | None:
    """The first tier of one profile, without its base, that fits."""

    def holds(clause: Clause) -> bool | None:
        return said_of(clause, profile, facts).holds

    for tier in profile.tiers:
        excused = tier.unless and not any(holds(clause) is False for clause in tier.unless)
        if not excused and all(holds(clause) is True for clause in tier.clauses):
            return tier
    return None
