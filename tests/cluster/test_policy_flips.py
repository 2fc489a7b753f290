"""No word of the language does nothing: in the judge of a real node, each one changes the verdict on a real PSBT.

A new setting, condition or field without a flip here fails. What no node has a source for yet refuses, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import pytest
from evil import EvilCoordinator
from lone_signer import funding_tx
from policed import PolicedWorld
from spends import STRANGER

from cluster.client import REQUEST_LIFE_MS
from cluster.codec import Mouth
from cluster.messages import Decision, Kind, Request, Verdict
from cluster.owner_says import Answer
from cluster.profiles import Texts
from cluster.records import NO_WALLET
from cluster.subjects import Subject, describe
from curve import tagged_hash
from policy import Conditions
from policy.actions import Ask, Wait
from policy.conditions import CONDITIONS
from policy.profile import Clause, Deny
from policy.setting import SETTINGS
from policy.when_amounts import NO_CHAIN
from policy.windows import Velocity
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

FRIEND, OTHER = STRANGER, b"\x00\x14" + b"\x42" * 20
HOUR_MS = 3_600_000
BASE = f"""\
schema: 1
name: flipped
network: regtest
zone: UTC
lists:
  friends: ["script:{FRIEND.hex()}"]
  others: ["script:{OTHER.hex()}"]
limits:
  amount: {{sent: unlimited}}
  velocity: unlimited
tiers:
  - name: all
    when: {{sent_up_to: 1btc}}
    then: approve
"""


@dataclass(frozen=True)
class Asked:
    """A request that a node was asked to judge, and what it answered."""

    subject: Subject
    verdict: Verdict


class Desk:
    """A node, and a client that asks it about a spend of two coins, which pays a friend and somebody else."""

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin anew, with another world."""
        people = {"ann": ("treasurer",), "bob": ("treasurer",)}
        self.world = PolicedWorld("", people=people, client_of="ann")
        self.wallet = self.world.make_wallet()
        self.coordinator = EvilCoordinator(self.world)
        self.count = 0
        self.adopt(BASE)
        self.world.advance(2 * HOUR_MS)

    def adopt(self, text: str) -> None:
        """This profile is in force at the node, from whichever was before."""
        now_ms = self.world.now.wall_ms
        profiles = self.world.node("node0").policies.profiles
        profiles.adopt(Texts(text), NO_WALLET, at_ms=now_ms, policy_ms=now_ms)

    def psbt(self) -> bytes:
        """Of two coins on the first address, 20,000 sat to the friend and 15,000 to somebody else; the fee is 500."""
        self.count += 1
        path = WalletPath(0, 0)
        previous = [funding_tx(2 * self.count + i, 100_000, self.wallet.public.script(path)) for i in (0, 1)]
        coins = [Coin(OutPoint(tagged_hash("flip/coin", one), 0), 100_000, path) for one in previous]
        return build_psbt(
            self.wallet.public,
            coins=coins,
            payments=[Payment(FRIEND, 20_000), Payment(OTHER, 15_000)],
            fee_sats=500,
            change=WalletPath(1, 0),
            locktime=9,
        )

    def ask(self, text: str) -> Asked:
        """What the node says of a new spend under a profile."""
        self.adopt(text)
        world, client = self.world, self.world.seats["client"].identity
        body = Request(self.psbt(), "", self.count.to_bytes(32, "big"))
        subject = describe(self.wallet, body, client.public)
        self.letter = Mouth(client, world.roster.cluster_id, b"mean" * 4).say(
            Kind.REQUEST,
            world.seats["coord"].identity.public,
            body,
            wallet_id=self.wallet.wallet_id,
            request_id=subject.request_id,
            expires_at_ms=world.now.wall_ms + REQUEST_LIFE_MS,
        )
        return Asked(subject, self.again())

    def again(self) -> Verdict:
        """What the node says of the same request now."""
        said = self.coordinator.propose("node0", self.letter)
        verdict = next(letter.body for letter in said if letter.header.kind is Kind.VERDICT)
        assert isinstance(verdict, Verdict)
        return verdict

    def reasons(self, asked: Asked) -> str:
        """What the node tells its owner."""
        ticket = self.world.node("node0").ticket(asked.subject.request_id)
        assert ticket is not None
        return " ".join(ticket.judgement.reasons)


@pytest.fixture(scope="module")
def _shared() -> Desk:
    return Desk()


@pytest.fixture
def desk(_shared: Desk) -> Desk:
    if _shared.count > 20:  # a client has a quota
        _shared.open()
    return _shared


# Conditions.

