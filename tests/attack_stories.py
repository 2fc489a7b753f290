"""Attacks that are short stories: what was asked and said before, by whom, when, and what the coordinator makes of it.

`STORIES` are for both shipped sets, `PERSONAL_STORIES` and `ENTERPRISE_STORIES` for one each.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from attacks import BLOCKED, FRIEND, PAYROLL, RESCUE, STRANGER, SUPPLIER, VAULT, Attack, good, payee
from shipped import ENTERPRISE
from siege import BTC, DAY_MS, HOUR_MS, Siege, jumped

from cluster.codec import open_inner
from cluster.grants import GrantBody, sign_grant
from cluster.journal import RecoveredKept, note
from cluster.messages import Kind, Nonces, OrderEntry, Request, SignedLetter, Verdict
from cluster.owner_says import ClockConfirmed, Freeze, GrantGiven
from cluster.subjects import Subject
from taproot import Payment, WalletPath

# Stories for both sets.


def _letter(s: Siege, *, psbt: bytes, request_id: bytes, wallet_id: bytes = b"") -> SignedLetter:
    """A client signs a request under any id."""
    return s.mouth("desk").say(
        Kind.REQUEST,
        s.world.seats["coord"].identity.public,
        Request(psbt, "", bytes(32)),
        wallet_id=wallet_id or s.wallet.wallet_id,
        request_id=request_id,
        expires_at_ms=s.world.now.wall_ms + HOUR_MS,
    )


def _new_id(s: Siege) -> str:
    return s.said(_letter(s, psbt=good(s), request_id=b"\x09" * 32))


def _other_wallet(s: Siege) -> str:
    return s.said(_letter(s, psbt=good(s), request_id=b"\x09" * 32, wallet_id=b"\x09" * 32))


def _changed_letter(s: Siege) -> str:
    _, request = s.request(good(s))
    letter = bytearray(request.letter)
    letter[letter.index(payee(s)) + 5] ^= 1
    return s.said(SignedLetter(bytes(letter), request.signature))


def asked(s: Siege, psbt: bytes) -> tuple[Subject, SignedLetter]:
    """A request that every node has."""
    subject, request = s.request(psbt)
    assert subject is not None
    s.said(request)
    return subject, request


def _willing(s: Siege) -> tuple[str, ...]:
    """A quorum that signs the good payment without anybody's yes."""
    return ("treasury", "operations", "audit") if s.roles == ENTERPRISE else ("home", "phone")


def _entries(s: Siege, roles: tuple[str, ...], request: SignedLetter) -> tuple[OrderEntry, ...]:
    return tuple(s.evil.entry(s.names[role], request) for role in roles)


def _other_approvals(s: Siege) -> str:
    """Approvals of one request in the order for another."""
    roles = _willing(s)
    subject, _ = asked(s, good(s))
    _, other = asked(s, good(s, number=2))
    return s.ordered(roles, subject.request_id, _entries(s, roles, other))


def _one_approval_of_another(s: Siege) -> str:
    roles = _willing(s)
    subject, request = asked(s, good(s))
    _, other = asked(s, good(s, number=2))
    mine, theirs = _entries(s, roles, request), _entries(s, roles, other)
    return s.ordered(roles[:1], subject.request_id, (*mine[:-1], theirs[-1]))


def _one_twice(s: Siege) -> str:
    roles = _willing(s)
    subject, request = asked(s, good(s))
    entries = _entries(s, roles, request)
    return s.ordered(roles[:1], subject.request_id, (entries[0], *entries[:-1]))


def _too_few(s: Siege) -> str:
    roles = _willing(s)[:-1]
    subject, request = asked(s, good(s))
    return s.ordered(roles, subject.request_id, _entries(s, roles, request))


def _stale(s: Siege) -> str:
    """Approvals of sixteen minutes ago."""
    roles = _willing(s)
    subject, request = asked(s, good(s))
    entries = _entries(s, roles, request)
    s.world.advance(16 * 60_000)
    return s.ordered(roles, subject.request_id, entries)


