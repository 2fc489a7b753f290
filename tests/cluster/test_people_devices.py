"""A person's device before a hostile coordinator, and a coordinator before hostile people."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from company import DAY_MS, PEOPLE, TWO
from policed import PolicedWorld
from spends import STRANGER, payment
from world import World

from cluster.client_views import SigningView
from cluster.codec import Mouth, encode, open_letter, seal_letter
from cluster.coordinator_people import MAX_WORDS
from cluster.messages import (
    NO_ID,
    PROTOCOL_VERSION,
    Body,
    Busy,
    Hello,
    Kind,
    NodeStatus,
    OpenList,
    OpenRequest,
    PersonReceipt,
    PersonSays,
    Propose,
    SignedLetter,
    Status,
    StatusQuery,
    WalletShown,
)
from cluster.people import MAX_INDEX, Person
from cluster.schemes import SCHEMES, Wallet

OTHER = b"\x07" * 32
replace = msgspec.structs.replace


class Stage:
    """A world with one open request, whose coordinator is honest until it is taken over."""

    def __init__(self) -> None:
        self.world = PolicedWorld(TWO, people=PEOPLE)
        self.wallet: Wallet = self.world.make_wallet()
        self.view: SigningView = self.world.request(self.wallet, payment(self.wallet, script=STRANGER))
        self.world.run(ms=3_000)
        self.request_id = self.view.subject.request_id
        self.evil = Mouth(self.world.seats["coord"].identity, self.world.roster.cluster_id, b"evil" * 4)

    @property
    def ann(self) -> Person:
        return self.world.person("ann")

    def tell(self, kind: Kind, body: Body, *, wallet_id: bytes = NO_ID, request_id: bytes = NO_ID) -> None:
        """Say one letter to ann under the coordinator's key."""
        world = self.world
        signed = self.evil.say(
            kind,
            world.seats["ann"].identity.public,
            body,
            wallet_id=wallet_id,
            request_id=request_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        sender = world.seats["coord"].identity.public
        world.perform(
            "ann", self.ann.receive(sender, signed.letter, signed.signature, world.now, world.entropy())
        )

    def look(self) -> None:
        """Ann asks anew; nobody has answered yet."""
        self.world.perform("ann", self.ann.look(None, self.world.now, self.world.entropy()))

    def listing(self) -> None:
        """Ann is told of the wallet and the request."""
        entry = OpenRequest(self.request_id, self.wallet.wallet_id, "open")
        self.tell(Kind.OPEN_LIST, OpenList((self.wallet.wallet_id,), (entry,)))

    def shown(self) -> WalletShown:
        """The true wallet."""
        making = next(iter(self.world.coordinator.keygen.makings.values()))
        acks = tuple(making.acks[index] for index in range(3))
        return WalletShown(making.exact, making.recovery_data, acks, 0, 0)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.fixture
def fresh(stage: Stage) -> Stage:
    """Ann's device without anything on it, in front of a liar."""
    stage.world.seats["ann"].disk.clear()
    stage.world.hook = lambda envelope: []
    stage.world.restart("ann")
    stage.look()
    stage.listing()
    return stage


def test_what_is_true_is_read(fresh: Stage) -> None:
    fresh.tell(Kind.WALLET_SHOWN, fresh.shown(), wallet_id=fresh.wallet.wallet_id)
    fresh.tell(Kind.PROPOSE, Propose(fresh.view.request), request_id=fresh.request_id)
    assert fresh.ann.has_looked
    assert fresh.ann.views[fresh.request_id].subject.spend == fresh.view.subject.spend
    assert [record.kind for record in fresh.world.seats["ann"].disk] == ["wallet", "wallet-complete"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"acks": (bytes(64),) * 3}, "wallet-acks"),
        ({"recovery_data": b"no"}, "wallet-invalid"),
        ({"charter": b"no"}, "wallet-invalid"),
    ],
)
def test_a_wallet_without_proof_is_none(fresh: Stage, changes: dict[str, Any], code: str) -> None:
    fresh.tell(Kind.WALLET_SHOWN, replace(fresh.shown(), **changes), wallet_id=fresh.wallet.wallet_id)
    assert fresh.ann.trouble.startswith(code)
    assert not fresh.ann.wallets
    fresh.tell(Kind.PROPOSE, Propose(fresh.view.request), request_id=fresh.request_id)
    assert fresh.ann.unread[fresh.request_id] == "request-wallet"
    assert not fresh.ann.views


