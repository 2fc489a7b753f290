"""Attacks on the making of wallets: one key under two names, so that the laxer policy opens both."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator
from wire import Envelope
from world import World

from cluster.codec import encode, open_letter
from cluster.journal import KeygenSecond, read
from cluster.messages import KeygenCertificate, KeygenFault, KeygenMessage, KeygenStart, Kind
from cluster.owner_says import Answer
from cluster.roster import digest


def test_two_wallets_of_one_index_never_share_a_key() -> None:
    """Both proposed before either is made: the coordinator then gives the second wallet the first one's key."""
    world = World(2, 3)
    hot, vault = world.charter(0, "hot"), world.charter(0, "vault")
    assert hot.members == vault.members
    vault_id = digest(encode(vault))
    public = world.seats["coord"].identity.public

    def keep_back(envelope: Envelope) -> list[Envelope]:
        """No certificate of the second wallet arrives."""
        if envelope.sender == "coord":
            header = open_letter(envelope.letter, envelope.signature, public).header
            if (header.kind, header.request_id) == (Kind.KEYGEN_CERTIFICATE, vault_id):
                return []
        return [envelope]

    world.hook = keep_back
    for charter in (hot, vault):
        world.propose(charter)
    subjects = (digest(encode(hot)), vault_id)
    assert world.run(lambda: all(world.node(n).plan(s) for n in world.node_names for s in subjects))
    for name in world.node_names:
        for subject in subjects:
            world.answer(name, Answer(subject, True))
    world.run(ms=20_000)
    made = world.node("node0").keygen.wallets[hot.wallet_id]

    evil = EvilCoordinator(world)
    for name in world.node_names:
        evil.tell(
            name,
            Kind.KEYGEN_CERTIFICATE,
            KeygenCertificate(b"", made.recovery_data),
            wallet_id=vault.wallet_id,
            request_id=vault_id,
            session_id=b"\x05" * 32,
        )
        assert set(world.node(name).keygen.wallets) == {hot.wallet_id}
        seconds = [read(record) for record in world.seats[name].disk]
        assert sum(isinstance(entry, KeygenSecond) for entry in seconds) == 1


@pytest.mark.parametrize("size", [0, 31, 64, 32 * 4, 32 * 200, 64 * 1024])
def test_what_all_are_said_to_have_computed_is_as_long_as_they_are_many(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """One letter of a lying coordinator made a node name two thousand culprits, and end over a letter too long."""
    monkeypatch.setattr(World, "scheme", "musig2")
    world = World(2, 3)
    charter = world.charter()
    view = world.propose(charter)
    evil = EvilCoordinator(world)
    consents = tuple(evil.consent(name, charter, view.request) for name in world.node_names)
    ids = {"wallet_id": charter.wallet_id, "request_id": digest(encode(charter)), "session_id": b"\x05" * 32}
    evil.tell("node0", Kind.KEYGEN_START, KeygenStart(consents), **ids)
    [fault] = evil.tell("node0", Kind.KEYGEN_COORDINATOR1, KeygenMessage(bytes(size)), **ids)
    assert fault.body == KeygenFault("keygen-descriptor-or-coordinator", ())
    plan = world.node("node0").plan(ids["request_id"])
    assert plan is not None
    assert plan.stage == "failed"