def _foreign_nonces(s: Siege) -> str:
    """The verdict of this request with the nonces of another."""
    roles = _willing(s)
    subject, request = asked(s, good(s))
    _, other = asked(s, good(s, number=2))
    mine, theirs = _entries(s, roles, request), _entries(s, roles, other)
    mixed = tuple(OrderEntry(a.verdict, b.nonces) for a, b in zip(mine, theirs, strict=True))
    return s.ordered(roles, subject.request_id, mixed)


def _frozen_wallet(s: Siege) -> str:
    for name in s.names.values():
        s.world.answer(name, Freeze(s.wallet.wallet_id))
    return s.asks(good(s))


def _frozen_meanwhile(s: Siege) -> str:
    """The owners freeze what they had approved a moment ago."""
    roles = _willing(s)
    subject, request = asked(s, good(s))
    entries = _entries(s, roles, request)
    for name in s.names.values():
        s.world.answer(name, Freeze(s.wallet.wallet_id))
    return s.ordered(roles, subject.request_id, entries)


STORIES: dict[str, Attack] = {
    "an unknown client": lambda s: s.asks(good(s), None, by="mallory"),
    "a person for a client": lambda s: s.asks(good(s), None, by="ann"),
    "a node for a client": lambda s: s.asks(good(s), None, by=s.roles[0]),
    "an expired request": lambda s: s.said(s.request(good(s), life_ms=-1)[1]),
    "under an id of its own": _new_id,
    "about another wallet": _other_wallet,
    "a letter changed on its way": _changed_letter,
    "approvals of another request": _other_approvals,
    "one approval of another request": _one_approval_of_another,
    "one node twice": _one_twice,
    "fewer than the threshold": _too_few,
    "stale approvals": _stale,
    "nonces of another request": _foreign_nonces,
    "a frozen wallet": _frozen_wallet,
    "frozen after the approval": _frozen_meanwhile,
}


# Stories for the personal set.

TENTH, HUNDREDTH = BTC // 10, BTC // 100


def pay(s: Siege, sats: int, number: int, **options: object) -> bytes:
    """The payee gets so much, from a coin of its own."""
    return good(s, sats=sats, number=number, **options)  # type: ignore[arg-type]


def spent(s: Siege, many: int, sats: int, roles: tuple[str, ...], *owners: str, **options: object) -> None:
    """So many payments are signed, as they may be."""
    for number in range(many):
        assert s.signs(roles, pay(s, sats, 100 + number, **options), *owners), number


def _yes_then(s: Siege, other: Callable[[Siege], bytes], sats: int = 5_000_000) -> str:
    """The phone's owner says yes to one payment; what is asked next."""
    subject, _ = asked(s, pay(s, sats, 1))
    s.owner("phone", subject)
    return s.asks(other(s))


def _yes_grows_old(s: Siege) -> str:
    subject, request = asked(s, pay(s, 5_000_000, 1))
    s.owner("phone", subject)
    s.world.advance(HOUR_MS + 1)
    return s.order(("home", "phone"), subject, request) + ", " + s.said(request)


def _no_then_again(s: Siege) -> str:
    subject, _ = asked(s, pay(s, 5_000_000, 1))
    s.owner("phone", subject, yes=False)
    return s.asks(pay(s, 5_000_000, 1))


def _no_to_what_was_approved(s: Siege) -> str:
    subject, request = asked(s, good(s))
    s.owner("phone", subject, yes=False)
    return s.said(request)


def _rescue_yes(s: Siege, number: str | None) -> str:
    """The owners say yes to the rescue, without the number that they are asked for."""
    subject, request = asked(s, s.psbt(Payment(RESCUE, 30 * BTC)))
    for role in ("home", "phone", "offline"):
        s.owner(role, subject, number=number)
    return s.said(request)


