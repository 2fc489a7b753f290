"""What nodes give back to a coordinator, made heavy, false or endless: it stays bounded, and the truth wins."""

from __future__ import annotations

import dataclasses

import pytest
from evil import EvilCoordinator
from losing import asks, codes, lose
from msgspec.structs import replace
from outside import Outsiderly
from spends import payment
from wire import Envelope
from world import ScriptedJudge, World

from cluster.charter import Charter, CharterMember
from cluster.client import REQUEST_LIFE_MS
from cluster.client_views import SigningView
from cluster.codec import Mouth, encode, header_of, open_letter, seal_letter
from cluster.coordinator_sessions import MAX_HELD_SESSIONS, Sessions
from cluster.coordinator_signing import MAX_TOLD
from cluster.holding import GIVE_EVERY_MS, OFFER_EVERY_MS
from cluster.jobs import Job, Session
from cluster.messages import (
    NO_ID,
    Body,
    Decision,
    HeldAsk,
    HeldFinal,
    HeldList,
    HeldParts,
    HeldRequest,
    HeldWallet,
    HeldWalletId,
    KeygenRequest,
    Kind,
    SignedLetter,
    SignerPart,
)
from cluster.outputs import public_wallet
from cluster.owner_says import Answer
from cluster.presence import RESTART_EVERY_MS
from cluster.roster import digest
from cluster.scheme_musig2 import main_key
from cluster.schemes import SCHEMES, Signer, Wallet, read_wallet
from cluster.subjects import check_parts
from cluster.turn import Turn
from curve import SecretScalar, schnorr_sign, tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt


def far(wallet: Wallet, index: int) -> bytes:
    """A PSBT that spends a coin at this receive address."""
    coin = Coin(OutPoint(tagged_hash("test/coin", bytes([index % 251])), 0), 100_000, WalletPath(0, index))
    pays = Payment(wallet.public.script(WalletPath(0, 1)), 40_000)
    return build_psbt(wallet.public, coins=[coin], payments=[pays], fee_sats=500, change=WalletPath(1, 0))


def tell(
    world: World,
    mouth: Mouth,
    name: str,
    kind: Kind,
    body: Body,
    view: SigningView,
    *,
    session_id: bytes = NO_ID,
) -> None:
    """A node says to the coordinator what it claims to hold of a request."""
    signed = mouth.say(
        kind,
        world.seats["coord"].identity.public,
        body,
        wallet_id=view.subject.wallet.wallet_id,
        request_id=view.subject.request_id,
        session_id=session_id,
        expires_at_ms=world.now.wall_ms + 1_000,
    )
    world.deliver(Envelope(name, "coord", signed.letter, signed.signature))


