"""Stories of the rescue: with no coordinator and no client left, t nodes send everything where the policy said."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator, signed_by
from rescuing import HOUR_MS, POLICY, Rescue, RescueWorld, gathered, kinds, lost, said_by
from spends import RESCUE, STRANGER, payment, sweep

from cluster.audit.letters import Letters
from cluster.codec import Mouth
from cluster.messages import Kind, NonceRequest, Propose, Request, SignedLetter, StatusQuery, Verdict
from cluster.schemes import Wallet
from cluster.subjects import describe


@pytest.mark.parametrize("frozen", [False, True], ids=["open", "frozen"])
@pytest.mark.parametrize("gatherer", ["node0", "client"])
def test_t_nodes_and_whoever_gathers_send_everything_to_the_rescue(gatherer: str, frozen: bool) -> None:
    world, wallet = lost(frozen=frozen, gatherer=gatherer)
    rescue = gathered(world, wallet)
    assert rescue.state == "open"
    rescue.answer("node0")
    rescue.tick()
    assert rescue.state == "open", "one of two is not enough"
    rescue.answer("node1")
    for _ in range(3):
        rescue.tick()
    assert rescue.state == "final"
    kept = [signed_by(world, name) for name in ("node0", "node1")]
    assert [len(one) for one in kept] == [1, 1]
    assert kept[0][0].payments == ((RESCUE, 199_500),)


def test_a_rescue_that_stopped_goes_on_with_the_yes_that_was_given() -> None:
    world, wallet = lost()
    first = gathered(world, wallet)
    first.answer("node0")
    again = Rescue(world, wallet, sweep(wallet, RESCUE))  # another process, with an empty memory
    again.greet("node0", "node1")
    again.answer("node1")
    for _ in range(3):
        again.tick()
    assert again.state == "final"


def test_without_the_owners_yes_nothing_leaves() -> None:
    world, wallet = lost()
    rescue = gathered(world, wallet)
    rescue.answer("node0")
    rescue.answer("node1", yes=False)
    for _ in range(3):
        rescue.tick()
    assert not any(signed_by(world, name) for name in world.node_names)


# It can do nothing else.


def word(world: RescueWorld, wallet: Wallet, psbt: bytes, asker: str) -> SignedLetter:
    """A request as this party would sign it."""
    identity = world.seats[asker].identity
    body = Request(psbt, "not a rescue", world.entropy())
    subject = describe(wallet, body, identity.public)
    return Mouth(identity, world.roster.cluster_id, b"evil" * 4).say(
        Kind.REQUEST, identity.public, body, wallet_id=wallet.wallet_id, request_id=subject.request_id,
        expires_at_ms=world.now.wall_ms + HOUR_MS,
    )  # fmt: skip


@pytest.mark.parametrize("asker", ["node0", "client"])
def test_whoever_gathers_can_have_nothing_else_signed(asker: str) -> None:
    world, wallet = lost()
    for psbt in (payment(wallet, script=STRANGER), payment(wallet, script=RESCUE), sweep(wallet, STRANGER)):
        request = word(world, wallet, psbt, asker)
        assert not kinds(said_by(world, "node0", "node1", Kind.PROPOSE, Propose(request)))
    assert world.node("node1").complaints.counts[world.seats["node0"].identity.public, "rescue-only"] == 3
    assert not world.node("node1").signing.tickets.whole


def test_whoever_gathers_cannot_go_on_with_another_request() -> None:
    world = RescueWorld(POLICY)
    wallet = world.make_wallet()
    world.stop("node2")
    world.stop("node0")
    view = world.request(wallet, payment(wallet, script=STRANGER, amount_sats=20_000))
    request_id = view.subject.request_id
    assert world.run(lambda: request_id in world.node("node1").signing.tickets.whole)
    world.stop("coord")
    world.open("node0", "node1")
    assert request_id in world.node("node1").signing.tickets.whole
    ids = {"wallet_id": wallet.wallet_id, "request_id": request_id}
    assert not kinds(said_by(world, "node0", "node1", Kind.NONCE_REQUEST, NonceRequest(1), **ids))


def test_a_node_that_nobody_named_is_not_heard() -> None:
    world, wallet = lost()
    request = word(world, wallet, sweep(wallet, RESCUE), "node2")
    assert not kinds(said_by(world, "node2", "node1", Kind.PROPOSE, Propose(request)))
    counts = world.node("node1").complaints.counts
    assert counts[world.seats["node2"].identity.public, "letter-stranger"] == 1


def test_a_node_asks_even_a_real_coordinator_for_rescues_only() -> None:
    world, wallet = lost()
    evil = EvilCoordinator(world)
    rescue = word(world, wallet, sweep(wallet, RESCUE), "node2")
    assert [letter.header.kind for letter in evil.propose("node1", rescue)] == [Kind.VERDICT]
    [refused] = evil.propose("node1", word(world, wallet, payment(wallet, script=STRANGER), "node2"))
    assert isinstance(refused.body, Verdict)
    assert refused.body.codes == ("request-stranger",)


def test_whoever_gathers_with_a_nodes_words_convicts_no_chain_of_that_node() -> None:
    world, wallet = lost()
    rescue, letters = gathered(world, wallet), Letters(world.roster)
    assert rescue.state == "open"
    for out in rescue.said:
        letters.take(SignedLetter(out.letter, out.signature), "node1's transcript")
    assert letters.of(Kind.HELLO)
    assert (letters.heads, letters.boot_letters) == ([], {})


def test_the_recovery_coordinator_hears_nothing_but_its_rescue() -> None:
    world, wallet = lost(gatherer="client")
    rescue = gathered(world, wallet)
    with pytest.raises(ValueError, match="asks for nothing else"):
        rescue.machine.ask(sweep(wallet, RESCUE), world.now, world.entropy(), life_ms=HOUR_MS)
    for name, kind, body in (
        ("client", Kind.REQUEST, Request(payment(wallet), "", bytes(32))),
        ("client", Kind.STATUS_QUERY, StatusQuery("state")),
    ):
        mouth = Mouth(world.seats[name].identity, world.roster.cluster_id, b"evil" * 4)
        signed = mouth.say(kind, rescue.public, body, expires_at_ms=world.now.wall_ms + 60_000)
        step = rescue.machine.receive(
            mouth.public, signed.letter, signed.signature, world.now, world.entropy()
        )
        assert not step.say
        assert rescue.machine.complaints.counts[mouth.public, "rescue-only"] >= 1
    assert len(rescue.machine.signing.jobs.whole) == 1
