"""A coordinator that lost its memory, or is new: the nodes give it back, and it believes only what is proven."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from company import PEOPLE, TWO
from evil import signed_by
from losing import asks, codes, is_final, lose, txids
from outside import Outsiderly
from policed import PolicedWorld
from spends import STRANGER, payment
from wire import Envelope
from world import World

from cluster import held_wallets
from cluster.client_views import SigningView
from cluster.codec import Mouth, encode, open_letter, seal_letter
from cluster.effects import Outgoing
from cluster.held_letters import HeldList, HeldRequest, HeldWallet, HeldWalletId
from cluster.messages import Cosigned, HeldFinal, Kind, Request, SignedLetter
from cluster.owner_says import Answer, CopyShown
from cluster.roster import digest
from cluster.schemes import Wallet
from cluster.subjects import describe
from curve import tagged_hash


def test_an_open_request_goes_on_without_its_client() -> None:
    world = World(judges=asks)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    world.stop("client")
    lose(world)
    world.run(ms=12_000)
    assert set(world.coordinator.keygen.wallets) == {wallet.wallet_id}
    request_id = view.subject.request_id
    assert request_id in world.coordinator.signing.jobs.whole
    world.answer("node1", Answer(request_id, True))
    assert world.run(lambda: is_final(world, request_id))
    assert not codes(world)


def test_a_finished_request_gets_the_stored_answer_under_its_id() -> None:
    """The client's own letter again, at a coordinator that never heard of it: the same transaction, nothing signed."""
    world = World()
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    world.run(ms=1_000)
    signed = {name: len(signed_by(world, name)) for name in world.node_names}
    lose(world)
    world.stop("client")
    world.restart("client")
    world.run(ms=12_000)
    again = SigningView(view.subject, view.request)
    world.client.signing[view.subject.request_id] = again
    assert world.run(lambda: again.final is not None)
    assert again.final is not None
    assert view.final is not None
    assert again.final.tx == view.final.tx
    assert {name: len(signed_by(world, name)) for name in world.node_names} == signed


@pytest.mark.parametrize("lost", range(1, 6))
def test_what_may_be_signed_is_finished_and_never_as_two(lost: int) -> None:
    """Lost when some partial signatures have left: the request ends, as one transaction."""
    world = World(seed=lost)
    wallet = world.make_wallet()
    left = [lost]

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.kind is Kind.PARTIAL_SIGNATURES and left[0]:
            left[0] -= 1
            return []
        return [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: not left[0] or view.final is not None, ms=30_000)
    lose(world)
    assert world.run(lambda: view.final is not None)
    world.run(ms=15_000)
    assert view.final is not None
    assert txids(world, view) == {view.final.txid_hex}
    assert all(not world.node(name).signing.tickets.live() for name in world.node_names)


def test_a_request_that_waits_for_whoever_signs_last_is_put_together_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(World, "scheme", "musig2")
    core = Outsiderly("core")
    world = World(3, 2)
    world.outsiders = (core.entry(),)
    wallet = world.make_wallet()
    view = world.request(wallet, core.commit(wallet, payment(wallet, coins=2), (0, 1, 2)))
    assert world.run(lambda: bool(view.parts))
    for name in world.node_names:
        world.stop(name)
        world.restart(name)
    lose(world)
    world.run(ms=15_000)
    job = world.coordinator.signing.jobs.whole[view.subject.request_id]
    assert job.state == "cosigning"
    assert job.parts == view.parts
    assert all(len(signed_by(world, name)) == 1 for name in world.node_names)
    said = Cosigned((core.sign(view.subject, view.parts),))
    world.perform("client", world.client.cosign(view.subject.request_id, said, world.now, world.entropy()))
    assert world.run(lambda: view.final is not None)
    world.run(ms=1_000)
    for name in world.node_names:
        world.restart(name)
        assert not world.node(name).signing.tickets.ended[view.subject.request_id].sessions, (
            "nonces by the score"
        )


def test_a_wallet_whose_copies_are_not_all_made_is_finished_by_the_new_one() -> None:
    world = World()
    view = world.propose(world.charter())
    subject = digest(encode(view.charter))

    def made() -> bool:
        plans = [world.node(name).plan(subject) for name in world.node_names]
        for name, plan in zip(world.node_names, plans, strict=True):
            if plan is not None and plan.stage == "proposed":
                world.answer(name, Answer(subject, True))
        return all(plan is not None and plan.stage == "made" for plan in plans)

    assert world.run(made)
    lose(world)
    world.run(ms=12_000)
    for name in world.node_names:
        data = world.node(name).keygen.wallets[view.charter.wallet_id].recovery_data
        world.answer(name, CopyShown(view.charter.wallet_id, data))
    assert world.run(lambda: view.wallet is not None)
    assert not codes(world)


