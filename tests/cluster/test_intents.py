"""Intents in a cluster: where a profile demands them, an evil coordinator and client get nothing signed but what a
device signed, once."""

from __future__ import annotations

import msgspec
import pytest
from evil import signed_by
from quorums import DAY_MS, HOUR_MS, Quorums, coin
from spends import STRANGER
from world import TestIdentity

from cluster.codec import BadLetter, Mouth, open_inner, seal_letter
from cluster.effects import Now
from cluster.intents import read_intent, sign_intent
from cluster.messages import Decision, Kind, Request, SignedLetter
from cluster.owner_says import ClockConfirmed
from cluster.subjects import BadRequest, describe, understand
from taproot import Payment

OTHER = b"\x00\x14" + b"\x42" * 20
NODES = ("node0", "node1", "node2")
PAIRS = (("node0", "node1"), ("node0", "node2"), ("node1", "node2"))

PLAIN = """\
schema: 1
name: intended
network: regtest
limits:
  fee: {max: 5_000sat, max_share: unlimited}
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - name: everything
    when: {pays_only: anyone}
    then: approve
"""
REQUIRED, FROM_CLIENT, FROM_APP = (
    PLAIN.replace("tiers:", f"intents: {rule}\ntiers:")
    for rule in ("required", "{from: client}", "{from: app}")
)


def test_what_a_device_signed_is_signed_once() -> None:
    q = Quorums(FROM_CLIENT)
    intent = q.intent(30_000, 1)
    assert q.pays(PAIRS[0], q.psbt(30_000, 1), intent)
    [kept] = signed_by(q.world, "node0")
    assert kept.intent == read_intent(intent, q.world.roster.cluster_id).id


def test_an_injected_request_without_one_is_refused() -> None:
    q = Quorums(REQUIRED)
    assert q.codes("node0", q.psbt(30_000, 1)) == ("policy-intent",)


def test_another_device_is_refused() -> None:
    q = Quorums(FROM_APP)
    assert q.codes("node0", q.psbt(30_000, 1), q.intent(30_000, 1)) == ("policy-intent-device",)


def test_a_strangers_is_refused_even_where_any_device_will_do() -> None:
    q = Quorums(REQUIRED)
    for stranger in (
        TestIdentity("stranger"),
        q.world.seats["node1"].identity,
        q.world.seats["coord"].identity,
    ):
        mouth = Mouth(stranger, q.world.roster.cluster_id, b"mean" * 4)
        intent = q.intent(30_000, 1, by=mouth)
        assert q.codes("node0", q.psbt(30_000, 1), intent) == ("policy-intent-device",)


def test_other_payments_are_refused() -> None:
    q = Quorums(REQUIRED)
    for psbt in (
        q.psbt(30_001, 1),
        q.psbt(29_999, 1),
        q.psbt(30_000, 1, script=OTHER),
        q.psbt(30_000, 1, more=(Payment(OTHER, 1_000),)),
        q.psbt(15_000, 1, more=(Payment(STRANGER, 15_000),)),
    ):
        assert q.codes("node0", psbt, q.intent(30_000, 1)) == ("policy-intent-match",)


def test_a_higher_fee_and_another_coin_are_refused() -> None:
    q = Quorums(REQUIRED)
    assert q.codes("node0", q.psbt(30_000, 1, fee_sats=501), q.intent(30_000, 1)) == ("policy-intent-fee",)
    assert q.codes("node0", q.psbt(30_000, 2), q.intent(30_000, 1)) == ("policy-intent-coin",)
    assert q.codes("node0", q.psbt(30_000, 2, 1), q.intent(30_000, 1)) == ()


def test_an_expired_one_is_refused_and_none_counts_while_the_clock_is_in_doubt() -> None:
    q = Quorums(REQUIRED)
    intent = q.intent(30_000, 1)
    q.world.advance(2 * HOUR_MS - 1)
    assert q.codes("node0", q.psbt(30_000, 1), intent) == ()
    q.world.advance(1)
    assert q.codes("node0", q.psbt(30_000, 1), intent) == ("policy-intent-expired",)
    fresh = q.intent(30_000, 1)
    q.world.restart("node0")
    assert q.codes("node0", q.psbt(30_000, 1), fresh) == ("policy-intent-expired",)
    q.world.answer("node0", ClockConfirmed())
    assert q.codes("node0", q.psbt(30_000, 1), fresh) == ()


