"""People and changes of policies: what a person's device reads, what it says, and what a liar can make of either."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from changing import HOUR_MS, OWNER_ALONE, WITH_PEOPLE, ChangingWorld, looser
from msgspec.structs import replace
from wire import Envelope
from world import TestIdentity

from cluster.change_records import ChangeAnswered, ConsentKept
from cluster.change_rules import Terms
from cluster.changes import ANNOUNCE_EVERY_MS, Pending
from cluster.codec import Mouth, open_letter, seal_letter
from cluster.coordinator_policies import KEPT_MS, MAX_KEPT_BYTES
from cluster.messages import (
    NO_ID,
    Body,
    ChangeList,
    Kind,
    PolicyChange,
    PolicyConsent,
    PolicyEnded,
    PolicyReceipt,
    PolicyRelay,
    SignedLetter,
    Status,
    StatusQuery,
)
from cluster.people_changes import ChangesSeen, ChangeView
from cluster.policy_letters import MAX_ANNOUNCED, OpenChange

OTHER = b"\x07" * 32


def seen(world: ChangingWorld, name: str = "ann") -> ChangesSeen:
    return world.person(name).changes


def look(world: ChangingWorld, name: str = "ann", wanted: Iterable[bytes] | None = None) -> ChangesSeen:
    """A person asks, and hears whatever there is to hear."""
    world.perform(name, world.person(name).look_at_changes(wanted, world.now, world.entropy()))
    assert world.run(lambda: seen(world, name).has_looked, ms=10_000)
    return seen(world, name)


def view_of(world: ChangingWorld, pending: Pending, name: str = "ann") -> ChangeView:
    return look(world, name).views[pending.terms.id]


def says(world: ChangingWorld, pending: Pending, yes: bool, name: str = "ann", ms: int = 5_000) -> ChangeView:
    """A person answers, and what follows from it follows."""
    world.says_of_change(name, pending.terms.id, yes)
    view = seen(world, name).views[pending.terms.id]
    world.run(lambda: view.heard, ms=ms)
    return view


# What a person does.


def test_a_person_reads_a_change_agrees_and_it_takes_force() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    view = view_of(world, pending)
    assert (view.terms, view.state, view.heard) == (pending.terms, "pending", False)
    assert [one.path for one in view.reading.diff.changes] == ["limits.amount.sent"]
    headline, change, wait = view.lines("node0")
    assert headline.startswith("node0 wants a looser policy: version 2, ")
    assert change == "looser: `limits.amount.sent`: 50_000sat -> 60_000sat"
    assert wait.startswith("in force 1h after")
    assert seen(world).rights(view) == ["consent", "cancel"]
    view = says(world, pending, True)
    assert (view.state, view.heard) == ("consented", True)
    assert pending.agreed == {world.identity("node0").public, world.identity("ann").public}
    assert len(world.kept("node0", ConsentKept)) == len(world.kept("ann", ChangeAnswered)) == 1
    assert world.limit() == "50_000sat"
    world.wait(HOUR_MS)
    assert world.limit() == "60_000sat"
    assert view_of(world, pending).state == "in-force"


def test_whoever_may_only_cancel_cancels() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    view = view_of(world, pending, "bob")
    assert seen(world, "bob").rights(view) == ["cancel"]
    with pytest.raises(ValueError, match="no say"):
        world.says_of_change("bob", pending.terms.id, True)
    assert view.answered is None
    view = says(world, pending, False, "bob")
    assert (view.state, view.ended, view.by) == ("cancelled", "cancelled", world.identity("bob").public)
    assert world.node("node0").policies.own.pending == {}
    with pytest.raises(ValueError, match="cancelled"):
        says(world, pending, True)
    assert seen(world).rights(view) == seen(world, "bob").rights(view) == []


def test_where_the_owner_alone_decides_a_person_only_looks() -> None:
    world = ChangingWorld(OWNER_ALONE)
    pending = world.loosen()
    view = view_of(world, pending)
    assert seen(world).rights(view) == []
    for yes in (True, False):
        with pytest.raises(ValueError, match="no say"):
            world.says_of_change("ann", pending.terms.id, yes)
    assert world.kept("ann", ChangeAnswered) == []


def test_what_was_said_is_a_record_and_a_no_is_for_good() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    says(world, pending, True)
    world.restart("ann")
    view = view_of(world, pending)
    assert (view.state, view.heard, seen(world).rights(view)) == ("consented", True, ["cancel"])
    world.stop("node0")
    view = says(world, pending, False)
    assert (view.state, view.ended, view.heard) == ("cancelled", "", False)
    world.restart("ann")
    view = view_of(world, pending)
    with pytest.raises(ValueError, match="cancelled"):
        world.says_of_change("ann", pending.terms.id, True)
    assert seen(world).rights(view) == []
    says(world, pending, False)  # the same once more, for a coordinator that did not carry it
    assert len(world.kept("ann", ChangeAnswered)) == 2


def test_the_record_is_written_before_the_word_leaves() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    look(world)
    step = world.person("ann").says_of_change(pending.terms.id, True, world.now, world.entropy())
    assert [record.kind for record in step.remember] == ["change-answered"]
    coord = world.identity("coord").public
    said = [open_letter(one.letter, one.signature, world.identity("ann").public) for one in step.say]
    assert PolicyConsent(pending.terms.node, pending.terms.id, True) in [letter.body for letter in said]
    assert {one.addressee for one in step.say} == {coord}


def test_a_node_that_is_away_hears_of_it_when_it_comes_back() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    look(world)
    world.stop("node0")
    view = says(world, pending, True)
    assert not view.heard
    world.stop("ann")
    world.restart("node0")
    world.run(ms=10_000)
    assert world.identity("ann").public in world.pending().agreed
    world.restart("ann")
    assert view_of(world, pending).heard


def test_a_coordinator_that_starts_is_told_again_and_shows_it() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    world.restart("coord")
    assert look(world).views == {}
    world.run(ms=10_000)
    assert view_of(world, pending).state == "pending"
    says(world, pending, True)
    world.restart("coord")
    world.restart("ann")
    world.run(ms=ANNOUNCE_EVERY_MS + 10_000)
    view = view_of(world, pending)
    assert (view.state, view.kept) == ("consented", False), "the coordinator forgot the receipt"
    assert says(world, pending, True).heard, "and is given it again"


def test_a_change_that_ended_is_shown_so_for_a_while() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    world.say("node0", pending.terms.id, False)
    assert view_of(world, pending).state == "cancelled"
    world.advance(KEPT_MS + 1_000)
    world.restart("ann")
    assert look(world).listed == ()


def test_letters_may_be_lost() -> None:
    world = ChangingWorld(WITH_PEOPLE, seed=3)
    pending = world.loosen(policy=WITH_PEOPLE)
    people = {"ann", "coord"}
    world.hook = lambda one: (
        [] if {one.sender, one.addressee} == people and world.random.random() < 0.5 else [one]
    )
    view = says(world, pending, True, ms=60_000)
    assert view.heard


# A coordinator that lies.


class Evil:
    """Ann's device before a liar; a true change is pending at node0."""

    def __init__(self, policy: str = WITH_PEOPLE) -> None:
        self.world = ChangingWorld(policy)
        self.pending = self.world.loosen(policy=policy)
        self.true = self.world.heard("node1").change
        self.world.hook = lambda envelope: []
        self.look()

    @property
    def seen(self) -> ChangesSeen:
        return seen(self.world)

    @property
    def trouble(self) -> str:
        return self.world.person("ann").trouble.partition(":")[0]

    def look(self) -> None:
        ann = self.world.person("ann")
        self.world.perform("ann", ann.look_at_changes(None, self.world.now, self.world.entropy()))

    def tell(self, kind: Kind, body: Body, request_id: bytes = NO_ID) -> None:
        coord, ann = self.world.identity("coord"), self.world.identity("ann").public
        letter = self.world.letter(coord, kind, body, to="ann")
        opened = open_letter(letter.letter, letter.signature, coord.public)
        assert opened.header.addressee == ann
        if request_id != NO_ID:
            letter = seal_letter(replace(opened.header, request_id=request_id), body, coord)
        self.world.hand_over("ann", coord, letter)

    def carry(self, author: str, kind: Kind, body: Body) -> None:
        self.relay(kind, self.world.letter(self.world.identity(author), kind, body))

    def relay(self, kind: Kind, letter: SignedLetter) -> None:
        self.tell(Kind.POLICY_RELAY, PolicyRelay(int(kind), letter))

    def list(self, *changes: tuple[PolicyChange, str]) -> None:
        entries = [self.entry(change, author) for change, author in changes]
        self.tell(Kind.CHANGE_LIST, ChangeList(tuple(entries)))

    def entry(self, change: PolicyChange, author: str) -> OpenChange:
        node = self.world.identity(author).public
        return OpenChange(terms(change, node).id, node, NO_ID)