def test_a_wallet_under_another_id_is_none(fresh: Stage) -> None:
    fresh.tell(Kind.WALLET_SHOWN, fresh.shown(), wallet_id=OTHER)
    assert fresh.ann.trouble.startswith("wallet-acks")
    assert not fresh.ann.wallets


def test_a_known_wallet_is_never_replaced_and_indexes_are_bounded(fresh: Stage) -> None:
    fresh.tell(Kind.WALLET_SHOWN, fresh.shown(), wallet_id=fresh.wallet.wallet_id)
    other = fresh.world.charter(1, "other")
    forged = encode(replace(other, wallet_id=fresh.wallet.wallet_id))
    fresh.tell(Kind.WALLET_SHOWN, replace(fresh.shown(), charter=forged), wallet_id=fresh.wallet.wallet_id)
    assert fresh.ann.trouble.startswith("wallet-changed")
    assert fresh.ann.wallets[fresh.wallet.wallet_id].charter == fresh.wallet.charter
    far = replace(fresh.shown(), next_receive=2**31 - 1, next_change=2**31 - 1)
    fresh.tell(Kind.WALLET_SHOWN, far, wallet_id=fresh.wallet.wallet_id)
    known = fresh.ann.wallets[fresh.wallet.wallet_id]
    assert (known.next_receive, known.next_change) == (MAX_INDEX, MAX_INDEX)


def test_a_request_that_no_client_signed_is_not_read(fresh: Stage) -> None:
    fresh.tell(Kind.WALLET_SHOWN, fresh.shown(), wallet_id=fresh.wallet.wallet_id)
    world = fresh.world
    inner = open_letter(
        fresh.view.request.letter, fresh.view.request.signature, world.seats["client"].identity.public
    )
    by_coordinator = seal_letter(
        replace(inner.header, sender=world.seats["coord"].identity.public),
        inner.body,
        world.seats["coord"].identity,
    )
    fresh.tell(Kind.PROPOSE, Propose(by_coordinator), request_id=fresh.request_id)
    assert fresh.ann.unread[fresh.request_id] == "request-stranger"
    fresh.ann.unread.clear()
    forged = SignedLetter(fresh.view.request.letter, bytes(64))
    fresh.tell(Kind.PROPOSE, Propose(forged), request_id=fresh.request_id)
    assert fresh.ann.trouble.startswith("letter-signature")
    fresh.tell(Kind.PROPOSE, Propose(fresh.view.request), request_id=OTHER)
    assert fresh.ann.trouble.startswith("request-id")
    other = seal_letter(replace(inner.header, request_id=OTHER), inner.body, world.seats["client"].identity)
    fresh.tell(Kind.PROPOSE, Propose(other), request_id=OTHER)
    assert fresh.ann.unread[OTHER] == "request-id"
    assert not fresh.ann.views


def test_a_receipt_counts_only_with_its_nodes_signature_and_about_my_word(fresh: Stage) -> None:
    fresh.tell(Kind.WALLET_SHOWN, fresh.shown(), wallet_id=fresh.wallet.wallet_id)
    fresh.tell(Kind.PROPOSE, Propose(fresh.view.request), request_id=fresh.request_id)
    world, view = fresh.world, fresh.ann.views[fresh.request_id]
    world.perform("ann", fresh.ann.says(fresh.request_id, True, world.now, world.entropy()))
    assert view.body is not None
    me, said_at_ms = world.seats["ann"].identity.public, view.body.said_at_ms

    def receipt(by: str, **changes: Any) -> NodeStatus:
        body = PersonReceipt(view.subject.spend_id, me, True, said_at_ms)
        seat = world.seats[by].identity
        about = changes.pop("request_id", fresh.request_id)
        signed = Mouth(seat, world.roster.cluster_id, b"node" * 4).say(
            Kind.PERSON_RECEIPT,
            world.seats["coord"].identity.public,
            replace(body, **changes),
            request_id=about,
            expires_at_ms=world.now.wall_ms,
        )
        return NodeStatus(world.seats["node0"].identity.public, "online", None, signed)

    for status in (
        receipt("node1"),
        receipt("coord"),
        receipt("node0", request_id=OTHER),
        receipt("node0", spend_id=OTHER),
        receipt("node0", person=OTHER),
    ):
        fresh.tell(Kind.STATUS, Status("open", (), (status,)), request_id=fresh.request_id)
        assert fresh.ann.trouble.startswith("status-receipt")
    for changes in ({"yes": False}, {"said_at_ms": said_at_ms - 1}):
        fresh.tell(
            Kind.STATUS, Status("open", (), (receipt("node0", **changes),)), request_id=fresh.request_id
        )
        assert view.kept_by() == ()
    fresh.tell(Kind.STATUS, Status("open", (), (receipt("node0"),)), request_id=fresh.request_id)
    assert view.kept_by() == (world.seats["node0"].identity.public,)


