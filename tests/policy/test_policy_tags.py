"""Each registered tag lets a spend pass and refuses one citing exactly it; a tag without both fails here."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from policy_house import (
    NOW_MS,
    OURS,
    PROFILE,
    SPEND_ID,
    STRANGER,
    change,
    coin,
    facts,
    output,
    profile,
    spend,
    wallet,
)

from policy import TAGS, Book, Booking, Facts, Outcome, judge
from policy.setting import SETTINGS
from taproot import Network, OutPoint, SpendOutput, WalletPath

OP_RETURN = b"\x6a\x04text"


@dataclass(frozen=True)
class Case:
    """A profile with facts it approves and facts it does not, for one reason only."""

    good: Facts
    bad: Facts
    text: str = PROFILE
    bad_text: str | None = None
    outcome: Outcome = Outcome.REFUSE


def limits(line: str) -> str:
    return PROFILE.replace("  amount:", f"  {line}\n  amount:")


def baseline(line: str) -> str:
    return PROFILE.replace("limits:", f"baseline: {{{line}}}\nlimits:")


def amount(line: str) -> str:
    return PROFILE.replace("{sent: unlimited}", line)


def velocity(line: str) -> str:
    return PROFILE.replace("velocity: unlimited", f"velocity: [{line}]")


def tier(line: str) -> str:
    return PROFILE.replace("when: {pays_only: [friends, own]}\n    then: approve", line)


def data(sats: int) -> tuple[SpendOutput, ...]:
    nulldata = output(2, sats, OP_RETURN, address=None, script_type="nulldata")
    return (output(), change(amount=499_000 - sats), nulldata)


def many(count: int) -> tuple[SpendOutput, ...]:
    return (*(output(i, 2_000) for i in range(count)), change(count, 999_000 - count * 2_000))


TO_DATA = PROFILE.replace("[friends, own]", f"[friends, own, 'script:{OP_RETURN.hex()}']")
PAST = Book().with_booking(Booking(b"\x01" * 32, NOW_MS - 3_600_000, 600_000, (OutPoint(b"\x44" * 32, 0),)))
OLD = Book().with_booking(
    Booking(b"\x01" * 32, NOW_MS - 24 * 3_600_000, 600_000, (OutPoint(b"\x44" * 32, 0),))
)

CASES: dict[str, Case] = {
    "policy-wallet-known": Case(facts(), facts(wallet=wallet(known=False))),
    "policy-booking": Case(facts(), facts(clock=None)),
    "policy-network": Case(
        facts(), facts(spend(network=Network.SIGNET), wallet=wallet(network=Network.SIGNET))
    ),
    "policy-prevouts": Case(facts(), facts(spend(inputs=(coin(script_pubkey=b""),)))),
    "policy-coins-ours": Case(facts(), facts(spend(inputs=(coin(path=None),)))),
    "policy-coins-once": Case(
        facts(spend(inputs=(coin(0), coin(1)), outputs=(output(), change(amount=1_499_000)))),
        facts(spend(inputs=(coin(0), coin(0)), outputs=(output(), change(amount=1_499_000)))),
    ),
    "policy-sums": Case(facts(), facts(spend(fee_sats=999))),
    "policy-sighash": Case(
        facts(spend(inputs=(coin(sighash_type=1),))), facts(spend(inputs=(coin(sighash_type=0x81),)))
    ),
    "policy-annex": Case(facts(), facts(spend(has_annex=True))),
    "policy-version": Case(
        facts(spend(version=2)), facts(spend(version=3)), text=baseline("max_version: 2")
    ),
    "policy-locktime": Case(
        facts(spend(locktime=NOW_MS // 1000 + 7200)), facts(spend(locktime=NOW_MS // 1000 + 7201))
    ),
    "policy-sequence": Case(
        facts(spend(inputs=(coin(sequence=0xFFFFFFFF),))), facts(spend(inputs=(coin(sequence=144),)))
    ),
    "policy-dust": Case(
        facts(spend(outputs=(output(), change(amount=498_670), output(2, 330)))),
        facts(spend(outputs=(output(), change(amount=498_671), output(2, 329)))),
    ),
    "policy-burn": Case(facts(spend(outputs=data(0))), facts(spend(outputs=data(1))), text=TO_DATA),
    "policy-inputs": Case(
        facts(),
        facts(spend(inputs=(coin(0), coin(1)), outputs=(output(), change(amount=1_499_000)))),
        text=baseline("max_inputs: 1"),
    ),
    "policy-outputs": Case(
        facts(spend(outputs=many(9))), facts(spend(outputs=many(10))), text=baseline("max_outputs: 10")
    ),
    "policy-size": Case(
        facts(spend(signed_vsize=1000)), facts(spend(signed_vsize=1001)), text=baseline("max_vsize: 1000vB")
        .replace("limits:", "limits:\n  fee: {min_rate: 0.5sat/vB}"),
    ),
    "policy-change": Case(
        facts(), facts(spend(outputs=(output(claims_wallet=True), change())))
    ),
    "policy-change-gap": Case(
        facts(spend(outputs=(output(), output(1, 499_000, OURS, path=WalletPath(1, 20))))),
        facts(spend(outputs=(output(), output(1, 499_000, OURS, path=WalletPath(1, 21))))),
    ),
    "policy-fee-max": Case(
        facts(), facts(spend(fee_sats=1_001, outputs=(output(), change(amount=498_999)))),
        text=limits("fee: {max: 1_000sat}"),
    ),
    "policy-fee-min": Case(
        facts(), facts(spend(fee_sats=999, outputs=(output(), change(amount=499_001)))),
        text=limits("fee: {min: 1_000sat}"),
    ),
    "policy-fee-rate-max": Case(
        facts(spend(signed_vsize=500)), facts(spend(signed_vsize=499)), text=limits("fee: {max_rate: 2sat/vB}")
    ),
    "policy-fee-rate-min": Case(
        facts(spend(signed_vsize=500)), facts(spend(signed_vsize=501)), text=limits("fee: {min_rate: 2sat/vB}")
    ),
    "policy-fee-share": Case(
        facts(), facts(spend(outputs=(output(amount=499_999), change(amount=499_001)))),
        text=limits("fee: {max_share: 0.2%}"),
    ),
    "policy-amount-sent": Case(
        facts(), facts(spend(outputs=(output(amount=500_001), change(amount=498_999)))),
        text=amount("{sent: 500_000sat}"),
    ),
    "policy-amount-total": Case(
        facts(), facts(spend(fee_sats=1_001, outputs=(output(), change(amount=498_999)))),
        text=amount("{sent: unlimited, total: 501_000sat}"),
    ),
    "policy-velocity-sum": Case(
        facts(book=OLD), facts(book=PAST), text=velocity("{window: 24h, sum: 2_000_000sat}")
    ),
    "policy-velocity-count": Case(facts(book=OLD), facts(book=PAST), text=velocity("{window: 24h, count: 2}")),
    "policy-deny": Case(
        facts(), facts(spend(outputs=(output(), change(amount=498_000), output(2, 1_000, STRANGER)))),
        text=PROFILE.replace("own]", "own, STRANGER]")
        + "deny:\n  - name: thieves\n    when: {pays_any: STRANGER}\n",
    ),
    "policy-no-tier": Case(facts(), facts(), bad_text=PROFILE[: PROFILE.index("tiers:")]),
    "policy-destination": Case(facts(), facts(spend(outputs=(output(script=STRANGER), change())))),
    "policy-tier-sent": Case(
        facts(), facts(spend(outputs=(output(amount=500_001), change(amount=498_999)))),
        text=tier("when: {sent_up_to: 500_000sat}\n    then: approve"),
    ),
    "policy-tier-total": Case(
        facts(), facts(spend(fee_sats=1_001, outputs=(output(), change(amount=498_999)))),
        text=tier("when: {total_up_to: 501_000sat}\n    then: approve"),
    ),
    "policy-tier-limit-sent": Case(
        facts(), facts(spend(outputs=(output(amount=500_001), change(amount=498_999)))),
        text=tier("when: {pays_only: anyone}\n    limits: {sent: 500_000sat}\n    then: approve"),
    ),
    "policy-tier-limit-total": Case(
        facts(), facts(spend(fee_sats=1_001, outputs=(output(), change(amount=498_999)))),
        text=tier("when: {pays_only: anyone}\n    limits: {total: 501_000sat}\n    then: approve"),
    ),
    "policy-tier": Case(facts(), facts(), bad_text=PROFILE.replace("then: approve", "then: refuse")),
    "policy-ask": Case(
        facts(owner_said=True), facts(), text=PROFILE.replace("then: approve", "then: ask"), outcome=Outcome.ASK
    ),
    "policy-owner-no": Case(facts(), facts(owner_said=False)),
}  # fmt: skip


def test_every_tag_has_both_tests() -> None:
    assert [tag.name for tag in TAGS] == list(dict.fromkeys(tag.name for tag in TAGS))
    assert set(CASES) == {tag.name for tag in TAGS}


@pytest.mark.parametrize("tag", [tag.name for tag in TAGS])
def test_tag_lets_pass(tag: str) -> None:
    found = judge(profile(CASES[tag].text), CASES[tag].good)
    assert found.outcome is Outcome.APPROVE, found.reasons
    assert found.booking is not None
    assert found.booking.leaving_sats == CASES[tag].good.leaving_sats
    assert found.booking.spend_id == SPEND_ID


@pytest.mark.parametrize("tag", [tag.name for tag in TAGS])
def test_tag_refuses_citing_exactly_it(tag: str) -> None:
    case = CASES[tag]
    found = judge(profile(case.bad_text or case.text), case.bad)
    assert found.outcome is case.outcome
    assert found.codes == (tag,), found.reasons
    assert found.booking is None
    for reason in found.reasons:
        assert reason.text.isprintable()
        assert len(reason.text) < 400


def test_every_setting_steers_a_tag() -> None:
    steered = {setting.key for tag in TAGS for setting in tag.settings}
    assert steered == {setting.key for setting in SETTINGS}


FLIPS = {
    "baseline.max_inputs": (
        "1",
        facts(spend(inputs=(coin(0), coin(1)), outputs=(output(), change(amount=1_499_000)))),
    ),
    "baseline.max_outputs": ("1", facts()),
    "baseline.max_vsize": ("100vB", facts()),
    "baseline.max_version": ("1", facts()),
    "baseline.max_locktime_height": ("100", facts(spend(locktime=101))),
    "baseline.min_output": ("499_001sat", facts()),
    "limits.fee.max": ("999sat", facts()),
    "limits.fee.min": ("1_001sat", facts()),
    "limits.fee.max_rate": ("6sat/vB", facts()),
    "limits.fee.min_rate": ("7sat/vB", facts()),
    "limits.fee.max_share": ("0.1%", facts()),
    "limits.amount.sent": ("499_999sat", facts()),
    "limits.amount.total": ("500_999sat", facts()),
}


@pytest.mark.parametrize("key", [setting.key for setting in SETTINGS])
def test_every_setting_changes_a_verdict(key: str) -> None:
    value, given = FLIPS[key]
    group, name = key.rsplit(".", 1)
    assert judge(profile(), given).outcome is Outcome.APPROVE
    if group == "limits.amount":
        text = amount(f"{{sent: {value}}}" if name == "sent" else f"{{sent: unlimited, total: {value}}}")
    else:
        text = baseline(f"{name}: {value}") if group == "baseline" else limits(f"fee: {{{name}: {value}}}")
    found = judge(profile(text), given)
    assert found.outcome is Outcome.REFUSE
    assert next(tag for tag in TAGS if tag.name == found.codes[0]).settings[0].key == key