def terms(change: PolicyChange, node: bytes) -> Terms:
    return Terms(
        NO_ID, node, change.base_digest, change.digest, change.version, change.since_ms, change.nonce
    )


def test_what_is_true_is_read_and_only_what_was_listed() -> None:
    evil = Evil()
    evil.carry("node0", Kind.POLICY_CHANGE, evil.true)
    assert (evil.trouble, evil.seen.views) == ("change-id", {})
    evil.list((evil.true, "node0"))
    evil.carry("node0", Kind.POLICY_CHANGE, evil.true)
    assert list(evil.seen.views) == [evil.pending.terms.id]


@pytest.mark.parametrize("author", ["coord", "client", "bob"])
def test_only_a_node_announces_a_change(author: str) -> None:
    evil = Evil()
    evil.list((evil.true, author), (evil.true, "node0"))
    assert len(evil.seen.listed or ()) == 1, "nothing of what is no node's is even asked for"
    evil.carry(author, Kind.POLICY_CHANGE, evil.true)
    assert (evil.trouble, evil.seen.views) == ("change-stranger", {})


def test_a_change_of_one_node_is_none_of_another() -> None:
    evil = Evil()
    evil.list((evil.true, "node0"))
    evil.carry("node1", Kind.POLICY_CHANGE, evil.true)
    assert (evil.trouble, evil.seen.views) == ("change-id", {})
    world = evil.world
    theirs = OpenChange(
        terms(evil.true, world.identity("node1").public).id, world.identity("node0").public, NO_ID
    )
    evil.tell(Kind.CHANGE_LIST, ChangeList((theirs,)))
    evil.carry("node1", Kind.POLICY_CHANGE, evil.true)
    assert (evil.trouble, evil.seen.views) == ("change-id", {})


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ({"text": WITH_PEOPLE}, "change-digest"),
        ({"old_text": looser(WITH_PEOPLE)}, "change-digest"),
        ({"text": WITH_PEOPLE, "old_text": looser(WITH_PEOPLE)}, "change-digest"),
        ({"old_text": OWNER_ALONE}, "change-digest"),
        ({"text": "schema: 9\n"}, "change-text"),
        ({"old_base": "\x00"}, "change-text"),
    ],
)
def test_texts_that_are_not_what_the_digests_say_are_not_read(lie: dict[str, str], code: str) -> None:
    evil = Evil()
    evil.list((evil.true, "node0"))
    evil.carry("node0", Kind.POLICY_CHANGE, replace(evil.true, **lie))
    assert (evil.trouble, evil.seen.views) == (code, {})
    assert evil.seen.unread == {evil.pending.terms.id: code}


