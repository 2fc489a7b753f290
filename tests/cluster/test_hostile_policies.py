"""A hostile coordinator with a client's keys before the shipped profiles: whatever it asks, no signature leaves.

Each attack of `attacks.py` and `attack_stories.py` is put to real nodes with the profiles of configs/, and ends as the
tables say: the tags of every node's refusal, without `policy-`. Where one text stands, all nodes say it; else each node
in the order of the set, `yes` and `ask:` and `wait:` too, which are then too few. What stands behind `complains:` is in
the node's records.
"""

from __future__ import annotations

import pytest
from attack_stories import ENTERPRISE_STORIES, PERSONAL_STORIES, STORIES
from attacks import SHAPES, Attack, good, lies
from shipped import ENTERPRISE, PERSONAL
from siege import Siege

from policy.registry import TAGS

BOTH: dict[str, str] = {
    "destination swapped": "destination",
    "destination under another script type": "destination",
    "destination one bit off": "destination",
    "a script that anyone can spend": "destination",
    "a script without an address": "destination",
    "a stranger beside the payee": "destination",
    "half to a stranger": "destination",
    "a crumb to a stranger": "destination",
    "dust": "dust",
    "nothing": "dust",
    "too small for its fee": "fee-share",
    "a rate above all measure": "fee-rate-max",
    "a fee that never confirms": "fee-rate-min",
    "no fee": "fee-rate-min",
    "version 0": "version",
    "version 4": "version",
    "version -1": "version",
    "locked for a day": "locktime",
    "locked for three hours": "locktime",
    "locked for ever": "locktime",
    "a relative lock of a day": "sequence",
    "a relative lock by time": "sequence",
    "sequence 0": "sequence",
    "a meaningless sequence": "sequence",
    "sighash 0x2": "sighash-type",
    "sighash 0x3": "sighash-type",
    "sighash 0x80": "sighash-type",
    "sighash 0x81": "sighash-type",
    "sighash 0x82": "sighash-type",
    "sighash 0x83": "sighash-type",
    "sighash 0xff": "sighash-type",
    "an unknown client": "complains: request-stranger",
    "a person for a client": "complains: request-stranger",
    "a node for a client": "request-stranger",
    "an expired request": "request-expired",
    "under an id of its own": "request-id",
    "about another wallet": "request-wallet",
    "a letter changed on its way": "complains: letter-signature",
    "approvals of another request": "complains: approval-request",
    "one approval of another request": "complains: approval-request",
    "one node twice": "complains: order-signers",
    "fewer than the threshold": "complains: order-signers",
    "stale approvals": "approval-expired",
    "nonces of another request": "complains: approval-request",
    "a frozen wallet": "frozen",
    "frozen after the approval": "nonces-closed",
}
"""What every node of both sets says."""