NOBODY = "script:5120" + "77" * 32
CONDITION_FLIPS: dict[str, tuple[str, str]] = {
    "pays_only": ("anyone", "friends"),
    "pays_any": ("friends", NOBODY),
    "paid_before": ("false", "true"),
    "listed_for": ("1h", "90d"),
    "script_types": ("[p2tr, p2wpkh]", "p2tr"),
    "carries_data": ("false", "true"),
    "round_trip": ("false", "true"),
    "recipients_up_to": ("2", "1"),
    "recipients_above": ("1", "2"),
    "sent_up_to": ("35_000sat", "34_999sat"),
    "sent_above": ("34_999sat", "35_000sat"),
    "total_up_to": ("35_500sat", "35_499sat"),
    "total_above": ("35_499sat", "35_500sat"),
    "each_up_to": ("20_000sat", "19_999sat"),
    "each_above": ("19_999sat", "20_000sat"),
    "fee_up_to": ("500sat", "499sat"),
    "fee_above": ("499sat", "500sat"),
    "fee_rate_up_to": ("100sat/vB", "1sat/vB"),
    "fee_rate_above": ("1sat/vB", "100sat/vB"),
    "fee_share_up_to": ("2%", "1%"),
    "fee_share_above": ("1%", "2%"),
    "bump": ("false", "true"),
    "velocity": ("{window: 24h, sum: 1btc}", "{window: 24h, sum: 40_000sat}"),
    "days": ("TODAY", "TOMORROW"),
    "hours": ("00:00-24:00", "OTHER_HOURS"),
    "before": ("2099-01-01", "2000-01-01"),
    "since": ("2000-01-01", "2099-01-01"),
    "locked": ("true", "false"),
    "replaceable": ("true", "false"),
    "coins_only": ("own/0/0", "own/0/9"),
    "coins_any": ("own/0/0", "own/0/9"),
    "inputs_up_to": ("2", "1"),
    "inputs_above": ("1", "2"),
    "consolidation": ("false", "true"),
    "asked_by": ("client", "somebody"),
    "asked_by_role": ("treasurer", "auditor"),
    "recovery": ("false", "true"),
    "outsiders": ("false", "true"),
    "leaf_timed": ("false", "true"),
}
NO_LEAF = {"by_leaf": "[inheritance]"}
"""Never true of a wallet without leaves; `test_story_leaves.py` spends by one."""

UNTOLD = {"approved_by": "{treasurer: 1}"}
"""What nobody has said yet, so that with it the tier does not fit; `test_people.py` shows the yes that makes it fit."""

NO_SOURCE = {
    "balance_share_up_to": "100%",
    "balance_share_above": "1%",
    "keeps": "1sat",
    "confirmations": "1",
    "coin_age": "1h",
    "tip_within": "90d",
}