def test_an_altered_announcement_is_nobodys() -> None:
    evil = Evil()
    evil.list((evil.true, "node0"))
    good = evil.world.letter(evil.world.identity("node0"), Kind.POLICY_CHANGE, evil.true)
    evil.relay(Kind.POLICY_CHANGE, SignedLetter(good.letter.replace(b"60_000", b"50_001"), good.signature))
    assert (evil.trouble, evil.seen.views) == ("letter-signature", {})
    evil.relay(Kind.POLICY_ENDED, good)
    assert evil.trouble == "letter-kind"
    evil.relay(Kind.POLICY_CONSENT, good)
    assert evil.trouble == "letter-kind"


def test_an_announcement_of_another_cluster_is_not_read() -> None:
    evil = Evil()
    evil.list((evil.true, "node0"))
    node0 = evil.world.identity("node0")
    good = evil.world.letter(node0, Kind.POLICY_CHANGE, evil.true)
    header = open_letter(good.letter, good.signature, node0.public).header
    evil.relay(Kind.POLICY_CHANGE, seal_letter(replace(header, cluster_id=OTHER), evil.true, node0))
    assert (evil.trouble, evil.seen.views) == ("letter-cluster", {})


def test_an_old_announcement_is_not_shown_after_the_change_ended() -> None:
    evil = Evil()
    old = evil.world.letter(evil.world.identity("node0"), Kind.POLICY_CHANGE, evil.true)
    evil.world.say("node0", evil.pending.terms.id, False)
    evil.world.advance(HOUR_MS)
    evil.look()
    evil.list((evil.true, "node0"))
    evil.relay(Kind.POLICY_CHANGE, old)
    assert (evil.trouble, evil.seen.views) == ("change-expired", {})
    assert evil.seen.has_looked