def _without_home(s: Siege) -> str:
    subject, request = asked(s, good(s))
    s.owner("offline", subject)
    return s.order(("phone", "offline"), subject, request)


def forged(s: Siege, role: str, subject: Subject, like: OrderEntry) -> OrderEntry:
    """An evil node approves whatever is asked, with nonces that could be its own."""
    verdict, nonces = open_inner(like.verdict, Kind.VERDICT), open_inner(like.nonces, Kind.NONCES)
    assert isinstance(verdict.body, Verdict)
    assert isinstance(nonces.body, Nonces)
    mouth, to = s.mouth(role), s.world.seats["coord"].identity.public

    def say(kind: Kind, body: Verdict | Nonces) -> SignedLetter:
        return mouth.say(
            kind, to, body, wallet_id=s.wallet.wallet_id, request_id=subject.request_id,
            expires_at_ms=s.world.now.wall_ms + 60_000,
        )  # fmt: skip

    approval = msgspec.structs.replace(
        verdict.body,
        policy_digest=s.world.node(s.names[role]).policies.profiles.digest_for(bytes(32)),
        roles=(),
    )
    return OrderEntry(say(Kind.VERDICT, approval), say(Kind.NONCES, nonces.body))


def _evil_phone(s: Siege) -> str:
    """A thief has the phone and signs with it himself; home wants the laptop beside it."""
    subject, request = asked(s, pay(s, BTC, 1))
    s.world.advance(12 * HOUR_MS)
    mine = s.evil.entry(s.names["home"], request)
    return s.ordered(("home",), subject.request_id, (mine, forged(s, "phone", subject, mine)))


def _too_early(s: Siege) -> str:
    _, request = asked(s, pay(s, BTC, 1))
    s.world.advance(12 * HOUR_MS - 1)
    return s.said(request)


def _wait_by_a_jump(s: Siege) -> str:
    """The wall clock goes twelve hours ahead, and nothing else does."""
    _, request = asked(s, pay(s, BTC, 1))
    s.world.now = jumped(s.world.now, 13 * HOUR_MS)
    s.world.advance(1_000)
    return s.said(request)


def _no_while_it_waits(s: Siege) -> str:
    subject, request = asked(s, pay(s, BTC, 1))
    s.owner("home", subject, yes=False)
    s.world.advance(12 * HOUR_MS)
    return s.said(request)


def _eleventh(s: Siege) -> str:
    spent(s, 10, HUNDREDTH, ("home", "phone"))
    return s.asks(pay(s, HUNDREDTH, 1))


def _eleventh_after_a_jump(s: Siege) -> str:
    spent(s, 10, HUNDREDTH, ("home", "phone"))
    s.world.now = jumped(s.world.now, DAY_MS)
    s.world.advance(1_000)
    return s.asks(pay(s, HUNDREDTH, 1))


def _eleventh_after_a_restart(s: Siege) -> str:
    spent(s, 10, HUNDREDTH, ("home", "phone"))
    for name in s.names.values():
        s.world.restart(name)
    s.world.now = jumped(s.world.now, DAY_MS)
    return s.asks(pay(s, HUNDREDTH, 1))


def _sixth_tenth(s: Siege) -> str:
    spent(s, 5, TENTH - 2_000, ("home", "phone"), "phone")
    return s.asks(pay(s, TENTH, 1))


def _replacement_that_sheds(s: Siege) -> str:
    """The fourth payment is replaced by one with another coin as well, and then that coin alone pays once more."""
    spent(s, 3, TENTH - 2_000, ("home", "phone"), "phone")
    first, second = s.coin(1, 2 * TENTH), s.coin(2, 2 * TENTH)
    for coins in ([first], [first, second]):
        assert s.signs(
            ("home", "phone"), pay(s, TENTH - 2_000, 0, coins=coins, fee_sats=2_000 * len(coins)), "phone"
        )
    assert s.signs(("home", "phone"), pay(s, HUNDREDTH, 3), "phone")
    return s.asks(pay(s, TENTH - 2_000, 0, coins=[second]))