def test_a_wall_clock_set_back_makes_none_young_again() -> None:
    q = Quorums(REQUIRED)
    intent = q.intent(30_000, 1)
    q.world.advance(2 * HOUR_MS)
    assert q.codes("node0", q.psbt(30_000, 1), intent) == ("policy-intent-expired",)
    now = q.world.now
    q.world.now = Now(now.wall_ms - HOUR_MS, now.monotonic_ms + 1)
    assert q.codes("node0", q.psbt(30_000, 1), intent) == ("policy-intent-expired",)


def test_one_that_is_used_up_is_used_up_for_every_other_spend() -> None:
    q = Quorums(REQUIRED)
    intent = q.intent(30_000, 1)
    assert q.pays(PAIRS[0], q.psbt(30_000, 1), intent)
    assert q.codes("node0", q.psbt(30_000, 1, 2), intent) == ("policy-intent-spent",)
    assert q.codes("node0", q.psbt(30_000, 1, fee_sats=400), intent) == ("policy-intent-spent",)
    assert q.codes("node0", q.psbt(30_000, 1), intent) == ()  # the very same spend, asked for again


def test_a_restart_forgets_no_spent_one() -> None:
    q = Quorums(REQUIRED)
    intent = q.intent(30_000, 1, life_ms=DAY_MS)
    assert q.pays(PAIRS[0], q.psbt(30_000, 1), intent)
    for node in PAIRS[0]:
        q.world.restart(node)
        q.world.answer(node, ClockConfirmed())
        assert q.codes(node, q.psbt(30_000, 1, 2), intent) == ("policy-intent-spent",)


def test_two_quorums_cannot_both_spend_it() -> None:
    """The third node knows nothing of the first spend: what saves the wallet is that both need the same coin."""
    q = Quorums(REQUIRED)
    intent = q.intent(30_000, 1)
    assert q.pays(PAIRS[0], q.psbt(30_000, 1), intent)
    assert not q.pays(PAIRS[1], q.psbt(30_000, 1, 2), intent)
    q.world.adopt("node1", PLAIN)  # an evil node signs anything, with any intent
    second = q.psbt(30_000, 1, 3)
    assert q.pays(PAIRS[2], second, intent)
    spent = [set(kept.outpoints) for node in NODES for kept in signed_by(q.world, node)]
    bound = (coin(1).txid, coin(1).vout)
    assert all(bound in coins for coins in spent)
    assert q.codes("node2", q.psbt(30_000, 4), intent) == ("policy-intent-coin", "policy-intent-spent")


def test_a_profile_that_demands_none_still_books_it() -> None:
    q = Quorums(PLAIN)
    intent = q.intent(30_000, 1)
    assert q.pays(PAIRS[0], q.psbt(20_000, 5), intent)
    q.world.adopt("node0", REQUIRED)
    assert q.codes("node0", q.psbt(30_000, 1), intent) == ("policy-intent-spent",)