def test_what_was_half_signed_and_has_expired_is_not_offered_for_ever() -> None:
    """It is never closed at a node, and a coordinator that lost it takes no expired request."""
    world = World()
    wallet = world.make_wallet()
    heard: list[Kind] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        kind = header_of(envelope.letter).kind
        heard.append(kind)
        return [] if kind is Kind.PARTIAL_SIGNATURES else [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    request_id = view.subject.request_id
    tickets = [world.node(name).signing.tickets for name in world.node_names]
    assert world.run(lambda: any(t.whole[request_id].state == "may-be-signed" for t in tickets if t.whole))
    world.stop("client")
    world.stop("coord")
    world.advance(REQUEST_LIFE_MS + 1)
    lose(world)
    world.run(ms=12_000)
    heard.clear()
    world.run(ms=10 * OFFER_EVERY_MS)
    assert Kind.HELD_REQUEST not in heard
    assert Kind.HELD_LIST not in heard


def test_a_proposal_under_a_wallets_own_id_does_not_keep_the_wallet_out() -> None:
    """A stolen client and one evil node, before a coordinator that lost its disk: no member need agree to MuSig2."""
    world = World()
    wallet = world.make_wallet()
    kept = next(iter(world.coordinator.keygen.makings.values()))
    evil = world.seats["node0"].identity
    mouth = Mouth(evil, world.roster.cluster_id, b"evil" * 4)
    for name in world.node_names:
        world.stop(name)
    lose(world)

    def says(kind: Kind, body: Body) -> None:
        public = world.seats["coord"].identity.public
        signed = mouth.say(
            kind, public, body, wallet_id=wallet.wallet_id, expires_at_ms=world.now.wall_ms + 1_000
        )
        world.deliver(Envelope("node0", "coord", signed.letter, signed.signature))

    spec = next(one for one in SCHEMES if one.startswith("musig2 ")).partition(" ")[2]
    forged = replace(kept.charter, scheme="musig2", spec=spec, favourite=(0, 1))
    stolen = Mouth(world.seats["client"].identity, world.roster.cluster_id, b"them" * 4)
    proposal = stolen.say(
        Kind.KEYGEN_REQUEST,
        world.seats["coord"].identity.public,
        KeygenRequest(encode(forged)),
        wallet_id=wallet.wallet_id,
        request_id=digest(encode(forged)),
        expires_at_ms=world.now.wall_ms + 60_000,
    )
    descriptor = public_wallet(forged, main_key(forged), {}).descriptor().encode()
    says(Kind.HELD_LIST, HeldList((HeldWalletId(wallet.wallet_id, 0, 0),), ()))
    says(Kind.HELD_WALLET, HeldWallet(encode(forged), descriptor, (), (proposal,)))
    assert world.coordinator.keygen.wallets[wallet.wallet_id].charter == forged
    for name in ("node1", "node2"):
        world.restart(name)
    world.run(ms=15_000)
    for _ in range(2):
        held = world.coordinator.keygen.wallets[wallet.wallet_id]
        assert (held.charter, held.complete) == (kept.charter, True)
        assert [making.stage for making in world.coordinator.keygen.makings.values()] == [
            "failed",
            "complete",
        ]
        world.restart("coord")
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)


def test_ends_that_finish_nothing_are_looked_at_so_often_and_no_more() -> None:
    """Each is work: in a tree of 250 inputs the messages of another quorum take a fortieth of a second."""
    world = World(judges=asks)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    node = Mouth(world.seats["node1"].identity, world.roster.cluster_id, b"evil" * 4)
    false = HeldFinal(((b"\x01" * 64,),), (0, 1))
    for _ in range(MAX_TOLD + 10):
        tell(world, node, "node1", Kind.HELD_FINAL, false, view)
    counts = world.coordinator.complaints.counts
    me = world.seats["node1"].identity.public
    assert (counts[me, "final-invalid"], counts[me, "held-often"]) == (MAX_TOLD, 10)
    for name in ("node1", "node2"):
        world.answer(name, Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None), (
        "the others' end, and its own partial signature, still count"
    )


def test_no_part_of_a_session_is_waited_for_where_nobody_signs_last() -> None:
    """Else a node could have every request wait eight seconds for the others' parts of what never was."""
    world = World(judges=asks)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    node = Mouth(world.seats["node1"].identity, world.roster.cluster_id, b"evil" * 4)
    subject, signers = view.subject, []
    for i in (0, 1):  # its own part is genuine, in a session that it made up
        vault = world.node(f"node{i}")._vault
        asked = (wallet, subject.route.name, subject.request_id, subject.count, subject.fixed_tasks)
        signers.append(Signer(i, vault.nonces(*asked, world.entropy())))
    psigs = vault.sign(wallet, subject.request_id, signers, subject.tasks(frozenset((0, 1))))
    parts = tuple(SignerPart(one.participant, one.pubnonces, psigs) for one in signers)
    session_id = subject.session_id(signers)
    tell(world, node, "node1", Kind.HELD_PARTS, HeldParts(parts), view, session_id=session_id)
    assert codes(world) == {"held-parts"}
    assert world.coordinator.signing.jobs.whole[view.subject.request_id].holds_until_ms is None