HOME_PHONE_OFFLINE: dict[str, str] = {
    "the change to a stranger": "destination+tier-sent | deny+destination+tier-sent | destination",
    "data": "destination",
    "data that burns coins": "burn+destination",
    "an anchor for a stranger": "destination | destination | dust+destination",
    "a satoshi above what goes by itself": "yes | ask:ask | ask:ask",
    "a satoshi above the next tier": "wait:wait | deny+tier-sent+destination | ask:ask",
    "a satoshi above the largest tier": (
        "tier-sent+tier-velocity+destination | deny+tier-sent+destination | tier-sent+destination"
    ),
    "the largest in two outputs and a satoshi": (
        "tier-sent+tier-velocity+destination | deny+tier-sent+destination | tier-sent+destination"
    ),
    "all there is": "tier-sent+tier-velocity+destination | deny+tier-sent+destination | tier-sent+destination",
    "a fee above all measure": (
        "fee-max+fee-rate-max+fee-share+velocity-fees | "
        "fee-max+fee-rate-max+fee-share | "
        "fee-max+fee-rate-max+fee-share"
    ),
    "a large share for the fee": "fee-share | fee-rate-max+fee-share | fee-share",
    "the change as a fee": (
        "fee-max+fee-rate-max+fee-share+velocity-fees | "
        "fee-max+fee-rate-max+fee-share | "
        "fee-max+fee-rate-max+fee-share"
    ),
    "61 coins": "inputs | yes | ask:ask",
    "101 coins": "inputs | yes | inputs",
    "31 outputs": "outputs | ask:ask | ask:ask",
    "a coin that is not to be touched": "coin-frozen | coin-frozen | ask:ask",
    "a yes to another amount": "yes | ask:ask | ask:ask",
    "a yes to another coin": "yes | ask:ask | ask:ask",
    "a yes to another fee": "yes | ask:ask | ask:ask",
    "a yes to another change": "yes | ask:ask | ask:ask",
    "a yes to another locktime": "yes | ask:ask | ask:ask",
    "a yes that grew old": "phone does not approve, yes | ask:ask | ask:ask",
    "asked again after a no": "yes | owner-no | ask:ask",
    "signed after a no": "yes | owner-no | ask:ask",
    "the rescue without a number": "yes | ask:ask-number | ask:ask-number",
    "phone and laptop without home": "quorum-never",
    "an evil phone in the place of the laptop": "quorum-roles",
    "a large one a moment too early": "wait:wait | deny+tier-sent+destination | ask:ask",
    "a large one by a clock set ahead": "wait:wait | deny+tier-sent+destination | ask:ask",
    "a large one after a no": "owner-no | deny+tier-sent+destination | ask:ask",
    "the eleventh small one": "yes | ask:ask | ask:ask",
    "the eleventh after a clock set ahead": "yes | ask:ask | ask:ask",
    "the eleventh after a restart": "yes | ask:ask | ask:ask",
    "the sixth larger one": "wait:wait | ask:ask | ask:ask",
    "a replacement that sheds a coin": "wait:wait | ask:ask | ask:ask",
    "a third bitcoin in a month": "tier-velocity | deny+tier-sent+destination | ask:ask",
    "coins drained as fees": "velocity-fees | yes | fee-share",
    "a restored disk": "velocity-count+velocity-fees+tier-velocity | yes | ask:ask",
    "a satoshi more than a grant": "yes | ask:ask | ask:ask",
}
"""What home, phone and offline say."""