def tier(key: str, value: str, world: PolicedWorld, place: str = "when") -> str:
    at = datetime.fromtimestamp(world.now.wall_ms // 1000, UTC)
    words = {
        "TODAY": f"{at:%a}".lower(),
        "TOMORROW": f"{at + timedelta(days=1):%a}".lower(),
        "OTHER_HOURS": f"{at + timedelta(hours=2):%H}:00-{at + timedelta(hours=3):%H}:00",
    }
    group = f"{{{key}: {words.get(value, value)}}}"
    if place == "limits":
        return BASE + f"    limits: {group}\n"
    return BASE.replace("when: {sent_up_to: 1btc}", f"when: {group}")


def test_every_condition_is_flipped() -> None:
    assert {*CONDITION_FLIPS, *UNTOLD, *NO_SOURCE, *NO_LEAF} == set(CONDITIONS)


@pytest.mark.parametrize("key", CONDITION_FLIPS)
def test_each_condition_changes_the_verdict(key: str, desk: Desk) -> None:
    mild, strict = CONDITION_FLIPS[key]
    for place in sorted(CONDITIONS[key].places):
        assert desk.ask(tier(key, mild, desk.world, place)).verdict.decision is Decision.APPROVE
        refused = desk.ask(tier(key, strict, desk.world, place)).verdict
        assert (refused.decision, refused.codes) == (Decision.REFUSE, (CONDITIONS[key].tag,))


@pytest.mark.parametrize("key", NO_LEAF)
def test_what_no_spend_of_this_wallet_is(key: str, desk: Desk) -> None:
    assert desk.ask(tier(key, NO_LEAF[key], desk.world)).verdict.codes == (CONDITIONS[key].tag,)


@pytest.mark.parametrize("key", UNTOLD)
def test_what_nobody_has_said(key: str, desk: Desk) -> None:
    assert desk.ask(BASE).verdict.decision is Decision.APPROVE
    assert desk.ask(tier(key, UNTOLD[key], desk.world)).verdict.codes == (CONDITIONS[key].tag,)


@pytest.mark.parametrize("key", NO_SOURCE)
def test_a_condition_without_a_source_refuses_and_says_so(key: str, desk: Desk) -> None:
    for place in sorted(CONDITIONS[key].places):
        asked = desk.ask(tier(key, NO_SOURCE[key], desk.world, place))
        assert (asked.verdict.decision, asked.verdict.codes) == (Decision.REFUSE, (CONDITIONS[key].tag,))
        assert NO_CHAIN in desk.reasons(asked)
    denied = desk.ask(f"{BASE}deny:\n  - {{name: never, when: {{{key}: {NO_SOURCE[key]}}}}}\n")
    assert denied.verdict.codes == ("policy-deny",)
    assert NO_CHAIN in desk.reasons(denied)


# Settings.

SETTING_FLIPS = {
    "baseline.max_inputs": ("2", "1"),
    "baseline.max_outputs": ("3", "2"),
    "baseline.max_vsize": ("10_000vB", "100vB"),
    "baseline.max_version": ("2", "1"),
    "baseline.max_locktime_height": ("9", "8"),
    "baseline.min_output": ("15_000sat", "15_001sat"),
    "limits.fee.max": ("500sat", "499sat"),
    "limits.fee.min": ("500sat", "501sat"),
    "limits.fee.max_rate": ("100sat/vB", "1sat/vB"),
    "limits.fee.min_rate": ("1sat/vB", "100sat/vB"),
    "limits.fee.max_share": ("2%", "1%"),
    "limits.amount.sent": ("35_000sat", "34_999sat"),
    "limits.amount.total": ("35_500sat", "35_499sat"),
    "limits.amount.output": ("20_000sat", "19_999sat"),
    "limits.amount.share": ("", "100%"),
    "limits.amount.keep": ("", "1sat"),
    "limits.pace.min_blocks": ("", "1"),
}


def setting(key: str, value: str) -> str:
    group, name = key.rsplit(".", 1)
    if not value:
        return BASE
    if group == "baseline":
        return BASE.replace("limits:", f"baseline: {{{name}: {value}}}\nlimits:")
    if group == "limits.amount":
        sent = "" if name == "sent" else "sent: unlimited, "
        return BASE.replace("{sent: unlimited}", f"{{{sent}{name}: {value}}}")
    return BASE.replace("  amount:", f"  {group.removeprefix('limits.')}: {{{name}: {value}}}\n  amount:")


def test_every_setting_is_flipped() -> None:
    assert list(SETTING_FLIPS) == [one.key for one in SETTINGS]


@pytest.mark.parametrize("key", SETTING_FLIPS)
def test_each_setting_changes_the_verdict(key: str, desk: Desk) -> None:
    mild, strict = SETTING_FLIPS[key]
    assert desk.ask(setting(key, mild)).verdict.decision is Decision.APPROVE
    refused = desk.ask(setting(key, strict))
    assert refused.verdict.decision is Decision.REFUSE
    assert len(refused.verdict.codes) == 1
    if not mild:
        assert "no source for the chain" in desk.reasons(refused)


# The other parts.


def then(action: str) -> str:
    return BASE.replace("then: approve", f"then: {action}")


def head(line: str) -> str:
    return BASE.replace("zone: UTC", line)


def window(rest: str) -> str:
    return BASE.replace("velocity: unlimited", f"velocity: [{{window: 24h, {rest}}}]")


def deny(rest: str) -> str:
    return f"{BASE}deny:\n  - {{name: never, {rest}}}\n"


R, A, W = Decision.REFUSE, Decision.ASK, Decision.WAIT
PART_FLIPS: dict[str, tuple[str, str, Decision]] = {
    "receive_only": (head("zone: UTC\nreceive_only: false"), head("zone: UTC\nreceive_only: true"), R),
    "coins.frozen": (
        head("zone: UTC\ncoins: {frozen: [own/0/9]}"), head("zone: UTC\ncoins: {frozen: [own/0/0]}"), R,
    ),
    "intents": (BASE, head("zone: UTC\nintents: required"), R),
    "evil_nodes": (
        window("sum: 60_000sat").replace("zone:", "evil_nodes: 0\nzone:"), window("sum: 60_000sat"), R,
    ),
    "velocity.sum_sats": (window("sum: 80_000sat"), window("sum: 60_000sat"), R),
    "velocity.count": (window("count: 2"), window("count: 1"), R),
    "velocity.fees_sats": (window("fees: 1_000sat"), window("fees: 999sat"), R),
    "velocity.recipients": (window("recipients: 4"), window("recipients: 3"), R),
    # To one recipient only what it receives counts, so what is too much for the wallet is not for one.
    "velocity.per": (window("sum: 60_000sat, per: recipient"), window("sum: 60_000sat"), R),
    "deny.clauses": (deny("when: {sent_above: 35_000sat}"), deny("when: {sent_above: 34_999sat}"), R),
    "deny.unless": (
        deny("when: {sent_above: 1sat}, unless: {inputs_up_to: 2}"),
        deny("when: {sent_above: 1sat}, unless: {inputs_up_to: 1}"), R,
    ),
    "tier.unless": (f"{BASE}    unless: {{inputs_above: 2}}\n", f"{BASE}    unless: {{inputs_above: 1}}\n", R),
    "then.refuse": (BASE, then("refuse"), R),
    "then.grant": (BASE, then("grant"), R),
    "ask.owner": (BASE, then("ask"), A),
    "ask.people": (BASE, then("{ask: {people: {treasurer: 1}}}"), A),
    "ask.distinct": (BASE, then("{ask: {distinct: 1}}"), A),
    "wait.delay_ms": (BASE, then("{wait: {delay: 1h}}"), W),
    "quorum.need_nodes": (f"{BASE}    quorum: {{nodes: 3}}\n", f"{BASE}    quorum: {{nodes: 4}}\n", R),
    "quorum.roles": (f"{BASE}    quorum: {{roles: role1}}\n", f"{BASE}    quorum: {{roles: bunker}}\n", R),
    "quorum.never_only": (
        f"{BASE}    quorum: {{never_only: [role0, role1]}}\n",
        f"{BASE}    quorum: {{never_only: [role0, role1, role2]}}\n", R,
    ),
    "quorum.policies": (
        f"{BASE}    quorum: {{policies: {{role1: {'ab' * 32}}}}}\n",
        f"{BASE}    quorum: {{policies: {{role0: {'ab' * 32}}}}}\n", R,
    ),
}  # fmt: skip
ELSEWHERE = {
    "velocity.window", "velocity.line", "deny.name", "deny.line", "deny.freeze", "deny.notify",
    "ask.within_ms", "ask.match", "wait.expires_ms", "wait.cancel",
}  # fmt: skip
"""Names and lines; those below; and what `test_attack_policy.py` (windows), `test_story_policy_actions.py` (notices)
and `test_people.py` (a person's no) tell in whole stories."""


def test_every_part_is_flipped() -> None:
    kinds = {"velocity": Velocity, "deny": Deny, "ask": Ask, "wait": Wait, "quorum": Conditions}
    parts = {f"{name}.{field.name}" for name, kind in kinds.items() for field in fields(kind)}
    assert parts - ELSEWHERE <= set(PART_FLIPS)
    assert not ELSEWHERE & set(PART_FLIPS)
    assert {field.name for field in fields(Clause)} == {"key", "value", "line"}


@pytest.mark.parametrize("part", PART_FLIPS)
def test_each_part_changes_the_verdict(part: str, desk: Desk) -> None:
    mild, strict, decision = PART_FLIPS[part]
    found = desk.ask(mild).verdict
    assert found.decision is Decision.APPROVE, found.codes
    assert desk.ask(strict).verdict.decision is decision


def test_the_zone_changes_the_verdict(desk: Desk) -> None:
    at = datetime.fromtimestamp(desk.world.now.wall_ms // 1000, UTC)
    soon = (at.hour + 1) % 24
    text = tier("hours", f"{at.hour:02}:00-{soon:02}:00", desk.world)
    assert desk.ask(text).verdict.decision is Decision.APPROVE
    assert desk.ask(text.replace("zone: UTC", "zone: Asia/Tokyo")).verdict.codes == ("policy-hours",)


@pytest.mark.parametrize(
    ("mild", "strict"),
    [("ask: {within: 4h}", "ask: {within: 1h}"), ("ask: owner", "ask: {match: true}")],
    ids=["within", "match"],
)
def test_what_becomes_of_a_yes(mild: str, strict: str, desk: Desk) -> None:
    for action, expected in ((mild, Decision.APPROVE), (strict, Decision.ASK)):
        asked = desk.ask(then(f"{{{action}}}"))
        assert asked.verdict.decision is Decision.ASK
        desk.world.answer("node0", Answer(asked.subject.request_id, True))
        desk.world.advance(2 * HOUR_MS)
        assert desk.again().decision is expected


def test_a_wait_that_expires_is_refused_and_one_that_does_not_is_approved(desk: Desk) -> None:
    for action, expected in (("delay: 1h", Decision.APPROVE), ("delay: 1h, expires: 90min", Decision.REFUSE)):
        assert desk.ask(then(f"{{wait: {{{action}}}}}")).verdict.decision is Decision.WAIT
        desk.world.advance(2 * HOUR_MS)
        assert desk.again().decision is expected


def test_a_deny_rule_that_freezes_keeps_the_next_spend_too(desk: Desk) -> None:
    text = deny("when: {sent_above: 1sat}, then: freeze")
    assert desk.ask(text.replace("freeze", "refuse")).verdict.codes == ("policy-deny",)
    assert desk.ask(BASE).verdict.decision is Decision.APPROVE
    assert desk.ask(text).verdict.codes == ("policy-deny",)
    assert desk.ask(BASE).verdict.codes == ("policy-frozen",)
    desk.open()
