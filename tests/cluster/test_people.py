"""Stories of people: each looks at a request on their own device, and their signed yes or no counts at every node."""

from __future__ import annotations

import pytest
from company import BY_ROLE, CANCEL, DAY_MS, TWO, Company
from evil import EvilCoordinator, signed_by
from wire import Envelope, honest, rough
from world import Crash, TestIdentity, World

from cluster.codec import Letter, Mouth, open_letter
from cluster.effects import Outgoing
from cluster.journal import PersonSaidKept, SignedKept, read
from cluster.messages import NO_ID, Decision, Kind, PersonRelay, PersonSays, SignedLetter, Verdict
from cluster.owner_says import Freeze, Thaw
from cluster.people_words import MAX_WORDS


def test_two_treasurers_say_yes_and_it_is_signed() -> None:
    company = Company()
    assert not company.signed()
    asked = (Decision.ASK, ("policy-ask-people", "policy-ask-distinct"))
    assert company.codes() == [asked] * 3
    assert company.view.state == "asking"
    company.says("ann")
    assert not company.signed()
    company.says("bob")
    assert company.signed()


def test_a_person_reads_wallet_and_request_alone() -> None:
    company = Company()
    company.world.says("ann", company.request_id, True)
    ann = company.world.person("ann")
    assert ann.wallets[company.wallet.wallet_id].public.descriptor() == company.wallet.public.descriptor()
    assert ann.views[company.request_id].subject.spend == company.view.subject.spend
    company.world.restart("ann")
    assert company.world.person("ann").wallets.keys() == ann.wallets.keys()


@pytest.mark.parametrize(("second", "ends"), [("eve", False), ("ann", False), ("tom", True)])
def test_who_counts(second: str, ends: bool) -> None:
    company = Company()
    company.says("ann")
    company.says(second)
    assert company.signed() is ends


def test_whoever_asks_never_counts() -> None:
    company = Company(client_of="ann")
    company.says("ann")
    company.says("bob")
    assert not company.signed()
    assert company.codes()[0][1] == ("policy-ask-people", "policy-ask-distinct")
    company.says("tom")
    assert company.signed()


@pytest.mark.parametrize(("client_of", "fits"), [("ann", True), ("eve", False), ("", False)])
def test_the_roles_of_whoever_asks_are_those_of_their_person(client_of: str, fits: bool) -> None:
    company = Company(BY_ROLE, client_of=client_of)
    company.world.run(ms=5_000)
    assert [decision for decision, _ in company.codes()] == [Decision.ASK if fits else Decision.REFUSE] * 3


@pytest.mark.parametrize("restarted", [False, True])
def test_a_yes_of_before_a_freeze_no_longer_counts(*, restarted: bool) -> None:
    company = Company()
    world = company.world
    company.says("ann")
    for name in world.node_names:
        world.answer(name, Freeze(company.wallet.wallet_id))
        world.answer(name, Thaw(company.wallet.wallet_id))
        if restarted:
            world.restart(name)
    company.view = company.ask(note="again")
    company.says("bob")
    assert not company.signed()
    assert [decision for decision, _ in company.codes()] == [Decision.ASK] * 3
    company.says("ann")
    assert company.signed()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_yes_of_before_a_freeze_that_was_held_back_until_after_it_does_not_count(
    *, restarted: bool
) -> None:
    """The request was held back too: else each node would have refused it when it was frozen."""
    company = Company()
    world = company.world
    world.hook = lambda e: [] if e.addressee in world.node_names else [e]
    company.view = company.ask(note="kept back")
    world.run(ms=1_000)
    world.says("ann", company.request_id, True)
    world.run(ms=1_000)
    for name in world.node_names:
        world.answer(name, Freeze(company.wallet.wallet_id))
        world.answer(name, Thaw(company.wallet.wallet_id))
    world.hook = honest
    company.says("bob")
    for name in world.node_names if restarted else ():
        world.restart(name)
    mine = world.person("ann").views[company.request_id]
    assert world.run(lambda: len(mine.kept_by()) == 3)
    assert not company.signed()
    assert [decision for decision, _ in company.codes()] == [Decision.ASK] * 3
    company.says("ann")
    assert company.signed()


def test_a_no_refuses_and_the_request_ends() -> None:
    company = Company()
    company.says("ann")
    company.says("bob", yes=False)
    assert company.world.run(lambda: company.view.state == "refused")
    assert company.codes() == [(Decision.REFUSE, ("policy-person-no",))] * 3
    company.says("tom")
    assert not company.signed()


def test_a_no_stands_for_the_spend_until_the_same_person_says_yes() -> None:
    company = Company()
    company.says("bob", yes=False)
    company.view = company.ask(note="please")
    assert company.world.run(lambda: company.view.state == "refused")
    company.says("bob")
    company.view = company.ask(note="and now")
    company.says("ann")
    assert company.signed()