def test_a_late_answer_that_is_repeated_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(3, 5)
    wallet = world.make_wallet()
    looked: list[bytes] = []
    late: list[Envelope] = []
    look = Sessions._look_through

    def watched(self: Sessions, job: Job, session: Session, turn: Turn) -> None:
        looked.append(session.session_id)
        look(self, job, session, turn)

    def hook(envelope: Envelope) -> list[Envelope]:
        if header_of(envelope.letter).kind is not Kind.PARTIAL_SIGNATURES:
            return [envelope]
        late.append(envelope)
        return []

    monkeypatch.setattr(Sessions, "_look_through", watched)
    world.hook = hook
    world.request(wallet, payment(wallet))
    assert world.run(lambda: bool(looked))
    name, identity = late[0].sender, world.seats[late[0].sender].identity
    letter = open_letter(late[0].letter, late[0].signature, identity.public)
    looked.clear()
    for sequence in range(20):
        header = replace(letter.header, boot_id=b"again" + bytes(11), sequence=sequence + 1)
        again = seal_letter(header, letter.body, identity)
        world.deliver(Envelope(name, "coord", again.letter, again.signature))
    assert looked.count(letter.header.session_id) == 1


def test_what_a_coordinator_asks_for_again_and_again_it_is_given_once_in_a_while() -> None:
    world = World(judges=asks)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    evil = EvilCoordinator(world)

    def given() -> list[Kind]:
        ask = HeldAsk((wallet.wallet_id,) * 8, (view.subject.request_id,) * 8)
        return [letter.header.kind for letter in evil.tell("node1", Kind.HELD_ASK, ask)]

    assert given() == [Kind.HELD_WALLET, Kind.HELD_REQUEST]
    assert [given() for _ in range(20)] == [[]] * 20
    world.advance(GIVE_EVERY_MS)
    assert given() == [Kind.HELD_WALLET, Kind.HELD_REQUEST]


def test_nobody_is_to_blame_for_addresses_that_the_new_one_does_not_know_yet() -> None:
    """The first node that speaks has a request far beyond the gap, and one node's word on addresses is not enough."""
    asking: list[bool] = []

    def decide(subject: object, said: bool | None) -> Decision:
        return Decision.ASK if asking and not said else Decision.APPROVE

    world = World(judges=lambda name: ScriptedJudge(name, decide))
    wallet = world.make_wallet()
    for index in (900, 1800):
        view = world.request(wallet, far(wallet, index))
        assert world.run(lambda view=view: view.final is not None)  # type: ignore[misc]
        wallet = wallet.having_used(index + 1, 1)
    asking.append(True)
    view = world.request(wallet, far(wallet, 2700))
    world.run(ms=2_000)
    world.stop("client")

    def hook(envelope: Envelope) -> list[Envelope]:
        envelope.delay_ms = 1 if "node0" in {envelope.sender, envelope.addressee} else 3_000
        return [envelope]

    world.hook = hook
    lose(world)
    assert world.run(lambda: view.subject.request_id in world.coordinator.signing.jobs.whole)
    assert codes(world) == set()


def test_a_coordinator_that_always_starts_is_not_told_everything_each_time() -> None:
    world = World(judges=asks)
    world.make_wallet()
    world.run(ms=2_000)
    coordinator = world.seats["coord"].identity
    greeting = world.coordinator._own_hello(world.coordinator._turn(world.now, world.entropy()))
    node = world.seats["node1"].identity.public

    def told(life: int) -> bool:
        mouth = Mouth(coordinator, world.roster.cluster_id, bytes([life]) * 16)
        hello = mouth.say(Kind.HELLO, node, greeting, expires_at_ms=world.now.wall_ms + 1_000)
        said = len(world.seats["node1"].said)
        world.deliver(Envelope("coord", "node1", hello.letter, hello.signature))
        return any(header_of(one.letter).kind is Kind.HELD_LIST for one in world.seats["node1"].said[said:])

    assert [told(life) for life in range(20)].count(True) == 1
    world.advance(RESTART_EVERY_MS)
    assert told(20)