def _third_coin_of_a_month(s: Siege) -> str:
    for number in (1, 2):
        subject, request = asked(s, pay(s, BTC - 2_000, number))
        s.world.advance(12 * HOUR_MS)
        s.owner("offline", subject)
        assert s.order(("home", "offline"), subject, request) == "signed"
    return s.asks(pay(s, TENTH + 1, 3))


def _fees(s: Siege) -> str:
    """Small payments with large fees: six of them, and a seventh."""
    for batch in range(6):
        coins = [s.coin(50 * batch + i, TENTH, WalletPath(0, i % 3)) for i in range(12)]
        assert s.signs(("home", "phone"), pay(s, HUNDREDTH, 0, coins=coins, fee_sats=30_000))
    coins = [s.coin(900 + i, TENTH, WalletPath(0, i % 3)) for i in range(12)]
    return s.asks(pay(s, HUNDREDTH, 0, coins=coins, fee_sats=30_000))


def _recovered(s: Siege) -> str:
    """A restored disk knows nothing of what it signed."""
    name = s.names["home"]
    s.world.stop(name)
    s.world.seats[name].disk.append(note(RecoveredKept(s.world.now.wall_ms, confirmed=False)))
    s.world.restart(name)
    s.world.answer(name, ClockConfirmed())
    return s.asks(good(s))


def _grant(s: Siege, sats: int) -> str:
    """The phone's owner granted 0.2 BTC, of which each node counts its part of 0.1."""
    now_ms = s.world.now.wall_ms
    nonce = s.world.entropy()
    body = GrantBody(s.wallet.wallet_id, FRIEND, 16_000_000, now_ms + 30 * DAY_MS, 4, "", now_ms, nonce)
    name = s.names["phone"]
    exact, signature = sign_grant(body, s.world.seats[name].identity.sign)
    s.world.answer(name, GrantGiven(exact, signature))
    assert s.signs(("home", "phone"), pay(s, 5_000_000, 2))
    return s.asks(pay(s, sats, 3))


PERSONAL_STORIES: dict[str, Attack] = {
    "a yes to another amount": lambda s: _yes_then(s, lambda s: pay(s, 5_000_001, 1)),
    "a yes to another coin": lambda s: _yes_then(s, lambda s: pay(s, 5_000_000, 2)),
    "a yes to another fee": lambda s: _yes_then(s, lambda s: pay(s, 5_000_000, 1, fee_sats=2_001)),
    "a yes to another change": lambda s: _yes_then(
        s, lambda s: pay(s, 5_000_000, 1, change=WalletPath(1, 1))
    ),
    "a yes to another locktime": lambda s: _yes_then(s, lambda s: pay(s, 5_000_000, 1, locktime=1)),
    "a yes that grew old": _yes_grows_old,
    "asked again after a no": _no_then_again,
    "signed after a no": _no_to_what_was_approved,
    "the rescue without a number": lambda s: _rescue_yes(s, None),
    "phone and laptop without home": _without_home,
    "an evil phone in the place of the laptop": _evil_phone,
    "a large one a moment too early": _too_early,
    "a large one by a clock set ahead": _wait_by_a_jump,
    "a large one after a no": _no_while_it_waits,
    "the eleventh small one": _eleventh,
    "the eleventh after a clock set ahead": _eleventh_after_a_jump,
    "the eleventh after a restart": _eleventh_after_a_restart,
    "the sixth larger one": _sixth_tenth,
    "a replacement that sheds a coin": _replacement_that_sheds,
    "a third bitcoin in a month": _third_coin_of_a_month,
    "coins drained as fees": _fees,
    "a restored disk": _recovered,
    "a satoshi more than a grant": lambda s: _grant(s, 3_000_001),
}