def test_a_cancel_right_ends_a_wait() -> None:
    company = Company(CANCEL)
    company.world.advance(3_600_000)
    company.world.run(ms=3_000)
    assert company.codes() == [(Decision.WAIT, ("policy-wait",))] * 3
    company.says("ann", yes=False)  # a treasurer has no such right
    assert company.codes() == [(Decision.WAIT, ("policy-wait",))] * 3
    company.says("bob", yes=False)
    assert company.codes() == [(Decision.REFUSE, ("policy-wait-cancelled",))] * 3
    company.world.advance(6 * 3_600_000)
    assert not company.signed()


def test_a_no_takes_a_standing_approval_back() -> None:
    company = Company()
    company.world.hook = lambda envelope: [] if envelope.kind is Kind.NONCES else [envelope]
    company.says("ann")
    company.says("bob")
    assert company.codes() == [(Decision.APPROVE, ("policy-ask-people",))] * 3
    said = company.world.seats["node0"].said
    before = len(said)
    company.says("ann", yes=False)
    kinds = [envelope_kind(outgoing) for outgoing in said[before:]]
    assert Kind.WITHDRAW in kinds
    assert company.codes() == [(Decision.REFUSE, ("policy-person-no",))] * 3
    assert not any(signed_by(company.world, name) for name in company.world.node_names)


def envelope_kind(outgoing: Outgoing) -> Kind:
    return Envelope("", "", outgoing.letter, outgoing.signature).kind


# Time.


def test_a_yes_is_good_for_so_long_as_the_tier_says() -> None:
    company = Company(life_ms=3 * DAY_MS)
    company.says("ann")
    company.world.advance(25 * 3_600_000)
    company.says("bob")
    assert not company.signed()
    assert company.codes()[0] == (Decision.ASK, ("policy-ask-people", "policy-ask-distinct"))
    company.says("ann")
    assert company.signed()


def test_a_yes_does_not_outlive_its_request() -> None:
    company = Company(TWO.replace(", within: 24h", ""), life_ms=3_600_000)
    company.says("ann")
    company.says("tom", yes=False)
    company.says("tom")
    company.world.advance(2 * 3_600_000)
    company.view = company.ask(note="again")
    company.says("bob")
    assert not company.signed()
    company.says("ann")
    assert company.signed()


def test_an_expired_request_cannot_be_answered() -> None:
    company = Company(life_ms=60_000)
    company.world.perform("ann", company.world.person("ann").look(None, company.world.now, bytes(32)))
    ann = company.world.person("ann")
    assert company.world.run(lambda: company.request_id in ann.views)
    company.world.advance(120_000)
    with pytest.raises(ValueError, match="expired"):
        ann.says(company.request_id, True, company.world.now, bytes(32))


# The network and restarts.


def test_letters_may_be_lost_and_come_twice() -> None:
    company = Company()
    company.world.hook = rough(company.world.random, lose=0.3, repeat=0.2, alter=0.05, late_ms=300)
    company.says("ann")
    company.says("bob")
    assert company.signed(ms=20 * 60_000)  # a verdict that was lost is asked for again when it is stale


