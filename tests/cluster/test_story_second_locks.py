"""Checks that stand behind other checks: each must hold alone, so each is tested alone."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator, signed_by
from spends import payment
from world import World

from cluster.approvals import read_approval
from cluster.codec import BadLetter, encode, open_letter, seal_letter
from cluster.messages import KeygenStart, Kind, Nonces, OrderEntry, Verdict
from cluster.roster import digest


def test_an_approval_of_another_spend_is_none_even_under_the_right_request() -> None:
    """An evil node may sign such a verdict; the request id alone would let it pass."""
    world = World()
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    entry = evil.entry("node1", view.request)
    seat = world.seats["node1"]
    letter = open_letter(entry.verdict.letter, entry.verdict.signature, seat.identity.public)
    assert isinstance(letter.body, Verdict)
    charter, request_id, now_ms = wallet.charter, view.subject.request_id, world.now.wall_ms
    approval = read_approval(entry, charter, request_id, letter.body.spend_id, 1, now_ms)
    assert approval.identity == seat.identity.public
    with pytest.raises(BadLetter, match="approval-missing"):
        read_approval(entry, charter, request_id, bytes(32), 1, now_ms)


def test_an_order_with_this_nodes_older_nonces_costs_it_nothing() -> None:
    """The newer nonces stay good: a coordinator cannot burn them with letters of the past."""
    world = World()
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    ids = (wallet.wallet_id, view.subject.request_id)
    old, theirs = (evil.entry(name, view.request) for name in ("node0", "node1"))
    world.advance(61_000)
    newer = evil.fresh("node0", *ids)
    theirs = OrderEntry(theirs.verdict, evil.fresh("node1", *ids))
    seat = world.seats["node0"]
    stale = open_letter(old.nonces.letter, old.nonces.signature, seat.identity.public)
    assert isinstance(stale.body, Nonces)
    # The same old nonces under a letter that has not expired, as a node that forgot would sign it.
    again = Nonces(stale.body.pubnonces, world.now.wall_ms + 60_000)
    revived = seal_letter(stale.header, again, seat.identity)
    answers = evil.order("node0", (OrderEntry(old.verdict, revived), theirs), *ids)
    assert [letter.header.kind for letter in answers] == [Kind.GONE]
    assert not signed_by(world, "node0")
    answers = evil.order("node0", (OrderEntry(old.verdict, newer), theirs), *ids)
    assert [letter.header.kind for letter in answers] == [Kind.PARTIAL_SIGNATURES]


def test_a_node_that_restarted_starts_no_keygen_under_its_old_consent() -> None:
    """It would answer a session it has forgotten with another first message; it consents anew instead."""
    world = World()
    view = world.propose(world.charter())
    subject = digest(encode(view.charter))
    evil = EvilCoordinator(world)
    ids = {"wallet_id": view.charter.wallet_id, "request_id": subject}
    start = KeygenStart(tuple(evil.consent(name, view.charter, view.request) for name in world.node_names))
    world.stop("node0")
    world.restart("node0")
    for name, kind in (("node0", Kind.KEYGEN_CONSENT), ("node1", Kind.KEYGEN_MESSAGE1)):
        answers = evil.tell(name, Kind.KEYGEN_START, start, session_id=b"\x01" * 32, **ids)
        assert [letter.header.kind for letter in answers] == [kind]