class TestLetters:
    """What is no intent for this wallet never reaches the policy."""

    def refused(self, q: Quorums, intent: SignedLetter) -> str:
        """The code with which a client, and a node that is sent it anyway, refuses such a request."""
        body = Request(q.psbt(30_000, 1), "", bytes(32), intent)
        with pytest.raises(BadRequest) as refused:
            describe(q.wallet, body, q.client.public)
        verdict = q.propose("node0", q.said(body, b"\x01" * 32))[0].body
        assert verdict.decision is Decision.REFUSE  # type: ignore[union-attr]
        assert verdict.codes == (refused.value.code,)  # type: ignore[union-attr]
        return refused.value.code

    def test_of_another_wallet_or_cluster(self) -> None:
        q = Quorums(REQUIRED)
        assert self.refused(q, q.intent(30_000, 1, wallet_id=b"\x05" * 32)) == "intent-wallet"
        elsewhere = Mouth(q.client, b"\x05" * 32, b"mean" * 4)
        assert self.refused(q, q.intent(30_000, 1, by=elsewhere)) == "intent-cluster"

    def test_changed_or_signed_by_another(self) -> None:
        q = Quorums(REQUIRED)
        intent = q.intent(30_000, 1)
        assert self.refused(q, SignedLetter(intent.letter, bytes(64))) == "letter-signature"
        more = intent.letter.replace((30_000).to_bytes(2, "big"), (30_001).to_bytes(2, "big"))
        assert more != intent.letter
        assert self.refused(q, SignedLetter(more, intent.signature)) == "letter-signature"

    def test_another_kind_or_one_that_is_addressed(self) -> None:
        q = Quorums(REQUIRED)
        other = q.request(q.psbt(1_000, 2))[1]
        assert self.refused(q, other) in {"letter-kind", "letter-oversize"}
        letter = open_inner(q.intent(30_000, 1), Kind.INTENT)
        addressed = msgspec.structs.replace(letter.header, addressee=q.world.seats["node0"].identity.public)
        assert self.refused(q, seal_letter(addressed, letter.body, q.client)) == "intent-form"

    def test_alone_nobody_takes_it(self) -> None:
        q = Quorums(REQUIRED)
        intent = q.intent(30_000, 1)
        assert q.evil.hand_over("node0", intent) == []
        letter = open_inner(intent, Kind.INTENT)
        assert q.evil.tell("node0", Kind.INTENT, letter.body, wallet_id=q.wallet.wallet_id) == []
        complaints = q.world.node("node0").complaints.counts
        assert {code for _, code in complaints} >= {"letter-role"}
        q.world.restart("coord")
        addressed = msgspec.structs.replace(letter.header, addressee=q.world.seats["coord"].identity.public)
        sealed = seal_letter(addressed, letter.body, q.client)
        q.world.coordinator.receive(
            q.client.public, sealed.letter, sealed.signature, q.world.now, q.world.entropy()
        )
        assert {code for _, code in q.world.coordinator.complaints.counts} == {"letter-role"}

    def test_the_request_id_covers_it(self) -> None:
        q = Quorums(REQUIRED)
        psbt = q.psbt(30_000, 1)
        ids = {
            describe(q.wallet, Request(psbt, "", bytes(32), intent), q.client.public).request_id
            for intent in (None, q.intent(30_000, 1), q.intent(30_000, 1))
        }
        assert len(ids) == 3
        body = Request(psbt, "", bytes(32), q.intent(30_000, 1))
        swapped = q.said(
            msgspec.structs.replace(body, intent=None), describe(q.wallet, body, q.client.public).request_id
        )
        verdict = q.propose("node0", swapped)[0].body
        assert verdict.codes == ("request-id",)  # type: ignore[union-attr]
        with pytest.raises(BadRequest):
            understand(q.wallet, open_inner(swapped, Kind.REQUEST))

    def test_one_that_is_too_large_is_never_made(self) -> None:
        q = Quorums(REQUIRED)
        with pytest.raises(ValueError, match="over its cap"):
            sign_intent(
                q.mouth,
                q.wallet.wallet_id,
                coin(1),
                ((bytes(10_000), 1),) * 2,
                max_fee_sats=1,
                made_at_ms=0,
                expires_at_ms=1,
                nonce=bytes(32),
            )


def test_signed_twice_it_is_the_same_intent() -> None:
    """Its id is that of its bytes: another signature under the same bytes is no fresh intent."""
    q = Quorums(REQUIRED)
    intent = q.intent(30_000, 1)
    made = read_intent(intent, q.world.roster.cluster_id)
    assert made.id == read_intent(SignedLetter(intent.letter, intent.signature), q.world.roster.cluster_id).id
    assert made.device == q.client.public
    with pytest.raises(BadLetter):
        read_intent(intent, bytes(32))


def test_an_honest_cluster_signs_with_one() -> None:
    q = Quorums(REQUIRED)
    q.world.restart("coord")
    q.world.run(ms=500)
    view = q.world.request(q.wallet, q.psbt(30_000, 1), "", intent=q.intent(30_000, 1))
    assert q.world.run(lambda: view.final is not None)