def test_what_people_said_reaches_the_nodes_that_were_away() -> None:
    world = PolicedWorld(TWO, people=PEOPLE)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, script=STRANGER))
    world.run(ms=3_000)
    world.stop("node0")
    world.stop("node2")
    for person in ("ann", "bob"):
        world.says(person, view.subject.request_id, True)
    world.run(ms=3_000)
    assert view.final is None
    lose(world)
    for person in PEOPLE:
        world.stop(person)
    world.run(ms=12_000)
    world.restart("node0")  # two, as each needs two others who vouch for its clock
    world.restart("node2")
    world.run(ms=10_000)
    world.stop("node1")
    assert world.run(lambda: view.final is not None, ms=120_000), (view.state, view.codes)


def test_addresses_that_t_nodes_have_seen_used_count_and_what_one_says_does_not() -> None:
    world = World()
    wallet = world.make_wallet()

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.kind is Kind.HELD_LIST and envelope.sender == "node0":
            seat = world.seats["node0"]
            letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
            lie = HeldList((HeldWalletId(wallet.wallet_id, 2**31 - 1, 2**31 - 1),), ())
            signed = seal_letter(letter.header, lie, seat.identity)
            return [Envelope("node0", envelope.addressee, signed.letter, signed.signature, 1)]
        return [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    world.run(ms=1_000)
    lose(world)
    world.run(ms=12_000)
    kept = world.coordinator.keygen.wallets[wallet.wallet_id]
    assert kept.next_indexes == view.subject.next_indexes
    world.stop("coord")
    world.restart("coord")
    assert world.coordinator.keygen.wallets[wallet.wallet_id].next_indexes == view.subject.next_indexes


class Flood:
    """An evil node before a coordinator with an empty database."""

    def __init__(self) -> None:
        self.world = World()
        self.wallet: Wallet = self.world.make_wallet()
        self.mouth = Mouth(self.world.seats["node0"].identity, self.world.roster.cluster_id, b"evil" * 4)
        self.world.stop("node0")
        lose(self.world)
        self.world.run(ms=12_000)

    def says(self, kind: Kind, body: object, **ids: bytes) -> tuple[Outgoing, ...]:
        """What the coordinator answers to one letter of this node."""
        world = self.world
        signed = self.mouth.say(
            kind,
            world.seats["coord"].identity.public,
            body,  # type: ignore[arg-type]
            expires_at_ms=world.now.wall_ms + 60_000,
            **ids,
        )
        sender = world.seats["node0"].identity.public
        step = world.coordinator.receive(sender, signed.letter, signed.signature, world.now, world.entropy())
        world.perform("coord", step)
        return step.say

    def request(self, by: str, label: str, cluster_id: bytes = b"") -> tuple[bytes, SignedLetter]:
        """A request, signed by whom you like, for this cluster or another."""
        seat = self.world.seats[by]
        body = Request(payment(self.wallet, label=label), "", tagged_hash("n", label.encode()), None, "")
        request_id = describe(self.wallet, body, seat.identity.public).request_id
        mouth = Mouth(seat.identity, cluster_id or self.world.roster.cluster_id, b"them" * 4)
        signed = mouth.say(
            Kind.REQUEST,
            self.world.seats["coord"].identity.public,
            body,
            wallet_id=self.wallet.wallet_id,
            request_id=request_id,
            expires_at_ms=self.world.now.wall_ms + 3_600_000,
        )
        return request_id, signed


def test_a_flood_of_what_a_node_claims_to_hold_leaves_nothing() -> None:
    flood = Flood()
    disk = len(flood.world.seats["coord"].disk)
    for i in range(50):
        ids = tuple(tagged_hash("bogus", bytes([i, j])) for j in range(250))
        flood.says(Kind.HELD_LIST, HeldList((), ids))
    desk = flood.world.coordinator._rebuilding
    assert len(desk._asked) <= 4
    assert sum(len(held.requests) for held in desk._lists.values()) <= 512
    for i in range(20):
        flood.says(
            Kind.HELD_REQUEST, HeldRequest(flood.request("client", f"{i}")[1]), request_id=bytes([i]) * 32
        )
    assert not flood.world.coordinator.signing.jobs.whole
    assert codes(flood.world) == {"held-unasked"}
    assert len(flood.world.seats["coord"].disk) == disk + 1


def test_only_what_an_enrolled_client_signed_is_taken_and_within_its_quota() -> None:
    flood = Flood()
    bad_id, bad = flood.request("node0", "stranger")
    flood.says(Kind.HELD_LIST, HeldList((), (bad_id,)))
    flood.says(Kind.HELD_REQUEST, HeldRequest(bad), request_id=bad_id)
    assert "held-request" in codes(flood.world)
    other_id, other = flood.request("client", "other")
    flood.says(Kind.HELD_LIST, HeldList((), (bad_id,)))
    flood.says(Kind.HELD_REQUEST, HeldRequest(other), request_id=bad_id)
    assert not flood.world.coordinator.signing.jobs.whole
    for i in range(40):
        request_id, request = flood.request("client", f"many{i}")
        flood.says(Kind.HELD_LIST, HeldList((), (request_id,)))
        flood.says(Kind.HELD_REQUEST, HeldRequest(request), request_id=request_id)
    assert len(flood.world.coordinator.signing.jobs.whole) == 32
    assert other_id not in flood.world.coordinator.signing.jobs.whole


def test_what_a_client_signed_for_another_cluster_is_no_request_here() -> None:
    """Words that serve in two clusters are one client, and the id of a request does not name the cluster."""
    flood = Flood()
    request_id, request = flood.request("client", "elsewhere", b"elsewhere".ljust(32))
    flood.says(Kind.HELD_LIST, HeldList((), (request_id,)))
    flood.says(Kind.HELD_REQUEST, HeldRequest(request), request_id=request_id)
    assert not flood.world.coordinator.signing.jobs.whole
    assert codes(flood.world) == {"held-request"}


def test_a_request_that_its_client_brought_meanwhile_does_not_begin_again() -> None:
    """Else what was gathered for it since would be lost, and be written down twice."""
    flood = Flood()
    request_id, request = flood.request("client", "meanwhile")
    flood.says(Kind.HELD_LIST, HeldList((), (request_id,)))
    flood.world.deliver(Envelope("client", "coord", request.letter, request.signature))
    job = flood.world.coordinator.signing.jobs.whole[request_id]
    flood.says(Kind.HELD_REQUEST, HeldRequest(request), request_id=request_id)
    assert flood.world.coordinator.signing.jobs.whole[request_id] is job
    assert [record.kind for record in flood.world.seats["coord"].disk].count("request") == 1


def test_no_more_wallets_are_taken_than_a_coordinator_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stolen client signs charters without end, and an evil node brings them."""
    flood = Flood()
    kept = next(iter(flood.world.coordinator.keygen.makings.values()))
    wallet_id, acks = flood.wallet.wallet_id, tuple(kept.acks[i] for i in range(3))
    lose(flood.world)

    def is_taken(most: int) -> bool:
        monkeypatch.setattr(held_wallets, "MAX_MAKINGS", most)
        flood.says(Kind.HELD_LIST, HeldList((HeldWalletId(wallet_id, 0, 0),), ()))
        flood.says(
            Kind.HELD_WALLET, HeldWallet(kept.exact, kept.recovery_data, acks, ()), wallet_id=wallet_id
        )
        return wallet_id in flood.world.coordinator.keygen.wallets

    assert not is_taken(0)
    assert codes(flood.world) == {"held-wallet"}
    assert is_taken(1)


def test_a_wallet_without_every_acknowledgement_or_a_clients_wish_is_none() -> None:
    flood = Flood()
    kept = next(iter(flood.world.coordinator.keygen.makings.values()))
    acks = tuple(kept.acks[i] for i in range(3))
    lose(flood.world)
    wallet_id = flood.wallet.wallet_id
    for fake in (
        HeldWallet(kept.exact, kept.recovery_data, (), ()),
        HeldWallet(kept.exact, kept.recovery_data, acks[:2], ()),
        HeldWallet(kept.exact, kept.recovery_data, (acks[1], acks[0], acks[2]), ()),
        HeldWallet(kept.exact, kept.recovery_data[:-1], acks, ()),
        HeldWallet(kept.exact[:-1], kept.recovery_data, acks, ()),
        HeldWallet(kept.exact, kept.recovery_data, (), (flood.request("client", "x")[1],)),
    ):
        flood.says(Kind.HELD_LIST, HeldList((HeldWalletId(wallet_id, 0, 0),), ()))
        flood.says(Kind.HELD_WALLET, fake, wallet_id=wallet_id)
        assert wallet_id not in flood.world.coordinator.keygen.wallets
    flood.says(Kind.HELD_LIST, HeldList((HeldWalletId(wallet_id, 0, 0),), ()))
    flood.says(Kind.HELD_WALLET, HeldWallet(kept.exact, kept.recovery_data, acks, ()), wallet_id=wallet_id)
    assert wallet_id in flood.world.coordinator.keygen.wallets


def test_an_end_that_finishes_nothing_ends_nothing() -> None:
    flood = Flood()
    request_id, request = flood.request("client", "coin")
    flood.says(Kind.HELD_LIST, HeldList((), (request_id,)))
    flood.says(Kind.HELD_REQUEST, HeldRequest(request), request_id=request_id)
    ids = {"wallet_id": flood.wallet.wallet_id, "request_id": request_id}
    for signatures in ((), ((b"\x01" * 64,),), ((b"",),), ((b"\x01" * 64,) * 3,) * 3):
        flood.says(Kind.HELD_FINAL, HeldFinal(signatures, (0, 1)), **ids)
        assert flood.world.coordinator.signing.jobs.whole[request_id].state == "open"
    assert "final-invalid" in codes(flood.world)


def test_letters_of_what_is_held_come_from_nodes_only() -> None:
    flood = Flood()
    client = flood.world.seats["client"]
    mouth = Mouth(client.identity, flood.world.roster.cluster_id, b"them" * 4)
    coordinator = flood.world.seats["coord"].identity.public
    signed = mouth.say(
        Kind.HELD_LIST,
        coordinator,
        HeldList((), (b"\x01" * 32,)),
        expires_at_ms=flood.world.now.wall_ms + 1_000,
    )
    flood.world.deliver(Envelope("client", "coord", signed.letter, signed.signature))
    assert codes(flood.world) == {"letter-role"}
    assert msgspec.msgpack.decode(signed.letter)[0][1] == Kind.HELD_LIST