def test_a_consent_to_a_change_that_ended_unheard_of_changes_nothing() -> None:
    """Within its quarter of an hour an announcement may be shown after the end; the node itself knows better."""
    evil = Evil()
    world = evil.world
    world.say("node0", evil.pending.terms.id, False)
    evil.list((evil.true, "node0"))
    evil.carry("node0", Kind.POLICY_CHANGE, evil.true)
    world.perform(
        "ann", world.person("ann").says_of_change(evil.pending.terms.id, True, world.now, world.entropy())
    )
    world.hook = lambda envelope: [envelope]
    view = evil.seen.views[evil.pending.terms.id]
    assert world.run(lambda: view.heard, ms=10_000)
    assert (view.state, world.node("node0").policies.own.pending) == ("cancelled", {})


def test_a_consent_is_good_for_one_change_only() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    letters: list[Envelope] = []

    def keep(envelope: Envelope) -> list[Envelope]:
        if (envelope.sender, envelope.kind) == ("ann", Kind.POLICY_CONSENT):
            letters.append(envelope)
        return [envelope]

    world.hook = keep
    says(world, pending, True)
    world.say("node0", pending.terms.id, False)
    again = world.loosen(policy=WITH_PEOPLE)
    consent = SignedLetter(letters[0].letter, letters[0].signature)
    world.relay("node0", consent)
    world.hand_over("coord", world.identity("ann"), consent)
    world.wait(2 * HOUR_MS)
    assert (again.agreed, world.limit()) == ({world.identity("node0").public}, "50_000sat")


def test_only_the_node_itself_says_that_it_has_a_consent_and_how_a_change_ended() -> None:
    evil = Evil()
    evil.list((evil.true, "node0"))
    evil.carry("node0", Kind.POLICY_CHANGE, evil.true)
    world, change_id = evil.world, evil.pending.terms.id
    world.perform("ann", world.person("ann").says_of_change(change_id, True, world.now, world.entropy()))
    ann, view = world.identity("ann").public, evil.seen.views[change_id]
    for author in ("coord", "node1", "bob"):
        evil.carry(author, Kind.POLICY_RECEIPT, PolicyReceipt(change_id, ann))
        assert (evil.trouble, view.heard) == ("change-node", False)
        evil.carry(author, Kind.POLICY_ENDED, PolicyEnded(change_id, "in-force", NO_ID))
        assert (evil.trouble, view.heard) == ("change-node", False)
        world.person("ann").trouble = ""
    evil.carry("node0", Kind.POLICY_RECEIPT, PolicyReceipt(change_id, world.identity("bob").public))
    assert (evil.trouble, view.heard) == ("change-receipt", False)
    evil.carry("node0", Kind.POLICY_RECEIPT, PolicyReceipt(OTHER, ann))
    assert (evil.trouble, view.heard) == ("change-node", False)
    evil.carry("node0", Kind.POLICY_RECEIPT, PolicyReceipt(change_id, ann))
    assert view.heard


def test_what_is_not_there_is_said_to_be_so() -> None:
    evil = Evil()
    evil.list((evil.true, "node0"))
    rejected = Status("rejected", ("change-unknown",), ())
    evil.tell(Kind.STATUS, rejected, evil.pending.terms.id)
    assert evil.seen.unread == {evil.pending.terms.id: "change-unknown"}
    evil.tell(Kind.STATUS, rejected, OTHER)
    assert OTHER not in evil.seen.unread
    evil.look()
    evil.list((evil.true, "node0"))
    evil.carry("node0", Kind.POLICY_CHANGE, evil.true)
    evil.tell(Kind.STATUS, rejected, evil.pending.terms.id)
    assert evil.seen.unread == {}


def test_of_each_node_only_so_many_are_looked_at_and_only_so_many_at_once() -> None:
    evil = Evil()
    changes = [(replace(evil.true, nonce=bytes([number]) * 32), "node0") for number in range(100)]
    said = evil.world.seats["ann"].said
    before = len(said)
    evil.list(*changes, *[(change, "node1") for change, _ in changes])
    assert len(evil.seen.listed or ()) == 2 * MAX_ANNOUNCED
    assert len(said) - before <= 4


# People and nodes before the coordinator.