# Stories for the enterprise.

BUSINESS = ("treasury", "operations", "audit")
GUARDED = ("treasury", "security", "audit")


def _intent(s: Siege, **changes: object) -> str:
    psbt = good(s)
    return s.asks(psbt, s.intent(psbt, **changes))  # type: ignore[arg-type]


def _intent_of_another(s: Siege) -> str:
    return s.asks(good(s), s.intent(good(s, to=STRANGER)))


def _intent_too_old(s: Siege) -> str:
    psbt = good(s)
    intent = s.intent(psbt, life_ms=60_000)
    s.world.advance(60_000)
    return s.asks(psbt, intent)


def _intent_again(s: Siege) -> str:
    psbt = good(s)
    intent = s.intent(psbt)
    assert s.signs(BUSINESS, psbt, intent=intent)
    return s.asks(good(s, fee_sats=1_999), intent)


def _later(s: Siege, ms: int) -> str:
    s.world.advance(ms)
    return s.asks(good(s))


def _night_to_day(s: Siege, ms: int) -> str:
    """It is night; the wall clock is set so that it would be day."""
    s.world.advance(12 * HOUR_MS)
    s.world.now = jumped(s.world.now, ms)
    s.world.advance(1_000)
    return s.asks(good(s))


def _evening(s: Siege) -> str:
    """The nodes have seen that it is night, and then their clocks are set back."""
    s.world.advance(12 * HOUR_MS)
    asked(s, good(s, number=2))
    s.world.now = jumped(s.world.now, -6 * HOUR_MS)
    return s.asks(good(s))


def _young(s: Siege) -> str:
    s.fresh(young=True)
    return s.asks(good(s))


def _a_desks_day(s: Siege) -> str:
    spent(s, 2, 2 * BTC, BUSINESS)
    return s.asks(pay(s, BTC, 1))


def _a_full_day(s: Siege) -> str:
    spent(s, 4, 2 * BTC, GUARDED, "security")
    return s.asks(pay(s, 2 * BTC, 1))


def _wages_again(s: Siege) -> str:
    for number in (1, 2):
        assert s.signs(GUARDED, good(s, to=PAYROLL, sats=199_000_000, number=number), "security")
    return s.asks(good(s, to=PAYROLL, sats=3_000_000, number=3))


def _large(s: Siege, *people: str, no: str = "", ms: int = 2 * HOUR_MS) -> str:
    """A large payment, what people say of it, and what the nodes say after the delay."""
    subject, request = asked(s, pay(s, 4 * BTC, 1))
    s.people_say(subject, *people)
    if no:
        s.people_say(subject, no, yes=False)
    s.world.advance(ms)
    return s.said(request)


def _words_of_another(s: Siege) -> str:
    """What two treasurers said of one payment is carried to another."""
    first, _ = asked(s, pay(s, 4 * BTC, 1))
    second, request = asked(s, pay(s, 4 * BTC + 1, 1))
    for who in ("bob", "tom"):
        s.relay(s.person(who, first), second)
    s.world.advance(2 * HOUR_MS)
    return s.said(request)


def _words_of_strangers(s: Siege) -> str:
    subject, request = asked(s, pay(s, 4 * BTC, 1))
    s.people_say(subject, "mallory", "desk", "treasury")
    s.world.advance(2 * HOUR_MS)
    return s.said(request)


def _large_by(s: Siege, roles: tuple[str, ...], owners: tuple[str, ...]) -> str:
    """Everybody said yes; these nodes are ordered to sign."""
    subject, request = asked(s, pay(s, 4 * BTC, 1))
    s.people_say(subject, "bob", "tom")
    for role in owners:
        s.owner(role, subject)
    s.world.advance(2 * HOUR_MS)
    return s.order(roles, subject, request)


