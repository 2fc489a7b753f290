"""Attacks on the seam between the cluster and FROST: evil members, lazy randomness, letters that cost too much."""

from __future__ import annotations

import pytest
from dkg_runs import Run
from spends import payment
from world import World

from cluster.charter import Charter, CharterMember
from cluster.journal import ComplaintKept, read
from cluster.messages import Kind, Nonces
from cluster.scheme_frost import FROST
from curve import tagged_hash
from frost import coordinator_investigate
from frost.vss import VSSCommitment


def charter_of(run: Run) -> Charter:
    """A charter for the participants of a key generation."""
    members = tuple(
        CharterMember(tagged_hash("test/member", bytes([i])), key, key)
        for i, key in enumerate(run.params.hostpubkeys)
    )
    return Charter(
        1,
        "regtest",
        bytes(32),
        tagged_hash("test/wallet"),
        "wallet",
        FROST.name,
        FROST.spec,
        0,
        run.t,
        members,
    )


def test_one_report_costs_the_coordinator_one_investigation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any member may report a bad share, as often as it likes: for 128 members all messages took 20 seconds."""
    run = Run(3, 5, "investigation")
    gathering = FROST.gathering(charter_of(run), run.pmsgs1, {})
    expected = coordinator_investigate(run.pmsgs1, run.params)
    computed = []
    right = VSSCommitment.pubshare

    def counted(self: VSSCommitment, participant_id: int) -> object:
        computed.append(participant_id)
        return right(self, participant_id)

    monkeypatch.setattr(VSSCommitment, "pubshare", counted)
    assert gathering.investigation(2) == expected[2]
    assert computed == [2] * 5


def test_nonces_differ_even_if_the_randomness_does_not() -> None:
    """A generator that repeats itself must not repeat a nonce (BIP 445: a counter in `extra_in`)."""
    world = World(2, 3)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, label="coin"))
    assert world.run(lambda: view.final is not None)
    vault, request_id = world.seats["node0"].vault, next(iter(world.client.signing))
    assert vault is not None
    subject = world.node("node0").signing.tickets.whole[request_id].subject
    given = {
        vault.nonces(wallet, "", request_id, subject.count, subject.fixed_tasks, bytes(32)) for _ in range(3)
    }
    assert len(given) == 3


def test_nonces_that_are_no_points_convict_their_maker_and_stop_nobody() -> None:
    """Otherwise each order with them costs the honest signers their nonces, for ever, and blames nobody."""
    world = World(2, 3)
    wallet = world.make_wallet()
    evil = world.seats["node0"]
    mouth = world.node("node0")._mouth
    say = mouth.say

    def lie(kind: Kind, addressee: bytes, body: object, **about: object) -> object:
        if isinstance(body, Nonces):
            body = Nonces((b"\x05" * 66,) * len(body.pubnonces), body.expires_at_ms)
        return say(kind, addressee, body, **about)  # type: ignore[arg-type]

    mouth.say = lie  # type: ignore[assignment, method-assign]
    world.stop("node2")
    view = world.request(wallet, payment(wallet, label="coin"))
    world.run(lambda: False, ms=5_000)
    world.restart("node2")
    assert world.run(lambda: view.final is not None, ms=30_000)
    complaints = [read(record) for record in world.seats["coord"].disk if record.kind == "complaint"]
    named = [(c.about, c.code) for c in complaints if isinstance(c, ComplaintKept)]
    assert named == [(evil.identity.public, "nonces-invalid")]
    signed = [
        record for name in world.node_names for record in world.seats[name].disk if record.kind == "signed"
    ]
    assert len(signed) == 2, "one session of two signers"