OF_FIVE: dict[str, str] = {
    "the change to a stranger": "destination",
    "data": "destination | destination | deny+destination | destination | destination",
    "data that burns coins": (
        "burn+destination | burn+destination | burn+deny+destination | burn+destination | burn+destination"
    ),
    "an anchor for a stranger": "destination",
    "a satoshi above what goes by itself": "wait:wait",
    "a satoshi above the next tier": "wait:wait | tier-sent+destination | wait:wait | wait:wait | wait:wait",
    "a satoshi above the largest tier": (
        "tier-sent+tier-velocity+destination | "
        "tier-sent+destination+tier-velocity | "
        "tier-sent+tier-velocity+destination | "
        "tier-sent+tier-velocity+destination | "
        "tier-sent+tier-velocity+destination"
    ),
    "the largest in two outputs and a satoshi": (
        "tier-sent+tier-velocity+destination | "
        "tier-sent+destination+tier-velocity | "
        "tier-sent+tier-velocity+destination | "
        "tier-sent+tier-velocity+destination | "
        "tier-sent+tier-velocity+destination"
    ),
    "all there is": (
        "tier-sent+tier-velocity+destination | "
        "tier-sent+destination+tier-velocity | "
        "tier-sent+tier-velocity+destination | "
        "tier-sent+tier-velocity+destination | "
        "tier-sent+tier-velocity+destination"
    ),
    "a fee above all measure": "fee-max+fee-rate-max+fee-share",
    "a large share for the fee": "fee-share",
    "the change as a fee": "fee-max+fee-rate-max+fee-share+velocity-fees",
    "61 coins": "inputs",
    "101 coins": "inputs",
    "31 outputs": "outputs",
    "a coin that is not to be touched": "coin-frozen",
    "no intent": "intent",
    "an intent of another device": "intent-device",
    "an intent of a stranger": "intent-device",
    "an intent for less": "intent-match",
    "an intent for another payee": "intent-match",
    "an intent for a lower fee": "intent-fee",
    "an intent for another coin": "intent-coin",
    "an intent that grew old": "intent-expired",
    "an intent used again": (
        "intent-coin+intent-spent | "
        "intent-coin+intent-spent | "
        "intent-coin | "
        "intent-coin+intent-spent | "
        "intent-coin"
    ),
    "at night": "deny",
    "on a Saturday": "deny",
    "at night with a clock set ahead": "intent-expired+deny",
    "at night with a clock held back": "intent-expired+deny",
    "at night with a clock set back": "intent-expired+deny",
    "a payee of today": "list-age",
    "wages in an invoice": "yes | ask:ask | yes | destination | ask:ask",
    "more than a desk may in a day": "yes | tier-velocity | ask:ask | yes | ask:ask",
    "more than all may in a day": "wait:wait | yes | wait:wait | wait:wait | ask:ask",
    "wages twice in a month": "yes | ask:ask | yes | tier-velocity | ask:ask",
    "a large one that one treasurer wants": (
        "ask:ask-people | ask:ask+ask-people | ask:ask+ask-people | ask:ask-people | ask:ask+ask-people"
    ),
    "a large one with the word of who asks": (
        "ask:ask-people | ask:ask+ask-people | ask:ask+ask-people | ask:ask-people | ask:ask+ask-people"
    ),
    "a large one with the board's word": (
        "ask:ask-people | ask:ask+ask-people | ask:ask+ask-people | ask:ask-people | ask:ask+ask-people"
    ),
    "a large one with words about another": (
        "ask:ask-people | ask:ask+ask-people | ask:ask+ask-people | ask:ask-people | ask:ask+ask-people"
    ),
    "a large one with strangers' words": (
        "ask:ask-people | ask:ask+ask-people | ask:ask+ask-people | ask:ask-people | ask:ask+ask-people"
    ),
    "a large one too early": "wait:wait",
    "a large one with words a day old": (
        "ask:ask-people | ask:ask+ask-people | ask:ask+ask-people | ask:ask-people | ask:ask+ask-people"
    ),
    "a large one against a treasurer": "person-no",
    "a large one that security cancels": "wait-cancelled",
    "a large one by three": "quorum-nodes",
    "a large one without the auditors": "quorum-roles",
    "those who do the business alone": "quorum-never",
    "a blocked payee": "destination | destination | deny+destination | destination | destination",
    "anything after a blocked payee": "yes | ask:ask | frozen | yes | ask:ask",
    "a yes without the number": "yes | ask:ask | ask:ask-number | yes | ask:ask-number",
    "the rescue that one of the board wants": "ask:ask-people",
    "the rescue too early": "wait:wait",
    "the rescue that security cancels": "wait-cancelled",
}
"""What treasury, operations, security, audit and cold say."""

TABLES = {PERSONAL: BOTH | HOME_PHONE_OFFLINE, ENTERPRISE: BOTH | OF_FIVE}
ATTACKS: dict[tuple[str, ...], dict[str, Attack]] = {
    PERSONAL: {**SHAPES, **STORIES, **PERSONAL_STORIES},
    ENTERPRISE: {**SHAPES, **STORIES, **ENTERPRISE_STORIES},
}
SETS = pytest.mark.parametrize("siege", [PERSONAL, ENTERPRISE], ids=["personal", "enterprise"], indirect=True)


IN_A_TREE = {
    "a satoshi above what goes by itself": "quorum-nodes",
    "a satoshi above the next tier": "quorum-nodes | tier-sent+destination+quorum-nodes"
    + " | quorum-nodes" * 3,
    "more than all may in a day": "quorum-nodes | yes | quorum-nodes | quorum-nodes | ask:ask",
    "a large one that one treasurer wants": "quorum-nodes",
    "a large one with the word of who asks": "quorum-nodes",
    "a large one with the board's word": "quorum-nodes",
    "a large one with words about another": "quorum-nodes",
    "a large one with strangers' words": "quorum-nodes",
    "a large one too early": "quorum-nodes",
    "a large one with words a day old": "quorum-nodes",
    "a large one against a treasurer": "quorum-nodes",
    "a large one that security cancels": "quorum-nodes",
}
"""Where four of five nodes are demanded and a quorum tree of 3-of-5 can never have more than three."""

NEED_MORE_THAN_T = {"a large one by three", "a large one without the auditors"}
"""Stories that begin with an owner's yes, to what is refused at once there."""


