"""Stories of people at a rescue: their yes comes to whoever gathers it, and counts where the policy asks it."""

from __future__ import annotations

from evil import signed_by
from rescuing import HOUR_MS, PEOPLE, POLICY, Rescue, RescueWorld, gathered, kinds, lost, said_by
from spends import RESCUE, STRANGER, payment

from cluster.codec import Mouth
from cluster.messages import Kind, PersonRelay, PersonSays
from cluster.owner_says import ClockConfirmed
from cluster.people import Person
from cluster.schemes import Wallet
from cluster.settings import profile_of_texts
from cluster.subjects import Subject

ASKS_ANN = POLICY.replace(
    "fee: 20_000sat}", "fee: 20_000sat, then: {ask: {owner: true, people: {treasurer: 1}, within: 24h}}}"
)


def asked() -> tuple[RescueWorld, Wallet, Rescue]:
    """A rescue that a node gathers, to which both owners said yes and which waits for a treasurer."""
    world, wallet = lost(policy=ASKS_ANN)
    for name in ("node0", "node1"):  # else nobody can tell how old a yes is
        world.answer(name, ClockConfirmed())
    rescue = gathered(world, wallet)
    for name in ("node0", "node1"):
        rescue.answer(name)
    rescue.tick()
    assert rescue.state == "open"
    return world, wallet, rescue


def device(rescue: Rescue, name: str) -> Person:
    """A person's device that is told where the rescue is gathered, and looks at what is asked there."""
    world, seat = rescue.world, rescue.world.seats[name]
    seat.machine = Person(
        roster=world.roster, roster_digest=world.roster_digest, identity=seat.identity,
        boot_id=world.entropy()[:16], coordinators=(rescue.public,), records=list(seat.disk),
        read_texts=profile_of_texts,
    )  # fmt: skip
    rescue.hear(name, seat.machine.start(world.now, world.entropy()))
    return seat.machine


def test_a_person_says_yes_where_the_rescue_is_gathered() -> None:
    world, _, rescue = asked()
    ann = device(rescue, "ann")
    assert ann.views[rescue.subject.request_id].subject.spend == rescue.subject.spend
    rescue.hear("ann", ann.says(rescue.subject.request_id, True, world.now, world.entropy()))
    for _ in range(3):
        rescue.greet("node0", "node1")
    assert rescue.state == "final"
    rescue.hear("ann", ann.tick(world.now, world.entropy()))
    assert ann.views[rescue.subject.request_id].heard_by_enough


def test_nobody_elses_yes_rescues_anything() -> None:
    world, _, rescue = asked()
    eve = device(rescue, "eve")
    rescue.hear("eve", eve.says(rescue.subject.request_id, True, world.now, world.entropy()))
    for _ in range(3):
        rescue.greet("node0", "node1")
    rescue.hear("eve", eve.tick(world.now, world.entropy()))
    assert len(eve.views[rescue.subject.request_id].kept_by()) == 2, (
        "they heard it, and it counts for nothing"
    )
    assert rescue.state == "open"
    assert not any(signed_by(world, name) for name in world.node_names)


def yes_of(world: RescueWorld, who: str, subject: Subject, **other: bytes) -> PersonRelay:
    """Somebody's signed yes, to this request or to another."""
    ids = {"wallet_id": subject.wallet.wallet_id, "request_id": subject.request_id, **other}
    mouth = Mouth(world.seats[who].identity, world.roster.cluster_id, world.entropy()[:16])
    said = PersonSays(other.get("spend_id", subject.spend_id), True, world.now.wall_ms)
    ids.pop("spend_id", None)
    to, until_ms = world.seats["node0"].identity.public, world.now.wall_ms + HOUR_MS
    return PersonRelay(mouth.say(Kind.PERSON_SAYS, to, said, expires_at_ms=until_ms, **ids))


def test_whoever_gathers_brings_no_other_word_than_a_yes_to_this_rescue() -> None:
    world, wallet = lost(policy=ASKS_ANN)
    rescue = gathered(world, wallet)
    subject, other = rescue.subject, b"?" * 32
    ids = {"wallet_id": wallet.wallet_id, "request_id": subject.request_id}
    public, node = world.seats["node0"].identity.public, world.node("node1")
    lies = {
        "person-stranger": yes_of(world, "node0", subject),
        "person-request": yes_of(world, "ann", subject, request_id=other),
        "person-wallet": yes_of(world, "ann", subject, wallet_id=other),
        "person-spend": yes_of(world, "ann", subject, spend_id=other),
    }
    for code, relay in lies.items():
        assert not kinds(said_by(world, "node0", "node1", Kind.PERSON_RELAY, relay, **ids))
        assert node.complaints.counts[public, code] == 1
    unknown = said_by(
        world, "node0", "node1", Kind.PERSON_RELAY, lies["person-request"], **{**ids, "request_id": other}
    )
    assert not kinds(unknown)
    assert not node.signing.tickets.people.of(subject.spend_id, world.now.wall_ms, begun=False, freezes=0)


def test_whoever_gathers_carries_no_word_about_an_everyday_spend() -> None:
    world = RescueWorld(ASKS_ANN, people=PEOPLE)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, script=STRANGER, amount_sats=20_000))
    assert world.run(lambda: view.subject.request_id in world.node("node1").signing.tickets.whole)
    world.stop("coord")
    world.open("node0", "node1")
    ids = {"wallet_id": wallet.wallet_id, "request_id": view.subject.request_id}
    relay = yes_of(world, "ann", view.subject)
    assert not kinds(said_by(world, "node0", "node1", Kind.PERSON_RELAY, relay, **ids))
    counts = world.node("node1").complaints.counts
    assert counts[world.seats["node0"].identity.public, "rescue-only"] == 1


def test_a_nodes_rescue_is_refused_once_the_policy_knows_no_rescue() -> None:
    """What it asked for would pass as an everyday spend; but a node may not ask for one."""
    everyday = POLICY.replace(STRANGER.hex(), RESCUE.hex()).replace("50_000sat", "unlimited")
    policy = everyday.replace("60_000sat", "900_000sat")
    world, wallet = lost(policy=policy)
    rescue = gathered(world, wallet)
    without = "".join(line for line in policy.splitlines(True) if not line.startswith("rescue:"))
    for name in ("node0", "node1"):
        world.adopt(name, without)
    for _ in range(3):
        rescue.tick()
    verdicts = [
        ticket.judgement.codes
        for n in ("node0", "node1")
        for ticket in world.node(n).signing.tickets.whole.values()
    ]
    assert verdicts == [("request-no-rescue",)] * 2
    assert not any(signed_by(world, name) for name in world.node_names)
