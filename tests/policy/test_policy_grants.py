"""Grants: a yes given once, up to a sum, a number of payments and a date, and never a satoshi beyond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_house import FRIEND, NOW_MS, SPEND_ID, STRANGER, change, coin, facts, output, spend, wallet

from cluster.settings import parse_settings
from policy import (
    Book,
    Booking,
    ClockReading,
    Conditions,
    Facts,
    Grant,
    Judgement,
    OwnerSaid,
    Profile,
    Readers,
    judge,
    read_profile,
)
from policy.granting import Covered, covering, left_of, share_of, until
from policy.verdict import Outcome
from policy.windows import only_utc
from taproot import Network, OutPoint

GRANT_ID = b"\x5a" * 32
HOUR = 3_600_000
ROLES = ("home", "phone", "offline")

TEXT = """\
schema: 1
name: home
network: regtest
evil_nodes: {evil}
limits:
  amount: {{sent: unlimited}}
  velocity: unlimited
tiers:
  - name: rent
    when: {{pays_only: anyone}}
    then: {then}
"""


def _no(*_: object) -> tuple[bytes, ...]:
    raise ValueError("not in these tests")


def _address(text: str, network: Network) -> bytes:
    raise ValueError("not in these tests")


def profile(then: str = "grant", evil: int = 0) -> Profile:
    tree = parse_settings(TEXT.format(then=then, evil=evil), "test.yaml")
    return read_profile(tree, Readers(_address, only_utc, _no))


def grant(**changes: object) -> Grant:
    made = Grant(GRANT_ID, FRIEND, 1_000_000, NOW_MS + HOUR, 4, must_sign="home", made_at_ms=NOW_MS - HOUR)
    return replace(made, **changes)  # type: ignore[arg-type]


def under(*grants: Grant, **changes: object) -> Facts:
    made = facts(wallet=wallet(roles=ROLES, me="home"), grants=grants)
    return replace(made, **changes)  # type: ignore[arg-type]


def used(amounts: tuple[int, ...], grant_id: bytes = GRANT_ID) -> Book:
    """A book of signed spends of one grant, each with its own coin."""
    return Book.of(
        Booking(
            bytes([50 + i]) * 32,
            NOW_MS - HOUR // 2 + i,
            amount + 700,
            (OutPoint(bytes([50 + i]) * 32, 0),),
            fee_sats=700,
            payments=((FRIEND, amount),),
            grant=grant_id,
        )
        for i, amount in enumerate(amounts)
    )


def said(made: Facts, then: str = "grant", evil: int = 0) -> Judgement:
    return judge(profile(then, evil), made)


def codes(made: Facts, then: str = "grant", evil: int = 0) -> tuple[str, ...]:
    judgement = said(made, then, evil)
    assert judgement.outcome is Outcome.REFUSE
    return judgement.codes


class TestCovers:
    def test_a_spend_under_a_grant_needs_no_further_yes_and_is_booked_under_it(self) -> None:
        judgement = said(under(grant()))
        assert judgement.outcome is Outcome.APPROVE
        assert judgement.booking is not None
        assert judgement.booking.grant == GRANT_ID
        assert not judgement.asks_owner
        assert judgement.codes == ("policy-grant",)
        assert "500_000sat of 1_000_000sat and 1 of 4 payments are used" in judgement.reasons[0].text

    def test_where_a_tier_asks_a_grant_is_the_answer(self) -> None:
        assert said(under(), "ask").outcome is Outcome.ASK
        assert said(under(grant()), "ask").outcome is Outcome.APPROVE
        assert said(under(grant(script=STRANGER)), "ask").outcome is Outcome.ASK

    def test_an_owners_no_stands_against_a_grant(self) -> None:
        refused = said(under(grant(), owner_said=OwnerSaid(False)))
        assert refused.codes == ("policy-owner-no",)

    def test_a_grant_skips_no_other_rule(self) -> None:
        frozen = said(under(grant(), frozen="by hand"))
        assert frozen.codes == ("policy-frozen",)

    def test_a_tier_that_approves_uses_no_grant(self) -> None:
        judgement = said(under(grant()), "approve")
        assert judgement.booking is not None
        assert judgement.booking.grant == b""

    def test_the_first_that_covers_is_used(self) -> None:
        spent, other = grant(), grant(id=b"\x5b" * 32)
        covered = covering(profile(), under(spent, other, book=used((900_000,))))
        assert covered.grant == other
        assert covering(profile(), under(other, spent)).grant == other

    def test_one_named_node_must_then_sign_and_no_other(self) -> None:
        assert covering(profile(), under(grant())).conditions == Conditions(0, ("home",))
        assert covering(profile(), under(grant(must_sign=""))).conditions == Conditions(0)
        assert said(under(grant())).conditions.roles == ("home",)


class TestWhom:
    @pytest.mark.parametrize(
        "outputs",
        [
            (output(script=STRANGER), change()),
            (output(amount=400_000), output(2, 100_000, STRANGER), change()),
            (output(amount=500_000), output(2, 0, b"\x6a\x04text", script_type="nulldata"), change()),
            (change(0, 999_000),),
        ],
        ids=["another", "one of two", "with data", "nobody"],
    )
    def test_every_output_to_others_goes_to_the_payee(self, outputs: tuple[object, ...]) -> None:
        made = under(grant(), spend=spend(outputs=outputs))
        assert "policy-grant" in codes(made)
        assert covering(profile(), made).why == (("policy-grant", "no grant is for whom it pays"),)

    def test_without_any_grant_it_says_so(self) -> None:
        assert codes(under()) == ("policy-grant",)
        assert Covered().grant is None

    def test_two_outputs_to_the_payee_are_one_payment(self) -> None:
        both = spend(outputs=(output(amount=300_000), output(2, 200_000), change()))
        judgement = said(under(grant(payments=1, sum_sats=500_000), spend=both))
        assert judgement.outcome is Outcome.APPROVE

    @pytest.mark.parametrize("roles", [("phone", "offline", "spare"), ("home", "home", "phone"), ()])
    def test_the_role_that_must_sign_is_one_nodes_alone(self, roles: tuple[str, ...]) -> None:
        made = under(grant(), wallet=wallet(roles=roles, me="phone"))
        assert codes(made) == ("policy-grant",)
        assert "not one node alone" in covering(profile(), made).why[0][1]


class TestSum:
    def test_all_that_is_left_may_go_and_not_a_satoshi_more(self) -> None:
        assert said(under(grant(), book=used((500_000,)))).outcome is Outcome.APPROVE
        made = under(grant(), book=used((500_001,)))
        assert codes(made) == ("policy-grant-sum",)
        assert (
            "it pays 500_000sat, and left of 1_000_000sat, is 499_999sat"
            in covering(profile(), made).why[0][1]
        )

    def test_fees_do_not_count(self) -> None:
        assert said(under(grant(sum_sats=500_000))).outcome is Outcome.APPROVE
        assert codes(under(grant(sum_sats=499_999))) == ("policy-grant-sum",)

    def test_what_went_to_the_payee_otherwise_does_not_count(self) -> None:
        assert said(under(grant(), book=used((900_000,), b""))).outcome is Outcome.APPROVE
        assert said(under(grant(), book=used((900_000,), b"\x01" * 32))).outcome is Outcome.APPROVE

    def test_without_a_book_nothing_is_covered(self) -> None:
        assert "policy-grant-sum" in codes(under(grant(), book=None))

    def test_a_spend_that_was_signed_under_it_counts_no_second_time(self) -> None:
        made = under(grant(sum_sats=500_000, payments=1))
        booking = said(made).booking
        assert booking is not None
        again = replace(made, book=Book.of([booking]))
        assert said(again).outcome is Outcome.APPROVE
        assert codes(replace(again, spend_id=b"\x08" * 32, spend=spend(inputs=(coin(9),)))) == (
            "policy-grant-sum",
            "policy-grant-count",
        )

    @pytest.mark.parametrize("signed_under", [b"", b"\x5c" * 32])
    def test_a_spend_that_was_signed_otherwise_is_not_covered(self, signed_under: bytes) -> None:
        """It is booked already, so it would use up nothing, and one a thousand times the grant would pass."""
        made = under(grant(sum_sats=500))
        earlier = replace(made.booking(NOW_MS - HOUR), grant=signed_under)
        assert codes(replace(made, book=Book.of([earlier]))) == ("policy-grant",)
        assert said(replace(made, book=Book.of([earlier])), "ask").outcome is Outcome.ASK
        whole = under(grant(id=signed_under)) if signed_under else under(grant())
        assert bool(covering(profile(), replace(whole, book=Book.of([earlier]))).grant) is bool(signed_under)

    def test_a_replacement_counts_once_and_the_largest(self) -> None:
        book = Book.of([said(under(grant())).booking or pytest.fail("not approved")])
        dearer = spend(outputs=(output(amount=600_000), change(amount=398_000)), fee_sats=2_000)
        made = under(grant(sum_sats=600_000, payments=1), spend=dearer, spend_id=b"\x08" * 32, book=book)
        assert said(made).outcome is Outcome.APPROVE
        assert codes(replace(made, grants=(grant(sum_sats=599_999, payments=1),))) == ("policy-grant-sum",)
        # The original is no cheaper for having been replaced: with both booked, the larger stays used.
        both = book.with_booking(said(made).booking or pytest.fail("not approved"))
        third = spend(inputs=(coin(3),), outputs=(output(amount=400_000), change(amount=599_000)))
        after = under(grant(payments=2), spend=third, spend_id=b"\x09" * 32, book=both)
        assert left_of(grant(), profile(), after.wallet, both).sum_sats == 400_000
        assert said(after).outcome is Outcome.APPROVE

    def test_a_spend_that_shares_a_coin_with_nothing_is_no_replacement(self) -> None:
        made = under(grant(payments=1), book=used((1_000,)), spend_id=b"\x08" * 32)
        assert codes(made) == ("policy-grant-count",)


class TestCount:
    def test_so_many_payments_and_not_one_more(self) -> None:
        assert said(under(grant(), book=used((1, 1, 1)))).outcome is Outcome.APPROVE
        made = under(grant(), book=used((1, 1, 1, 1)))
        assert codes(made) == ("policy-grant-count",)
        assert "4 payments, are used up" in covering(profile(), made).why[0][1]


class TestDate:
    def test_until_its_date_and_not_a_millisecond_longer(self) -> None:
        last = ClockReading(NOW_MS + HOUR - 1, in_doubt=False)
        over = ClockReading(NOW_MS + HOUR, in_doubt=False)
        assert said(under(grant(), clock=last)).outcome is Outcome.APPROVE
        assert codes(under(grant(), clock=over)) == ("policy-grant-expired",)

    def test_while_the_clock_is_in_doubt_it_covers_nothing(self) -> None:
        made = under(grant(), clock=ClockReading(NOW_MS, in_doubt=True))
        assert codes(made) == ("policy-grant-expired",)
        assert said(made, "ask").outcome is Outcome.ASK

    def test_without_a_clock_it_covers_nothing(self) -> None:
        assert covering(profile(), under(grant(), clock=None)).grant is None

    def test_dates_in_words(self) -> None:
        assert until(1_801_440_000_000) == "2027-01-31"
        assert until(1_801_441_800_000) == "2027-02-01 00:30 UTC"


class TestPart:
    """Without a node that must sign, each counts only its own part: floor(X * (t-f) / (n-f))."""

    def test_a_node_counts_its_part_of_the_sum_and_of_the_payments(self) -> None:
        open_grant = grant(must_sign="", sum_sats=1_000_001, payments=3)
        share = share_of(open_grant, profile(evil=1), wallet())
        assert (share.sum_sats, share.payments, share.whole) == (500_000, 1, False)
        assert said(under(open_grant), evil=1).outcome is Outcome.APPROVE
        assert codes(under(replace(open_grant, sum_sats=999_999)), evil=1) == ("policy-grant-sum",)
        assert codes(under(open_grant, book=used((0,))), evil=1) == ("policy-grant-count",)

    def test_with_it_every_node_counts_the_whole(self) -> None:
        for me in ROLES:
            share = share_of(grant(), profile(evil=1), wallet(roles=ROLES, me=me))
            assert (share.sum_sats, share.payments, share.whole) == (1_000_000, 4, True)

    def test_a_part_of_nothing_covers_nothing_and_says_so(self) -> None:
        made = under(grant(must_sign="", payments=1))
        assert codes(made, evil=1) == ("policy-grant-count",)
        assert "this node's part, 0 payments, round down to none" in covering(profile(evil=1), made).why[0][1]

    def test_a_wallet_of_one_counts_the_whole(self) -> None:
        share = share_of(grant(must_sign=""), profile(), wallet(n=1, t=1))
        assert share.whole


class TestRecovery:
    def test_what_was_granted_before_a_recovery_is_unusable(self) -> None:
        before = Book().exhausted(NOW_MS - HOUR)
        assert codes(under(grant(), book=before)) == ("policy-grant-sum",)
        assert said(under(grant(made_at_ms=NOW_MS - HOUR + 1), book=before)).outcome is Outcome.APPROVE
        assert left_of(grant(), profile(), wallet(), before).sum_sats == 0
        assert left_of(grant(), profile(), wallet(), before).payments == 0

    def test_a_grant_of_an_unknown_time_is_unusable_after_one(self) -> None:
        assert codes(under(grant(made_at_ms=0), book=Book().exhausted(1))) == ("policy-grant-sum",)


def test_each_grant_that_does_not_cover_says_why() -> None:
    expired = grant(until_ms=NOW_MS)
    small = grant(id=b"\x5b" * 32, sum_sats=1)
    other = grant(id=b"\x5c" * 32, script=STRANGER)
    why = covering(profile(), under(expired, small, other)).why
    assert [tag for tag, _ in why] == ["policy-grant-expired", "policy-grant-sum"]
    assert all(SPEND_ID.hex() not in text for _, text in why)


TRY = st.tuples(
    st.integers(1, 6).map(lambda units: units * 100_000),
    st.frozensets(st.integers(0, 4), min_size=1, max_size=3),
    st.sampled_from([0, 500, 1_000]),
)


def most(booked: list[tuple[int, frozenset[int]]], worth: Callable[[int], int]) -> int:
    """The most that can confirm together: over all sets of spends that share no coin."""
    best = 0
    for size in range(1, len(booked) + 1):
        for some in combinations(booked, size):
            coins = [number for _, used_coins in some for number in used_coins]
            if len(set(coins)) == len(coins):
                best = max(best, sum(worth(amount) for amount, _ in some))
    return best


@given(st.lists(TRY, max_size=8), st.integers(1, 10), st.integers(1, 4), st.booleans())
def test_whatever_confirms_is_within_the_grant(
    tries: list[tuple[int, frozenset[int], int]], units: int, payments: int, whole: bool
) -> None:
    """Replacements and all: no set of spends signed under a grant that can all confirm is above it, or above N."""
    made = grant(sum_sats=units * 100_000, payments=payments, must_sign="home" if whole else "")
    share = share_of(made, profile(evil=1), wallet())
    book, booked = Book(), []
    for number, (amount, coins, fee) in enumerate(tries):
        ins = tuple(coin(each) for each in sorted(coins))
        back = len(ins) * 1_000_000 - amount - fee - 1_000
        asked = spend(inputs=ins, outputs=(output(amount=amount), change(amount=back)), fee_sats=fee + 1_000)
        judgement = said(under(made, spend=asked, spend_id=bytes([number + 1]) * 32, book=book), evil=1)
        if judgement.booking is not None:
            assert judgement.booking.grant == GRANT_ID
            book = book.with_booking(judgement.booking)
            booked.append((amount, coins))
    assert most(booked, lambda amount: amount) <= share.sum_sats
    assert most(booked, lambda _: 1) <= share.payments