def asked(world: ChangingWorld, want: str, request_id: bytes = NO_ID) -> list[Body]:
    """What the coordinator answers a person at once."""
    ann, coord = world.identity("ann"), world.identity("coord").public
    letter = world.letter(ann, Kind.STATUS_QUERY, StatusQuery(want))
    if request_id != NO_ID:
        header = open_letter(letter.letter, letter.signature, ann.public).header
        letter = seal_letter(replace(header, request_id=request_id), StatusQuery(want), ann)
    step = world.coordinator.receive(ann.public, letter.letter, letter.signature, world.now, world.entropy())
    world.perform("coord", step)
    opened = [(one.addressee, open_letter(one.letter, one.signature, coord)) for one in step.say]
    return [letter.body for to, letter in opened if to == ann.public]


def test_a_node_that_floods_a_coordinator_makes_its_own_announcements_be_forgotten() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    true = world.heard("node1").change
    big = replace(true, text="# " + "x" * 250_000, old_text="# " + "x" * 240_000)
    for number in range(MAX_ANNOUNCED + 5):
        announce(world, world.identity("node1"), true, wallet_id=bytes([number]) * 32)
        announce(world, world.identity("node2"), big, wallet_id=bytes([number]) * 32)
    [listed] = asked(world, "changes")
    assert isinstance(listed, ChangeList)
    of = {
        name: [one for one in listed.changes if one.node == world.identity(name).public]
        for name in world.node_names
    }
    assert [one.change_id for one in of["node0"]] == [pending.terms.id]
    assert [one.wallet_id[0] for one in of["node1"]] == list(range(5, 5 + MAX_ANNOUNCED))
    assert len(of["node2"]) == MAX_KEPT_BYTES // (490_000 + 1_000)
    announce(world, world.identity("node1"), replace(true, nonce=OTHER), wallet_id=b"\x08" * 32)
    [listed] = asked(world, "changes")
    assert isinstance(listed, ChangeList)
    assert len(listed.changes) == sum(map(len, of.values())), (
        "the newest of a wallet id takes the old one's place"
    )
    [answer] = asked(world, "change", OTHER)
    assert isinstance(answer, Status)
    assert answer.codes == ("change-unknown",)


def announce(world: ChangingWorld, author: TestIdentity, body: PolicyChange, wallet_id: bytes) -> None:
    letter = world.letter(author, Kind.POLICY_CHANGE, body, wallet_id=wallet_id)
    step = world.coordinator.receive(
        author.public, letter.letter, letter.signature, world.now, world.entropy()
    )
    world.perform("coord", step)


def test_an_announcement_claims_no_more_than_a_quarter_of_an_hour() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    world.loosen(policy=WITH_PEOPLE)
    true, node1 = world.heard("node1").change, world.identity("node1")
    world.stop("node0")
    letter = Mouth(node1, world.roster.cluster_id, b"long" * 4).say(
        Kind.POLICY_CHANGE,
        world.identity("coord").public,
        true,
        expires_at_ms=world.now.wall_ms + 1000 * HOUR_MS,
    )
    world.hand_over("coord", node1, letter)
    [listed] = asked(world, "changes")
    assert isinstance(listed, ChangeList)
    assert len(listed.changes) == 2
    world.advance(KEPT_MS + 1_000)
    [listed] = asked(world, "changes")
    assert listed == ChangeList(())


def test_receipts_and_ends_are_kept_of_their_node_only() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    pending = world.loosen(policy=WITH_PEOPLE)
    change_id, ann = pending.terms.id, world.identity("ann").public
    node1 = world.identity("node1")
    for body, kind in (
        (PolicyEnded(change_id, "in-force", NO_ID), Kind.POLICY_ENDED),
        (PolicyReceipt(change_id, ann), Kind.POLICY_RECEIPT),
    ):
        world.hand_over("coord", node1, world.letter(node1, kind, body))
    kinds = [body.kind for body in asked(world, "change", change_id) if isinstance(body, PolicyRelay)]
    assert kinds == [Kind.POLICY_CHANGE]
    stranger = PolicyReceipt(change_id, world.identity("client").public)
    node0 = world.identity("node0")
    world.hand_over("coord", node0, world.letter(node0, Kind.POLICY_RECEIPT, stranger))
    assert "change-stranger" in world.complaints("coord")
    for author in ("ann", "client"):
        identity = world.identity(author)
        world.hand_over("coord", identity, world.letter(identity, Kind.POLICY_RECEIPT, stranger))
    assert world.complaints("coord").count("letter-role") == 2