def test_a_later_word_is_newer_even_when_the_clock_went_back(fresh: Stage) -> None:
    fresh.tell(Kind.WALLET_SHOWN, fresh.shown(), wallet_id=fresh.wallet.wallet_id)
    fresh.tell(Kind.PROPOSE, Propose(fresh.view.request), request_id=fresh.request_id)
    world = fresh.world
    said: list[int] = []
    for back_ms in (0, 60_000, 120_000):
        now = type(world.now)(world.now.wall_ms - back_ms, world.now.monotonic_ms)
        world.perform("ann", fresh.ann.says(fresh.request_id, back_ms == 0, now, world.entropy()))
        body = fresh.ann.views[fresh.request_id].body
        assert body is not None
        said.append(body.said_at_ms)
        world.restart("ann")
        fresh.look()
        fresh.listing()
        fresh.tell(Kind.PROPOSE, Propose(fresh.view.request), request_id=fresh.request_id)
    assert said == sorted(set(said))


def test_clocks_that_differ_are_noticed(fresh: Stage) -> None:
    for ahead_ms, seen_ms in ((0, 0), (100_000, 0), (180_000, 180_000), (-180_000, -180_000)):
        said_ms = fresh.world.now.wall_ms - ahead_ms
        fresh.tell(Kind.HELLO, Hello(PROTOCOL_VERSION, SCHEMES, NO_ID, 0, NO_ID, said_ms, ()))
        assert fresh.ann.clock_differs_ms == seen_ms


def test_a_rejection_and_other_talk(fresh: Stage) -> None:
    fresh.tell(Kind.STATUS, Status("rejected", ("request-unknown",), ()), request_id=fresh.request_id)
    assert fresh.ann.unread[fresh.request_id] == "request-unknown"
    fresh.tell(Kind.STATUS, Status("rejected", ("request-unknown",), ()), request_id=OTHER)
    assert OTHER not in fresh.ann.unread
    fresh.tell(Kind.BUSY, Busy(1))
    assert "busy" in fresh.ann.trouble
    fresh.tell(Kind.HELLO, Hello(9, SCHEMES, NO_ID, 0, NO_ID, 0, ()))
    assert fresh.ann.trouble.startswith("version-mismatch")
    world = fresh.world
    stranger = world.seats["node0"].identity
    step = fresh.ann.receive(stranger.public, b"", bytes(64), world.now, world.entropy())
    world.perform("ann", step)
    assert fresh.ann.trouble.startswith("letter-stranger")


def test_only_so_much_is_asked_for_at_once(fresh: Stage) -> None:
    many = tuple(OpenRequest(bytes([i]) * 32, fresh.wallet.wallet_id, "open") for i in range(100))
    said = fresh.world.seats["ann"].said
    before = len(said)
    fresh.tell(Kind.OPEN_LIST, OpenList((), many))
    fresh.tell(Kind.OPEN_LIST, OpenList((), many))
    assert len(said) - before <= 8


# People before the coordinator.