def _business_alone(s: Siege) -> str:
    subject, request = asked(s, good(s))
    s.owner("cold", subject)
    return s.order(("treasury", "operations", "cold"), subject, request)


def _blocked(s: Siege) -> str:
    return s.asks(good(s, to=BLOCKED))


def _after_a_blocked(s: Siege) -> str:
    """Somebody tried; from then on the security team's node signs nothing."""
    s.asks(good(s, to=BLOCKED))
    return s.asks(good(s, to=PAYROLL))


def _no_number(s: Siege) -> str:
    subject, request = asked(s, good(s, to=PAYROLL, sats=BTC))
    s.owner("security", subject, number=None)
    s.owner("cold", subject, number=None)
    return s.said(request)


def _rescue(s: Siege, *people: str, no: str = "", ms: int = 12 * HOUR_MS) -> str:
    subject, request = asked(s, s.psbt(Payment(VAULT, 3_000 * BTC)))
    s.people_say(subject, *people)
    for role in ("treasury", "operations", "security", "cold"):
        s.owner(role, subject)
    if no:
        s.people_say(subject, no, yes=False)
    s.world.advance(ms)
    return s.said(request)


ENTERPRISE_STORIES: dict[str, Attack] = {
    "no intent": lambda s: s.asks(good(s), None),
    "an intent of another device": lambda s: _intent(s, by="tablet"),
    "an intent of a stranger": lambda s: _intent(s, by="mallory"),
    "an intent for less": lambda s: _intent(s, less=1),
    "an intent for another payee": _intent_of_another,
    "an intent for a lower fee": lambda s: _intent(s, fee=1),
    "an intent for another coin": lambda s: _intent(s, coin=9),
    "an intent that grew old": _intent_too_old,
    "an intent used again": _intent_again,
    "at night": lambda s: _later(s, 12 * HOUR_MS),
    "on a Saturday": lambda s: _later(s, 5 * DAY_MS),
    "at night with a clock set ahead": lambda s: _night_to_day(s, 13 * HOUR_MS),
    "at night with a clock held back": lambda s: _night_to_day(s, -12 * HOUR_MS),
    "at night with a clock set back": _evening,
    "a payee of today": _young,
    "wages in an invoice": lambda s: s.asks(s.psbt(Payment(SUPPLIER, TENTH), Payment(PAYROLL, TENTH))),
    "more than a desk may in a day": _a_desks_day,
    "more than all may in a day": _a_full_day,
    "wages twice in a month": _wages_again,
    "a large one that one treasurer wants": lambda s: _large(s, "bob"),
    "a large one with the word of who asks": lambda s: _large(s, "ann", "bob"),
    "a large one with the board's word": lambda s: _large(s, "eva", "max"),
    "a large one with words about another": _words_of_another,
    "a large one with strangers' words": _words_of_strangers,
    "a large one too early": lambda s: _large(s, "bob", "tom", ms=2 * HOUR_MS - 1),
    "a large one with words a day old": lambda s: _large(s, "bob", "tom", ms=DAY_MS + 1),
    "a large one against a treasurer": lambda s: _large(s, "bob", "tom", no="ann"),
    "a large one that security cancels": lambda s: _large(s, "bob", "tom", no="sue"),
    "a large one by three": lambda s: _large_by(s, GUARDED, ("security",)),
    "a large one without the auditors": lambda s: _large_by(
        s, ("treasury", "operations", "security", "cold"), ("operations", "security", "cold")
    ),
    "those who do the business alone": _business_alone,
    "a blocked payee": _blocked,
    "anything after a blocked payee": _after_a_blocked,
    "a yes without the number": _no_number,
    "the rescue that one of the board wants": lambda s: _rescue(s, "eva"),
    "the rescue too early": lambda s: _rescue(s, "eva", "max", ms=12 * HOUR_MS - 1),
    "the rescue that security cancels": lambda s: _rescue(s, "eva", "max", no="sue"),
}
