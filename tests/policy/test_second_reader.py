"""What a second reader tried against the policy: cost of a judgement, clocks that were set, spends signed before."""

from __future__ import annotations

from policy_house import facts, output, profile, spend

from policy import Book, Booking, judge
from policy.bookings import Scope
from policy.judge import MAX_FINDINGS
from policy.ledger import Ledger
from taproot import OutPoint

SCRIPTS = tuple(b"\x00\x14" + number.to_bytes(20, "big") for number in range(1000))
WIDE = Booking(
    b"\x01" * 32, 1_000, 1_000_000, (OutPoint(b"\x02" * 32, 0),), payments=tuple((script, 5) for script in SCRIPTS)
)  # fmt: skip


class TestCost:
    def test_a_limit_per_recipient_looks_at_no_other_recipient(self) -> None:
        """With a thousand outputs it would look at a million, for each limit and at each judgement."""
        book = Book.of([WIDE])
        assert Ledger().paid_before(Scope.recipient(SCRIPTS[0]), WIDE) == []
        assert book.usage(0, Scope.recipient(SCRIPTS[0])).sum_sats == 5
        assert WIDE.paid_sats is WIDE.paid_sats, "made once"

    def test_a_spend_with_a_thousand_faults_names_some_of_them(self) -> None:
        """Reasons are kept as long as the request, and a small PSBT made megabytes of them."""
        text = """\
schema: 1
name: many
network: regtest
limits:
  amount: {sent: unlimited}
  velocity:
    - {window: 24h, sum: 1sat, per: recipient}
tiers:
  - name: all
    when: {velocity: {window: 24h, sum: 1sat, per: recipient}}
    then: approve
"""
        outputs = tuple(output(index, 5, script) for index, script in enumerate(SCRIPTS))
        judgement = judge(profile(text), facts(spend(outputs=outputs)))
        assert {"policy-dust", "policy-velocity-sum", "policy-tier-velocity"} <= set(judgement.codes)
        kinds = [reason.tag for reason in judgement.reasons]
        assert max(kinds.count(kind) for kind in kinds) == MAX_FINDINGS
        assert max(len(reason.text) for reason in judgement.reasons) < 2_000
