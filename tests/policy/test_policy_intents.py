"""Intents: where a profile demands one, a spend is exactly what one device signed that it would ask, once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_house import FRIEND, NOW_MS, SPEND_ID, STRANGER, change, coin, facts, output, spend

from cluster.settings import parse_settings
from policy import Book, Booking, ClockReading, Facts, Intent, Profile, Readers, judge, read_profile
from policy.intending import CHECKS
from policy.verdict import Outcome
from policy.windows import only_utc
from taproot import Network, OutPoint

INTENT_ID = b"\x6b" * 32
HOUR = 3_600_000
COIN = coin().outpoint

TEXT = """\
schema: 1
name: home
network: regtest
limits:
  amount: {{sent: unlimited}}
  velocity: unlimited
{intents}
tiers:
  - name: everything
    when: {{pays_only: anyone}}
    then: approve
"""
REQUIRED = "intents: required"
FROM_APP = "intents: {from: [app, tablet]}"


def _no(*_: object) -> tuple[bytes, ...]:
    raise ValueError("not in these tests")


def _address(text: str, network: Network) -> bytes:
    raise ValueError("not in these tests")


def profile(intents: str = REQUIRED) -> Profile:
    tree = parse_settings(TEXT.format(intents=intents), "test.yaml")
    return read_profile(tree, Readers(_address, only_utc, _no))


def intent(**changes: object) -> Intent:
    made = Intent(
        INTENT_ID, "app", COIN, ((FRIEND, 500_000),), 1_000, NOW_MS + HOUR, made_at_ms=NOW_MS - HOUR
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def under(made: Intent | None, **changes: object) -> Facts:
    return replace(facts(), intent=made, **changes)  # type: ignore[arg-type]


def codes(made: Facts, intents: str = REQUIRED) -> tuple[str, ...]:
    judgement = judge(profile(intents), made)
    return () if judgement.outcome is Outcome.APPROVE else judgement.codes


def spent(intent_id: bytes = INTENT_ID, spend_id: bytes = b"\x08" * 32) -> Book:
    return Book.of([Booking(spend_id, NOW_MS - HOUR, 1_000, (OutPoint(b"\x44" * 32, 0),), intent=intent_id)])


def test_a_spend_that_is_exactly_what_was_intended_is_approved_and_uses_the_intent_up() -> None:
    judgement = judge(profile(), under(intent()))
    assert judgement.outcome is Outcome.APPROVE
    assert judgement.booking is not None
    assert judgement.booking.intent == INTENT_ID


def test_without_one_nothing_is_approved() -> None:
    assert codes(under(None)) == ("policy-intent",)
    assert codes(under(None), FROM_APP) == ("policy-intent",)


@pytest.mark.parametrize(
    "faulty",
    [
        under(intent(device="desk")),
        under(intent(payments=((FRIEND, 1),))),
        under(intent(max_fee_sats=0)),
        under(intent(outpoint=OutPoint(b"\x01" * 32, 1))),
        under(intent(expires_at_ms=0)),
        under(intent(), book=spent()),
        under(None),
    ],
)
def test_a_profile_that_demands_none_finds_nothing_and_still_books_it(faulty: Facts) -> None:
    judgement = judge(profile(""), faulty)
    assert judgement.outcome is Outcome.APPROVE
    assert judgement.booking is not None
    assert judgement.booking.intent == (b"" if faulty.intent is None else INTENT_ID)


class TestDevice:
    def test_only_the_devices_that_the_profile_names(self) -> None:
        assert codes(under(intent()), FROM_APP) == ()
        assert codes(under(intent(device="desk")), FROM_APP) == ("policy-intent-device",)
        assert codes(under(intent(device="desk"))) == ()

    def test_never_a_strangers(self) -> None:
        assert codes(under(intent(device=""))) == ("policy-intent-device",)
        assert codes(under(intent(device="")), FROM_APP) == ("policy-intent-device",)


class TestMatch:
    @pytest.mark.parametrize(
        "payments",
        [
            ((FRIEND, 500_001),),
            ((FRIEND, 499_999),),
            ((STRANGER, 500_000),),
            ((FRIEND, 250_000), (FRIEND, 250_000)),
            ((FRIEND, 500_000), (FRIEND, 500_000)),
            ((FRIEND, 500_000), (STRANGER, 1_000)),
            (),
        ],
    )
    def test_other_payments_are_refused(self, payments: tuple[tuple[bytes, int], ...]) -> None:
        assert codes(under(intent(payments=payments))) == ("policy-intent-match",)

    def test_an_output_more_is_refused(self) -> None:
        more = spend(outputs=(output(), output(2, 1_000, STRANGER), change(amount=498_000)))
        assert codes(under(intent(), spend=more)) == ("policy-intent-match",)

    def test_their_order_means_nothing_and_change_is_no_payment(self) -> None:
        two = spend(outputs=(output(amount=200_000, script=STRANGER), output(2, 300_000), change()))
        assert codes(under(intent(payments=((FRIEND, 300_000), (STRANGER, 200_000))), spend=two)) == ()


def test_the_fee_is_bounded() -> None:
    assert codes(under(intent(max_fee_sats=1_000))) == ()
    assert codes(under(intent(max_fee_sats=999))) == ("policy-intent-fee",)


def test_the_coin_is_bound() -> None:
    two = spend(inputs=(coin(7), coin()), outputs=(output(), change(amount=1_499_000)))
    assert codes(under(intent(), spend=two)) == ()
    assert codes(under(intent(), spend=spend(inputs=(coin(7),)))) == ("policy-intent-coin",)
    assert codes(under(intent(outpoint=OutPoint(COIN.txid, 1)))) == ("policy-intent-coin",)


class TestExpiry:
    def test_until_its_time_and_not_a_millisecond_longer(self) -> None:
        last = ClockReading(NOW_MS + HOUR - 1, in_doubt=False)
        assert codes(under(intent(), clock=last)) == ()
        over = ClockReading(NOW_MS + HOUR, in_doubt=False)
        assert codes(under(intent(), clock=over)) == ("policy-intent-expired",)

    def test_in_doubt_nothing_is_in_time(self) -> None:
        doubt = ClockReading(NOW_MS, in_doubt=True)
        assert codes(under(intent(), clock=doubt)) == ("policy-intent-expired",)
        assert "policy-intent-expired" in codes(under(intent(), clock=None))


class TestSpent:
    def test_one_intent_one_spend(self) -> None:
        assert codes(under(intent(), book=spent())) == ("policy-intent-spent",)
        assert codes(under(intent(), book=spent(b"\x01" * 32))) == ()

    def test_the_very_same_spend_may_be_signed_again(self) -> None:
        assert codes(under(intent(), book=spent(spend_id=SPEND_ID))) == ()

    def test_what_came_before_a_recovery_is_not_known(self) -> None:
        assert codes(under(intent(), book=Book().exhausted(NOW_MS - HOUR))) == ("policy-intent-spent",)
        assert codes(under(intent(), book=Book().exhausted(NOW_MS - HOUR - 1))) == ()
        assert "policy-intent-spent" in codes(under(intent(), book=None))


def test_every_check_says_what_it_checks_in_one_sentence() -> None:
    for check in CHECKS.values():
        sentence = (check.__doc__ or "").strip()
        assert sentence.endswith(".")
        assert "\n" not in sentence