class Forger:
    """An evil node before a coordinator that lost its disk: it offers a wallet under the id of the true one."""

    def __init__(self) -> None:
        self.world = World()
        self.wallet: Wallet = self.world.make_wallet()
        self.charter = next(iter(self.world.coordinator.keygen.makings.values())).charter
        for name in self.world.node_names:
            self.world.stop(name)
        lose(self.world)
        self.mouth = Mouth(self.world.seats["node0"].identity, self.world.roster.cluster_id, b"evil" * 4)

    def offers(self, charter: Charter, acks: tuple[bytes, ...], *request: SignedLetter) -> bool:
        """Whether the coordinator takes it."""
        descriptor = public_wallet(charter, main_key(charter), {}).descriptor().encode()
        held = HeldWallet(encode(charter), descriptor, acks, request)
        lists = HeldList((HeldWalletId(self.wallet.wallet_id, 0, 0),), ())
        for kind, body in ((Kind.HELD_LIST, lists), (Kind.HELD_WALLET, held)):
            coordinator = self.world.seats["coord"].identity.public
            until_ms = self.world.now.wall_ms + 1_000
            signed = self.mouth.say(
                kind, coordinator, body, wallet_id=self.wallet.wallet_id, expires_at_ms=until_ms
            )
            self.world.deliver(Envelope("node0", "coord", signed.letter, signed.signature))
        return self.wallet.wallet_id in self.world.coordinator.keygen.wallets

    def proposed(self, charter: Charter, by: str) -> SignedLetter:
        """That somebody wants this wallet."""
        mouth = Mouth(self.world.seats[by].identity, self.world.roster.cluster_id, b"them" * 4)
        coordinator, body = self.world.seats["coord"].identity.public, KeygenRequest(encode(charter))
        return mouth.say(Kind.KEYGEN_REQUEST, coordinator, body, expires_at_ms=self.world.now.wall_ms + 1_000)

    @property
    def tree(self) -> Charter:
        """A charter of the same members that takes no key generation."""
        spec = next(one for one in SCHEMES if one.startswith("musig2 ")).partition(" ")[2]
        return replace(self.charter, scheme="musig2", spec=spec, favourite=(0, 1))


def test_a_wallet_that_one_node_acknowledged_for_all_with_keys_of_its_own_is_none() -> None:
    """Acknowledgements prove nothing unless the keys under them are the roster's."""
    forger = Forger()
    keys = [SecretScalar.from_bytes(tagged_hash("test/forged", bytes([i]))) for i in range(3)]
    points = [key.point().to_bytes() for key in keys]
    members = tuple(
        CharterMember(member.identity, point, point)
        for member, point in zip(forger.charter.members, points, strict=True)
    )
    charter = replace(forger.tree, members=members)
    wallet = read_wallet(charter, public_wallet(charter, main_key(charter), {}).descriptor().encode(), {})
    acks = tuple(schnorr_sign(key, wallet.acknowledgement, bytes(32)) for key in keys)
    assert wallet.acknowledged(acks), "it is whole in itself"
    assert not forger.offers(charter, acks)
    assert codes(forger.world) == {"held-wallet"}


def test_a_wallet_that_no_client_wants_just_so_is_none() -> None:
    forger = Forger()
    assert not forger.offers(forger.tree, (), forger.proposed(forger.tree, "node0"))
    assert not forger.offers(forger.tree, (), forger.proposed(replace(forger.tree, t=3), "client"))
    assert codes(forger.world) == {"held-wallet"}
    assert forger.offers(forger.tree, (), forger.proposed(forger.tree, "client"))