class Crowd:
    """A world whose people write what they like."""

    def __init__(self) -> None:
        self.world = PolicedWorld(TWO, people=PEOPLE)
        self.wallet = self.world.make_wallet()
        self.view = self.world.request(self.wallet, payment(self.wallet, script=STRANGER))
        self.world.run(ms=3_000)
        self.said = 0

    def say(self, person: str = "ann", *, yes: bool = True, **changes: Any) -> Status | None:
        """One word of a person, at once; what the coordinator answered them."""
        world, subject = self.world, self.view.subject
        seat = world.seats[person]
        self.said += 1
        said_at_ms = changes.pop("said_at_ms", world.now.wall_ms + self.said)
        life_ms = changes.pop("life_ms", 3_600_000)
        body = PersonSays(changes.pop("spend_id", subject.spend_id), yes, said_at_ms)
        about = {"wallet_id": subject.wallet.wallet_id, "request_id": subject.request_id} | changes
        signed = Mouth(seat.identity, world.roster.cluster_id, b"many" * 4).say(
            Kind.PERSON_SAYS,
            world.seats["coord"].identity.public,
            body,
            expires_at_ms=said_at_ms + life_ms,
            **about,
        )
        return self.hand(person, signed)

    def hand(self, person: str, signed: SignedLetter) -> Status | None:
        world = self.world
        seat, coordinator = world.seats[person], world.seats["coord"].identity.public
        step = world.coordinator.receive(
            seat.identity.public, signed.letter, signed.signature, world.now, world.entropy()
        )
        world.perform("coord", step)
        for outgoing in step.say:
            letter = open_letter(outgoing.letter, outgoing.signature, coordinator)
            if outgoing.addressee == seat.identity.public and isinstance(letter.body, Status):
                return letter.body
        return None

    def kept(self) -> int:
        return sum(record.kind == "person-said" for record in self.world.seats["coord"].disk)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_id": OTHER}, "request-unknown"),
        ({"wallet_id": OTHER}, "person-wallet"),
        ({"spend_id": OTHER}, "person-spend"),
        ({"life_ms": 8 * DAY_MS}, "person-life"),
        ({"said_at_ms": 1_900_000_000_000}, "person-clock"),
    ],
)
def test_the_coordinator_tells_a_person_what_no_node_would_take(changes: dict[str, Any], code: str) -> None:
    crowd = Crowd()
    status = crowd.say(**changes)
    assert status is not None
    assert (status.state, status.codes) == ("rejected", (code,))
    assert crowd.kept() == 0


def test_a_flood_of_words_is_bounded_at_the_coordinator_too() -> None:
    crowd = Crowd()
    for _ in range(MAX_WORDS + 10):
        status = crowd.say()
    assert status is not None
    assert status.codes == ("person-too-often",)
    assert crowd.kept() == MAX_WORDS
    taken = crowd.say(yes=False)
    assert taken is not None
    assert taken.state != "rejected"
    assert crowd.kept() == MAX_WORDS + 1


def test_nobody_but_a_person_says_such_a_thing() -> None:
    crowd = Crowd()
    for name in ("client", "node0"):
        assert crowd.say(name) is None
    world = crowd.world
    codes = {code for _, code in world.coordinator.complaints.counts}
    assert codes == {"letter-role"}
    ann = Mouth(world.seats["ann"].identity, world.roster.cluster_id, b"asks" * 4)
    request = ann.say(
        Kind.REQUEST,
        world.seats["coord"].identity.public,
        open_letter(
            crowd.view.request.letter, crowd.view.request.signature, world.seats["client"].identity.public
        ).body,
        wallet_id=crowd.wallet.wallet_id,
        request_id=crowd.view.subject.request_id,
        expires_at_ms=world.now.wall_ms + 60_000,
    )
    crowd.hand("ann", request)
    assert len(world.coordinator.complaints.counts) == 3


def test_the_very_same_letter_may_come_again_and_an_old_one_changes_nothing() -> None:
    crowd = Crowd()
    crowd.say(yes=False, said_at_ms=crowd.world.now.wall_ms)
    assert crowd.kept() == 1
    crowd.say(said_at_ms=crowd.world.now.wall_ms - 5)
    assert crowd.kept() == 1
    world = crowd.world
    world.restart("coord")
    crowd.say(said_at_ms=world.now.wall_ms - 5)
    assert crowd.kept() == 1


def test_a_question_about_nothing_is_answered_so() -> None:
    crowd = Crowd()
    world = crowd.world
    ann = Mouth(world.seats["ann"].identity, world.roster.cluster_id, b"asks" * 4)
    asked = ann.say(
        Kind.STATUS_QUERY,
        world.seats["coord"].identity.public,
        StatusQuery("request"),
        request_id=OTHER,
        expires_at_ms=world.now.wall_ms + 60_000,
    )
    status = crowd.hand("ann", asked)
    assert status is not None
    assert status.codes == ("request-unknown",)


def test_words_of_an_ended_request_are_forgotten() -> None:
    crowd = Crowd()
    world: World = crowd.world
    for name in ("ann", "bob"):
        world.says(name, crowd.view.subject.request_id, True)
    assert world.run(lambda: crowd.view.final is not None)
    status = crowd.say("tom")
    assert status is not None
    assert status.state == "final"
    assert world.coordinator.people.busy
    world.advance(11 * 60_000)
    world.run(ms=3_000)
    world.advance(11 * 60_000)
    world.run(ms=3_000)
    assert not world.coordinator.people.busy
