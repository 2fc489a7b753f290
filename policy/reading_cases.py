"""How the golden cases under `tests:` are read: strictly, as all of a profile is, with the line in every error."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from curve import tagged_hash
from policy.cases import (
    Case,
    CaseChain,
    CaseClient,
    CaseGrant,
    CaseIntent,
    CasePayment,
    CaseSeat,
    CaseSpent,
    CaseWallet,
    CaseWord,
)
from policy.reading_values import (
    Context,
    one_or_more,
    read_bool,
    read_coins,
    read_destination,
    read_who,
    read_whos,
)
from policy.tree import Fields, Mapping, Node, ProfileError, Scalar, kind_of, nearest, need_items, need_text
from policy.units import COUNT, DURATION, NODES, RATE, SATS, Unit
from policy.values import CoinSet
from policy.verdict import Outcome
from policy.wording import shown

T = TypeVar("T")

MAX_CASES = 500
MAX_NODES = 127
_OF = re.compile(r"([0-9]{1,3})-of-([0-9]{1,3})")
_STRANGER = re.compile(r"stranger(-[1-9])?")
_MOMENT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-2][0-9]):([0-5][0-9])")
_OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SPENT_FEE_SATS = 300
KEYS = (
    "name", "expect", "tag", "pay", "at", "wallet", "client", "fee", "rate", "inputs", "change", "data", "locktime",
    "replaceable", "owner", "people", "against", "waited", "spent", "chain", "listed", "in_doubt", "recovered",
    "frozen", "intent", "grants", "quorum", "leaf",
)  # fmt: skip
"""Every key of a case."""


def read_cases(node: Node | None, context: Context, known_tags: frozenset[str]) -> tuple[Case, ...]:
    """The cases under `tests:`: a list of them, or a group with what they share and the list as `cases`."""
    if node is None:
        return ()
    shared = None
    if isinstance(node, Mapping):
        shared = Fields(node, ("wallet", "at", "client", "cases"))
        node = shared.need("cases", "write the cases as a list")
    items = need_items(node, "write at least one case, or leave `tests` out")
    if len(items) > MAX_CASES:
        raise ProfileError(node.line, node.path, f"{len(items)} cases; the most is {MAX_CASES}")
    return tuple(_case(item, shared, context, known_tags) for item in items)


def _case(node: Node, shared: Fields | None, context: Context, known_tags: frozenset[str]) -> Case:
    fields = Fields(node, KEYS)

    def first(key: str) -> Node | None:
        found = fields.get(key)
        return found if found is not None or shared is None else shared.get(key)

    name = need_text(fields.need("name", "name the case"), "name the case")
    inputs, at, wallet, client = fields.get("inputs"), first("at"), first("wallet"), first("client")
    fee, rate = fields.get("fee"), fields.get("rate")
    if fee is not None and rate is not None:
        raise ProfileError(rate.line, rate.path, "write `fee` or `rate`, not both")
    count, coins = _inputs(inputs, context)
    return Case(
        name=shown(name, 80),
        line=node.line,
        expect=_outcome(fields.need("expect", f"write one of {', '.join(_OUTCOMES)}")),
        tags=_tags(fields.get("tag"), known_tags),
        pays=_pays(fields.need("pay", "write whom it pays, such as `pay: {friends: 50_000sat}`"), context),
        at_ms=_moment(at, context),
        wallet=CaseWallet() if wallet is None else _wallet(wallet),
        client=CaseClient() if client is None else _client(client),
        fee_sats=_unit(fee, SATS),
        rate=_unit(rate, RATE),
        inputs=count,
        coins=coins,
        change=_maybe(fields.get("change"), read_bool),
        data=_flag(fields, "data"),
        locktime=_unit(fields.get("locktime"), COUNT) or 0,
        leaf=_maybe(fields.get("leaf"), read_who) or "",
        replaceable=_maybe(fields.get("replaceable"), read_bool) is not False,
        owner=_maybe(fields.get("owner"), _owner),
        people=(*_people(fields.get("people"), yes=True), *_people(fields.get("against"), yes=False)),
        waited_ms=_unit(fields.get("waited"), DURATION),
        spent=_each(fields.get("spent"), lambda item: _spent(item, context)),
        chain=_maybe(fields.get("chain"), _chain),
        listed_ms=_unit(fields.get("listed"), DURATION),
        in_doubt=_flag(fields, "in_doubt"),
        recovered_ms=_unit(fields.get("recovered"), DURATION),
        frozen=_flag(fields, "frozen"),
        intent=_maybe(fields.get("intent"), lambda found: _intent(found, context)),
        grants=_each(fields.get("grants"), lambda item: _grant(item, context)),
        quorum=_each(fields.get("quorum"), _seat),
    )


# Small things.


def _maybe(node: Node | None, read: Callable[[Node], T]) -> T | None:
    return None if node is None else read(node)


def _each(node: Node | None, read: Callable[[Node], T]) -> tuple[T, ...]:
    return () if node is None else tuple(read(item) for item in one_or_more(node, "write at least one"))


def _unit(node: Node | None, unit: Unit[int]) -> int | None:
    return None if node is None else unit.read(node)


def _flag(fields: Fields, key: str) -> bool:
    return _maybe(fields.get(key), read_bool) is True


def _outcome(node: Node) -> Outcome:
    hint = f"write one of {', '.join(_OUTCOMES)}"
    word = need_text(node, hint)
    if word not in _OUTCOMES:
        raise ProfileError(node.line, node.path, f"`{shown(word, 40)}` is no outcome; {hint}")
    return _OUTCOMES[word]


def _tags(node: Node | None, known: frozenset[str]) -> tuple[str, ...]:
    found = []
    for item in () if node is None else one_or_more(node, "write at least one tag, or leave it out"):
        tag = need_text(item, "write a tag such as policy-deny")
        if tag not in known:
            near = nearest(tag, known)
            raise ProfileError(
                item.line,
                item.path,
                f"`{shown(tag, 40)}` is not a registered tag"
                + (near if "did you mean" in near else "; docs/policy.md lists them"),
            )
        found.append(tag)
    return tuple(found)


def _moment(node: Node | None, context: Context) -> int:
    """When it is: Monday noon where the file does not say."""
    zone = UTC if context.zone is None else context.zone.tz
    if node is None:
        return int(datetime(2027, 1, 4, 12, tzinfo=zone).timestamp()) * 1000
    hint = "write a moment such as `2026-11-24 10:30`, as the clocks of the profile's zone show it"
    text = need_text(node, hint)
    found = _MOMENT.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        parts = [int(part) for part in found.groups()]
        return int(datetime(parts[0], parts[1], parts[2], parts[3], parts[4], tzinfo=zone).timestamp()) * 1000
    except (ValueError, OverflowError):
        raise ProfileError(node.line, node.path, f"`{shown(text, 40)}` is no moment; {hint}") from None


# The wallet, and who asks.


def _wallet(node: Node) -> CaseWallet:
    """`2-of-3`, or `{nodes: [home, phone, offline], threshold: 2, me: home}`."""
    hint = "write `2-of-3`, or `{nodes: [home, phone, offline], threshold: 2, me: home}`"
    if isinstance(node, Mapping):
        fields = Fields(node, ("nodes", "threshold", "me"))
        nodes, me = fields.need("nodes", hint), fields.get("me")
        t = NODES.read(fields.need("threshold", hint))
        whole = isinstance(nodes, Scalar)
        roles = () if whole else tuple(read_who(item) for item in need_items(nodes, hint))
        found = CaseWallet(
            NODES.read(nodes) if whole else len(roles), t, roles, "" if me is None else read_who(me)
        )
        if me is not None and found.me not in roles:
            raise ProfileError(me.line, me.path, f"{found.me} is none of the nodes; name it among them")
    else:
        text = need_text(node, hint)
        of = _OF.fullmatch(text)
        if of is None:
            raise ProfileError(node.line, node.path, f"`{shown(text, 40)}` is no wallet; {hint}")
        found = CaseWallet(int(of[2]), int(of[1]))
    if not 1 <= found.t <= found.n <= MAX_NODES:
        raise ProfileError(
            node.line, node.path, f"{found.t} of {found.n} nodes cannot be; the threshold is 1 to all"
        )
    return found


def _client(node: Node) -> CaseClient:
    """`desk`, or `{name: desk, person: alice, roles: [treasurer]}`."""
    if not isinstance(node, Mapping):
        return CaseClient(read_who(node))
    fields = Fields(node, ("name", "person", "roles"))
    name, person, roles = fields.get("name"), fields.get("person"), fields.get("roles")
    if roles is not None and person is None:
        raise ProfileError(roles.line, roles.path, "are a person's; write `person:` too")
    return CaseClient(
        "client" if name is None else read_who(name),
        "" if person is None else read_who(person),
        () if roles is None else tuple(sorted(read_whos(roles).words)),
    )


# The transaction.


def _pays(node: Node, context: Context) -> tuple[CasePayment, ...]:
    """`{friends: 50_000sat}`, or a list of `{to: friends, amount: 50_000sat}`."""
    if isinstance(node, Mapping):
        if not node.entries:
            raise ProfileError(node.line, node.path, "pays nobody; write `{own: AMOUNT}` for a round trip")
        return tuple(
            _payment(Scalar(entry.line, entry.node.path, entry.key), entry.node, context)
            for entry in node.entries
        )
    found = []
    for item in need_items(node, "write whom it pays, such as `{friends: 50_000sat}`"):
        fields = Fields(item, ("to", "amount"))
        found.append(
            _payment(
                fields.need("to", "write whom it pays"), fields.need("amount", "write how much"), context
            )
        )
    return tuple(found)


def _payment(to: Node, amount: Node, context: Context) -> CasePayment:
    script, word = _place(to, context)
    return CasePayment(script, SATS.read(amount), word)


def _place(node: Node, context: Context) -> tuple[bytes, str]:
    """A script (b"" for this wallet) and the word for it; of a list, its first script."""
    word = need_text(node, "write a list's name, `own`, `stranger` or an address")
    if _STRANGER.fullmatch(word) and word not in context.lists:
        return b"\x51\x20" + tagged_hash("assent/policy/stranger", word.encode()), word
    if word == "anyone":
        raise ProfileError(node.line, node.path, "anyone is nobody in particular; write `stranger`")
    places = read_destination(node, context)
    if not places.scripts and not places.own:
        raise ProfileError(node.line, node.path, f"`{shown(word, 40)}` holds no address; name another")
    return (min(places.scripts), shown(word)) if places.scripts else (b"", shown(word))


def _inputs(node: Node | None, context: Context) -> tuple[int, CoinSet | None]:
    """So many coins, or those of a list of names and outpoints."""
    if node is None:
        return 1, None
    if isinstance(node, Scalar) and isinstance(node.value, int):
        return COUNT.read(node), None
    coins = read_coins(node, context)
    return len(coins.outpoints) + len(coins.paths), coins


# What was said and done before.


def _owner(node: Node) -> CaseWord:
    """`true`, `false`, or a yes in detail: `{ago: 2h, number: true}`."""
    if not isinstance(node, Mapping):
        return CaseWord(yes=read_bool(node))
    fields = Fields(node, ("ago", "number"))
    return CaseWord(
        ago_ms=_unit(fields.get("ago"), DURATION) or 0,
        matched=_flag(fields, "number"),
    )


def _people(node: Node | None, *, yes: bool) -> tuple[CaseWord, ...]:
    """`{treasurer: 2}`: two nameless people of a role; `{alice: [treasurer, auditor]}`: one person with roles."""
    if node is None:
        return ()
    hint = "write `{ROLE: HOW MANY}`, or `{NAME: [ROLE, ...]}`"
    if not isinstance(node, Mapping) or not node.entries:
        raise ProfileError(node.line, node.path, f"is {kind_of(node)}; {hint}")
    found: list[CaseWord] = []
    for entry in node.entries:
        name = read_who(Scalar(entry.line, entry.node.path, entry.key))
        if isinstance(entry.node, Scalar) and isinstance(entry.node.value, int):
            many = range(1, min(COUNT.read(entry.node), MAX_NODES) + 1)
            side = "" if yes else "-against"
            found += [CaseWord(f"{name}{side}-{number}", (name,), yes) for number in many]
        else:
            found.append(CaseWord(name, tuple(sorted(read_whos(entry.node).words)), yes))
    return tuple(found)


def _spent(node: Node, context: Context) -> CaseSpent:
    """`{ago: 2h, amount: 1btc, to: friends}`; `{ago: 1h, fee: 300sat, replaced: true}`."""
    fields = Fields(node, ("ago", "amount", "to", "fee", "client", "grant", "replaced"))
    to, amount, fee, client = (fields.get(key) for key in ("to", "amount", "fee", "client"))
    replaced = _flag(fields, "replaced")
    if replaced and (to is not None or amount is not None):
        raise ProfileError(
            node.line, node.path, "what is replaced has the case's own payments; leave these out"
        )
    if amount is None and not replaced:
        raise ProfileError(node.line, node.path, "says not how much; write `amount:`")
    pays: tuple[CasePayment, ...] = ()
    if amount is not None:
        pays = (_payment(to or Scalar(node.line, node.path, "stranger"), amount, context),)
    return CaseSpent(
        DURATION.read(fields.need("ago", "write how long ago it was signed, such as `ago: 2h`")),
        pays,
        _SPENT_FEE_SATS if fee is None else SATS.read(fee),
        "" if client is None else read_who(client),
        _unit(fields.get("grant"), COUNT) or 0,
        replaced,
    )


def _chain(node: Node) -> CaseChain:
    fields = Fields(node, ("balance", "tip", "tip_age", "confirmations", "coin_age"))
    default = CaseChain()
    return CaseChain(
        _unit(fields.get("balance"), SATS) or default.balance_sats,
        _unit(fields.get("tip"), COUNT) or default.tip_height,
        _unit(fields.get("tip_age"), DURATION) or default.tip_age_ms,
        _unit(fields.get("confirmations"), COUNT) or default.confirmations,
        _unit(fields.get("coin_age"), DURATION) or default.coin_age_ms,
    )


def _intent(node: Node, context: Context) -> CaseIntent:
    """`phone-app`: an intent for exactly this spend, by this device; or a group saying what is otherwise."""
    if not isinstance(node, Mapping):
        return CaseIntent(read_who(node))
    fields = Fields(node, ("device", "pay", "max_fee", "expired", "spent"))
    return CaseIntent(
        read_who(fields.need("device", "write the device that signed it")),
        _maybe(fields.get("pay"), lambda pay: _pays(pay, context)),
        _unit(fields.get("max_fee"), SATS),
        _flag(fields, "expired"),
        _flag(fields, "spent"),
    )


def _grant(node: Node, context: Context) -> CaseGrant:
    """`{to: gym, up_to: 100_000sat, payments: 12, left: 30d}`."""
    fields = Fields(node, ("to", "up_to", "payments", "left", "expired", "must_sign"))
    default = CaseGrant(b"", 0)
    must_sign, left = fields.get("must_sign"), _unit(fields.get("left"), DURATION)
    return CaseGrant(
        _place(fields.need("to", "write whom it pays"), context)[0],
        SATS.read(fields.need("up_to", "write how much, such as `up_to: 100_000sat`")),
        _unit(fields.get("payments"), COUNT) or default.payments,
        -1 if _flag(fields, "expired") else left or default.left_ms,
        "" if must_sign is None else read_who(must_sign),
    )


def _seat(node: Node) -> CaseSeat:
    """`home`, or `{role: home, policy: DIGEST}`."""
    if not isinstance(node, Mapping):
        return CaseSeat(read_who(node))
    fields = Fields(node, ("role", "policy"))
    digest = fields.need("policy", "write the digest of its policy")
    text = need_text(digest, "write 64 hex digits")
    if not _DIGEST.fullmatch(text):
        raise ProfileError(digest.line, digest.path, "is not 64 hex digits; `assent policy show` gives it")
    return CaseSeat(read_who(fields.need("role", "write its role")), bytes.fromhex(text))