def test_a_request_that_has_expired_comes_back_by_no_node() -> None:
    world = World(judges=asks)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    for name in (*world.node_names, "client"):
        world.stop(name)
    lose(world)
    world.advance(REQUEST_LIFE_MS + 1)
    node = Mouth(world.seats["node1"].identity, world.roster.cluster_id, b"evil" * 4)
    lists = HeldList((HeldWalletId(wallet.wallet_id, 0, 0),), (view.subject.request_id,))
    ticket = HeldRequest(view.request)
    world.coordinator.keygen.wallets[wallet.wallet_id] = dataclasses.replace(wallet, complete=True)
    tell(world, node, "node1", Kind.HELD_LIST, lists, view)
    tell(world, node, "node1", Kind.HELD_REQUEST, ticket, view)
    assert not world.coordinator.signing.jobs.whole
    assert codes(world) == set()


def test_of_all_the_sessions_that_a_node_tells_the_newest_few_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It makes as many as it likes, each genuine, and each may be half a hundred thousand bytes."""
    monkeypatch.setattr(World, "scheme", "musig2")
    core = Outsiderly("core")
    world = World(3, 2, judges=asks)
    world.outsiders = (core.entry(),)
    wallet = world.make_wallet()
    view = world.request(wallet, core.commit(wallet, payment(wallet), (0, 1, 2)))
    world.run(ms=2_000)
    node, subject = world.seats["node1"].identity, view.subject
    mouth = Mouth(node, world.roster.cluster_id, b"evil" * 4)

    def nonces(i: int) -> Signer:
        asked = (wallet, subject.route.name, subject.request_id, subject.count, subject.fixed_tasks)
        return Signer(i, world.node(f"node{i}")._vault.nonces(*asked, world.entropy()))

    other, told = nonces(0), []
    for _ in range(MAX_HELD_SESSIONS + 3):
        signers = (other, nonces(1), *subject.outside(frozenset((0, 1, 2))))
        psigs = world.node("node1")._vault.sign(
            wallet, subject.request_id, signers, subject.tasks(frozenset((0, 1, 2)))
        )
        parts = tuple(
            SignerPart(one.participant, one.pubnonces, psigs if one.participant == 1 else ())
            for one in signers
        )
        told.append(subject.session_id(signers))
        tell(world, mouth, "node1", Kind.HELD_PARTS, HeldParts(parts), view, session_id=told[-1])
    assert codes(world) == set()
    job = world.coordinator.signing.jobs.whole[subject.request_id]
    assert list(job.held[node.public]) == told[-MAX_HELD_SESSIONS:]


def test_a_false_part_of_a_session_is_never_put_together_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever signs last would be given parts that no signature comes of."""
    monkeypatch.setattr(World, "scheme", "musig2")
    core = Outsiderly("core")
    world = World(3, 2)
    world.outsiders = (core.entry(),)
    wallet = world.make_wallet()
    view = world.request(wallet, core.commit(wallet, payment(wallet, coins=2), (0, 1, 2)))
    assert world.run(lambda: bool(view.parts))

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is not Kind.HELD_PARTS or envelope.sender != "node1":
            return [envelope]
        seat = world.seats["node1"]
        letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
        assert isinstance(letter.body, HeldParts)
        false = tuple(replace(part, psigs=part.psigs[::-1]) for part in letter.body.signers)
        signed = seal_letter(letter.header, HeldParts(false), seat.identity)
        return [Envelope("node1", envelope.addressee, signed.letter, signed.signature)]

    world.hook = hook
    for name in world.node_names:
        world.restart(name)
    lose(world)
    world.run(ms=15_000)
    assert codes(world) == {"held-parts"}
    job = world.coordinator.signing.jobs.whole[view.subject.request_id]
    assert job.state == "cosigning", "after a while they sign anew"
    check_parts(job.subject, job.parts)