@pytest.fixture(scope="module")
def sieges(scheme: str) -> dict[tuple[str, ...], Siege]:
    """Each set's world, made once for each scheme."""
    del scheme
    return {}


@pytest.fixture
def siege(request: pytest.FixtureRequest, sieges: dict[tuple[str, ...], Siege]) -> Siege:
    """The world of one set, as it was before any attack."""
    roles: tuple[str, ...] = request.param
    made = sieges.setdefault(roles, sieges.get(roles) or Siege(roles))
    made.fresh()
    return made


def ends(siege: Siege, names: list[str], *, together: bool) -> dict[str, str]:
    """How attacks end; those that leave nothing behind may come one after the other."""
    found = {}
    for place, name in enumerate(names):
        if not together or place % 30 == 0:
            siege.fresh()
        found[name] = ATTACKS[siege.roles][name](siege)
        assert "signed" not in siege.pressed(), name
        assert siege.signatures() == siege.told, name
    return found


@SETS
def test_the_payment_that_is_mutated_would_be_signed(siege: Siege) -> None:
    """Or the refusals below would mean nothing."""
    roles = ("treasury", "operations", "audit") if siege.roles == ENTERPRISE else ("home", "phone")
    assert siege.signs(roles, good(siege))
    assert siege.signatures() == siege.told == 2 * len(roles)


@SETS
def test_a_payment_with_one_thing_changed_ends_as_the_table_says(siege: Siege, scheme: str) -> None:
    expected = {name: TABLES[siege.roles][name] for name in SHAPES}
    if scheme != "frost" and siege.roles == ENTERPRISE:
        expected |= {name: said for name, said in IN_A_TREE.items() if name in SHAPES}
    assert ends(siege, list(SHAPES), together=True) == expected


@SETS
def test_a_story_ends_as_the_table_says(siege: Siege, scheme: str) -> None:
    names = [name for name in ATTACKS[siege.roles] if name not in SHAPES]
    expected = dict(TABLES[siege.roles])
    if scheme != "frost" and siege.roles == ENTERPRISE:
        names = [name for name in names if name not in NEED_MORE_THAN_T]
        expected |= IN_A_TREE
    assert ends(siege, names, together=False) == {name: expected[name] for name in names}


@SETS
def test_a_psbt_that_lies_is_refused_for_its_lie(siege: Siege) -> None:
    found = lies(siege)
    assert len(found) > 40
    assert [(name, said) for name, said, codes in found if said not in codes] == []
    assert siege.signatures() == 0


@pytest.mark.parametrize("roles", [PERSONAL, ENTERPRISE], ids=["personal", "enterprise"])
def test_the_tables_are_whole(roles: tuple[str, ...]) -> None:
    """Sixty attacks and more for each set; each ends with fewer approvals than a signature takes."""
    table = TABLES[roles]
    assert set(table) == set(ATTACKS[roles])
    assert len(table) >= 60
    for name, said in table.items():
        assert "signed" not in said, name
        assert said.split(" | ").count("yes") < len(roles) // 2 + 1, name
        assert said != "yes", name


def test_the_attacks_are_about_most_of_what_a_policy_watches() -> None:
    """What they leave out has no part in these sets, or no PSBT can say it."""
    said = {tag for table in TABLES.values() for word in table.values() for tag in _tags(word)}
    known = {tag.name.removeprefix("policy-") for tag in TAGS}
    assert len(said & known) >= 37
    assert {
        "destination", "tier-sent", "tier-velocity", "deny", "dust", "burn", "fee-max", "fee-rate-max", "fee-rate-min",
        "fee-share", "velocity-fees", "velocity-count", "version", "locktime", "sequence", "inputs", "outputs",
        "coin-frozen", "frozen", "list-age", "owner-no", "person-no", "ask", "ask-number", "ask-people", "wait",
        "wait-cancelled", "quorum-nodes", "quorum-roles", "quorum-never", "intent", "intent-device", "intent-match",
        "intent-fee", "intent-coin", "intent-expired", "intent-spent",
    } <= said  # fmt: skip


def _tags(said: str) -> set[str]:
    parts = said.replace(",", " |").split(" | ")
    return {tag for part in parts for tag in part.removeprefix("ask:").removeprefix("wait:").split("+")}