def test_a_node_that_was_away_is_told_when_it_is_back() -> None:
    company = Company(TWO.replace(", within: 24h", ""))  # after a restart no clock tells how old a yes is
    company.world.stop("node1")
    company.world.stop("node2")
    company.says("ann")
    company.says("bob")
    company.world.restart("node1")
    assert company.signed(ms=60_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coord", "node0", "ann"])
@pytest.mark.parametrize("moment", ["before", "committed", "sent"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_restart_at_any_moment_loses_nothing_that_was_said(name: str, moment: str, step: int) -> None:
    company = Company()
    world = company.world
    world.run(ms=3_000)
    world.crash = Crash(name, world.seats[name].steps + step, moment)

    def awake() -> None:
        if world.seats[name].machine is None:
            world.restart(name)

    for person in ("ann", "bob"):
        for _ in range(3):
            awake()
            try:
                company.says(person)
                break
            except AssertionError:
                awake()
    awake()
    assert company.signed(ms=60_000)


def test_a_word_is_on_the_disk_of_each_node_that_gave_a_receipt() -> None:
    company = Company()
    company.says("ann")
    company.world.run(ms=3_000)
    world = company.world
    for name in world.node_names:
        disk, said = world.seats[name].disk, world.seats[name].said
        kept = [entry for entry in map(read, disk) if isinstance(entry, PersonSaidKept)]
        assert len(kept) == 1
        receipts = [outgoing for outgoing in said if envelope_kind(outgoing) is Kind.PERSON_RECEIPT]
        assert receipts
    world.stop("coord")
    company.world.restart("node0")
    words = world.node("node0").signing.tickets.people.of(
        company.view.subject.spend_id, world.now.wall_ms, begun=False, freezes=0
    )
    assert [word.yes for word in words] == [True]


def test_nothing_is_signed_on_what_was_said_before_a_restart_alone_when_it_was_taken_back() -> None:
    company = Company()
    world = company.world
    company.says("ann")
    company.says("ann", yes=False)
    for name in world.node_names:
        world.restart(name)
    world.says("bob", company.request_id, True)
    assert not company.signed()
    assert not any(isinstance(read(r), SignedKept) for n in world.node_names for r in world.seats[n].disk)


# A hostile coordinator.


class Liar:
    """A coordinator's key in evil hands, before one node that has read the request."""

    def __init__(self, policy: str = TWO) -> None:
        self.company = Company(policy, life_ms=3 * DAY_MS)
        self.world: World = self.company.world
        self.world.run(ms=3_000)
        self.coordinator = EvilCoordinator(self.world)
        self.said = 0

    def word(
        self,
        person: str,
        *,
        yes: bool = True,
        cluster_id: bytes | None = None,
        wallet_id: bytes | None = None,
        request_id: bytes | None = None,
        spend_id: bytes | None = None,
        said_in_ms: int = 0,
        life_ms: int = 3_600_000,
        kind: Kind = Kind.PERSON_SAYS,
    ) -> SignedLetter:
        """What a person signs, or somebody who has no place in the roster."""
        subject = self.company.view.subject
        seat = self.world.seats.get(person)
        identity = seat.identity if seat is not None else TestIdentity(person)
        self.said += 1
        said_at_ms = self.world.now.wall_ms + said_in_ms + self.said
        return Mouth(identity, cluster_id or self.world.roster.cluster_id, b"boot" * 4).say(
            kind,
            self.world.seats["coord"].identity.public,
            PersonSays(spend_id or subject.spend_id, yes, said_at_ms),
            wallet_id=wallet_id or subject.wallet.wallet_id,
            request_id=request_id or subject.request_id,
            expires_at_ms=said_at_ms + life_ms,
        )

    def relay(self, word: SignedLetter, request_id: bytes = NO_ID) -> list[Letter]:
        """Carry it to the first node; what that said."""
        subject = self.company.view.subject
        return self.coordinator.tell(
            "node0",
            Kind.PERSON_RELAY,
            PersonRelay(word),
            wallet_id=subject.wallet.wallet_id,
            request_id=subject.request_id if request_id == NO_ID else request_id,
        )

    def complaint(self) -> str:
        """The newest complaint of the first node."""
        return list(self.world.node("node0").complaints.counts)[-1][1]

    def decision(self) -> Decision:
        """What the first node thinks."""
        return self.company.codes()[0][0]


def test_a_true_word_by_way_of_a_liar_counts() -> None:
    liar = Liar()
    assert [letter.header.kind for letter in liar.relay(liar.word("ann"))] == [
        Kind.VERDICT,
        Kind.PERSON_RECEIPT,
    ]
    liar.relay(liar.word("bob"))
    assert liar.decision() is Decision.APPROVE


OTHER = b"\x07" * 32


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cluster_id": OTHER}, "person-cluster"),
        ({"wallet_id": OTHER}, "person-wallet"),
        ({"request_id": OTHER}, "person-request"),
        ({"spend_id": OTHER}, "person-spend"),
        ({"life_ms": 8 * DAY_MS}, "person-life"),
        ({"life_ms": 0}, "person-life"),
        ({"said_in_ms": -4_000_000}, "person-expired"),
        ({"said_in_ms": 130_000}, "person-clock"),
    ],
)
def test_a_word_about_something_else_is_a_complaint(changes: dict[str, object], code: str) -> None:
    liar = Liar()
    assert liar.relay(liar.word("ann", **changes)) == []  # type: ignore[arg-type]  # one of its own arguments
    assert liar.complaint() == code
    assert not liar.world.node("node0").signing.tickets.people.of(
        liar.company.view.subject.spend_id, liar.world.now.wall_ms, begun=False, freezes=0
    )


@pytest.mark.parametrize("who", ["stranger", "client", "node1", "coord"])
def test_only_people_of_the_roster_are_heard(who: str) -> None:
    liar = Liar()
    assert liar.relay(liar.word(who)) == []
    assert liar.complaint() == "person-stranger"


def test_a_forged_word_is_a_complaint() -> None:
    liar = Liar()
    true = liar.word("ann")
    other = liar.word("ann", yes=False)
    for forged in (SignedLetter(true.letter, bytes(64)), SignedLetter(true.letter, other.signature)):
        assert liar.relay(forged) == []
        assert liar.complaint() == "letter-signature"
    assert liar.relay(SignedLetter(b"\xc0" * 1500, bytes(64))) == []
    assert liar.complaint() == "letter-oversize"


def test_an_old_yes_cannot_be_brought_back_after_a_no() -> None:
    liar = Liar()
    old = liar.word("ann")
    no = liar.word("ann", yes=False)
    liar.relay(old)
    liar.relay(no)
    assert liar.decision() is Decision.REFUSE
    for _ in range(2):
        liar.relay(old)
        words = liar.world.node("node0").signing.tickets.people.of(
            liar.company.view.subject.spend_id, liar.world.now.wall_ms, begun=False, freezes=0
        )
        assert [word.yes for word in words] == [False]
        liar.world.restart("node0")


def test_of_two_words_of_one_moment_the_no_counts() -> None:
    liar = Liar()
    yes = liar.word("ann")
    liar.said -= 1
    no = liar.word("ann", yes=False)
    liar.relay(no)
    liar.relay(yes)
    assert liar.decision() is Decision.REFUSE


def test_a_word_held_back_counts_from_when_it_was_said() -> None:
    liar = Liar()
    held = liar.word("ann", life_ms=7 * DAY_MS)
    liar.world.advance(23 * 3_600_000)
    liar.relay(held)
    liar.relay(liar.word("bob"))
    assert liar.decision() is Decision.APPROVE
    liar.world.advance(2 * 3_600_000)
    liar.world.perform("node0", liar.world.node("node0").tick(liar.world.now, bytes(32)))
    assert liar.decision() is not Decision.APPROVE


def test_the_same_word_again_is_answered_and_changes_nothing() -> None:
    liar = Liar()
    word = liar.word("ann")
    liar.relay(word)
    height = liar.world.node("node0").head.height
    for _ in range(5):
        assert [letter.header.kind for letter in liar.relay(word)] == [Kind.PERSON_RECEIPT]
    assert liar.world.node("node0").head.height == height


def test_a_flood_of_words_is_bounded_and_a_no_is_still_heard() -> None:
    liar = Liar(TWO.replace("treasurer: 2", "board: 1").replace("distinct: 2", "distinct: 1"))
    for _ in range(MAX_WORDS + 20):
        liar.relay(liar.word("ann"))
    kept = [read(record) for record in liar.world.seats["node0"].disk if record.kind == "person-said"]
    assert len(kept) == MAX_WORDS
    liar.relay(liar.word("ann", yes=False))
    liar.relay(liar.word("ann"))
    words = liar.world.node("node0").signing.tickets.people.of(
        liar.company.view.subject.spend_id, liar.world.now.wall_ms, begun=False, freezes=0
    )
    assert [word.yes for word in words] == [False]


def test_a_word_about_a_request_nobody_knows_is_dropped() -> None:
    liar = Liar()
    assert liar.relay(liar.word("ann", request_id=OTHER), request_id=OTHER) == []
    complaints = liar.world.node("node0").complaints
    assert [code for _, code in complaints.dropped] == ["request-unknown"]
    assert not complaints.counts


def test_a_word_after_the_end_is_nothing() -> None:
    liar = Liar()
    liar.world.advance(4 * DAY_MS)
    liar.world.perform("node0", liar.world.node("node0").tick(liar.world.now, bytes(32)))
    liar.world.advance(2 * 3_600_000)
    liar.world.perform("node0", liar.world.node("node0").tick(liar.world.now, bytes(32)))
    before = len(liar.world.node("node0").complaints.counts)
    assert liar.relay(liar.word("ann")) == []
    assert len(liar.world.node("node0").complaints.counts) == before


def test_a_no_that_comes_too_late_stops_what_is_not_signed_yet() -> None:
    company = Company()
    company.world.hook = lambda e: [] if e.kind is Kind.PARTIAL_SIGNATURES else [e]
    company.says("ann")
    company.says("bob")
    company.world.run(ms=1_000)
    signed = {name: len(signed_by(company.world, name)) for name in company.world.node_names}
    assert sum(signed.values()) == 2
    company.says("ann", yes=False)
    assert company.world.run(ms=120_000) is False
    assert {name: len(signed_by(company.world, name)) for name in company.world.node_names} == signed
    company.world.restart("node0")
    states = [company.world.node(name).ticket(company.request_id) for name in company.world.node_names]
    assert sorted(t.state for t in states if t is not None).count("may-be-signed") == 2


def test_a_signed_request_goes_on_under_the_words_it_began_with() -> None:
    company = Company()
    company.says("ann")
    company.says("bob")
    assert company.signed()
    verdicts = [
        open_letter(o.letter, o.signature, company.world.seats["node0"].identity.public)
        for o in company.world.seats["node0"].said
        if envelope_kind(o) is Kind.VERDICT
    ]
    assert isinstance(verdicts[-1].body, Verdict)
    assert verdicts[-1].body.decision is Decision.APPROVE
