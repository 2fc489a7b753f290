"""An evil coordinator beside an honest one that carries everything: whatever it says, all goes on.

The evil one is `coord`, the first of the roster, to which every device speaks first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from changing import WITH_PEOPLE, looser
from company import DAY_MS, PEOPLE, TWO
from evil import EvilCoordinator, resigned, signed_by
from losing import asks, lose
from policed import FRIENDS, PolicedWorld
from spends import STRANGER, payment
from wire import Envelope, Hook, honest
from world import ScriptedJudge, World

from cluster import client_line
from cluster.cli import people, person_changes
from cluster.cli.call import Call
from cluster.cli.output import Output
from cluster.cli.verdicts import Verdicts, outcome_error
from cluster.client_drills import DrillView
from cluster.client_line import PersonLine
from cluster.client_views import SigningView
from cluster.codec import open_letter
from cluster.drill_letters import MAX_ROUNDS, DrillFinal, DrillOrder, DrillPropose, DrillPsigs
from cluster.drill_records import DrillPassed
from cluster.drills import copy_digest
from cluster.effects import Outgoing, Step
from cluster.errors import Waiting
from cluster.journal import read
from cluster.messages import (
    NO_ID,
    PROTOCOL_VERSION,
    Decision,
    Hello,
    Kind,
    NodeStatus,
    OpenList,
    Status,
)
from cluster.owner_says import Answer
from cluster.requests import most_sessions
from cluster.schemes import SCHEMES, Wallet
from cluster.subjects import Subject
from cluster.transport import NodeEndpoint
from cluster.transport.dialer import LinkState
from cluster.turning import STALLED_MS

BOTH = ("coord", "other")
CALL = Call(Output(as_json=False), None, None)


def made(**more: object) -> tuple[World, Wallet]:
    """Two coordinators that both know the wallet, and still do nothing wrong."""
    world = World(coordinators=BOTH, **more)  # type: ignore[arg-type]
    wallet = world.make_wallet()
    world.run(ms=12_000)
    return world, wallet


Lie = Callable[[World, Status], Status]


def lying(world: World, lie: Lie) -> None:
    """From here on the evil one carries nothing to a node, and tells the client of its request this lie."""

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != "coord":
            return [envelope]
        if envelope.addressee in world.node_names:
            return [] if envelope.kind in {Kind.PROPOSE, Kind.ORDER, Kind.NONCE_REQUEST} else [envelope]
        if envelope.kind is not Kind.STATUS:
            return [envelope]
        said = open_letter(envelope.letter, envelope.signature, world.seats["coord"].identity.public).body
        assert isinstance(said, Status)
        false = lie(world, said)
        return [resigned(world, envelope, state=false.state, codes=false.codes, nodes=false.nodes)]

    world.hook = hook


def stands(state: str) -> Lie:
    """A state for which there is no proof."""
    return lambda _, said: msgspec.structs.replace(said, state=state)


def all_misbehaved(_: World, said: Status) -> Status:
    """Nodes that did nothing are said to have cheated."""
    nodes = tuple(msgspec.structs.replace(node, reach="misbehaved") for node in said.nodes)
    return msgspec.structs.replace(said, nodes=nodes)


LIES = {state: stands(state) for state in ("refused", "rejected", "expired", "closed")} | {
    state: stands(state) for state in ("asking", "waiting", "cosigning", "final")
}


def ends(world: World, view: SigningView) -> bool:
    """Whether the request is signed before long, and whoever waits for it is told nothing else before."""

    def over() -> bool:
        return view.final is not None or view.state in {"refused", "rejected", "expired"} or view.hopeless

    world.run(over, ms=STALLED_MS + 20_000)
    return view.final is not None


@pytest.mark.parametrize("state", LIES)
def test_no_state_of_which_there_is_no_proof_ends_a_request_or_keeps_it(state: str) -> None:
    world, wallet = made()
    lying(world, LIES[state])
    view = world.request(wallet, payment(wallet))
    assert ends(world, view), (view.state, view.codes)


def test_no_word_that_nodes_misbehaved_ends_a_request() -> None:
    world, wallet = made()
    lying(world, all_misbehaved)
    view = world.request(wallet, payment(wallet))
    assert ends(world, view)
    assert "misbehaved" not in {seen.reach for seen in view.nodes.values()}


def test_an_old_question_to_an_owner_shown_for_ever_keeps_no_request() -> None:
    """The verdict is genuine, and of before the owner's yes."""
    asked = [True]

    def judges(name: str) -> ScriptedJudge:
        return ScriptedJudge(name, lambda *_: Decision.ASK if asked[0] else Decision.APPROVE)

    world, wallet = made(judges=judges)
    view = world.request(wallet, payment(wallet))
    world.run(ms=1_000)
    old = {node: seen.signed for node, seen in view.nodes.items()}
    assert len([one for one in old.values() if one is not None]) == 3
    nodes = tuple(NodeStatus(node, "online", signed) for node, signed in old.items())
    lying(world, lambda _, said: Status("asking", (), nodes))
    asked[0] = False
    for name in world.node_names:
        world.answer(name, Answer(view.subject.request_id, True))
    assert ends(world, view)


def test_a_coordinator_that_nobody_asked_ends_nothing() -> None:
    """The client speaks to the honest one, and waits for an owner there."""
    world, wallet = made(judges=asks)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.state == "asking")
    for state in ("refused", "rejected", "expired"):
        nodes = tuple(NodeStatus(m.identity, "misbehaved", None) for m in wallet.charter.members)
        evil.tell(
            "client",
            Kind.STATUS,
            Status(state, ("request-refused",), nodes),
            wallet_id=wallet.wallet_id,
            request_id=view.subject.request_id,
        )
        assert view.state == "asking"
        assert not view.hopeless


@pytest.mark.parametrize("state", ["refused", "rejected", "expired"])
def test_no_lie_repeated_ends_a_request_while_owners_think(state: str) -> None:
    """They think for so long at the honest one that the client asks the evil one again and again."""
    world, wallet = made(judges=lambda name: ScriptedJudge(name, asks_owner))
    lying(world, stands(state))
    view = world.request(wallet, payment(wallet))
    assert not world.run(lambda: view.state in {"refused", "rejected", "expired"}, ms=4 * STALLED_MS)
    for name in world.node_names:
        world.answer(name, Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None, ms=60_000)


def test_the_end_of_its_time_ends_a_request_whatever_the_other_says() -> None:
    """Any coordinator may say so then; the evil one says for ever that it is being gathered."""
    world, wallet = made(judges=lambda name: ScriptedJudge(name, asks_owner))
    lying(world, stands("gathering"))
    view = world.request(wallet, payment(wallet), life_ms=40_000)
    assert world.run(lambda: view.state == "expired", ms=40_000 + 3 * STALLED_MS)


def test_whoever_stops_waiting_for_owners_is_told_so_though_the_other_coordinator_is_off() -> None:
    world, wallet = made(judges=lambda name: ScriptedJudge(name, asks_owner))
    world.stop("other")
    view, verdicts = world.request(wallet, payment(wallet)), Verdicts(world.roster)
    world.run(lambda: view.state == "asking", ms=20_000)
    for _ in range(4 * STALLED_MS // 1_000):
        world.run(ms=1_000)
        verdicts.news(view)
        assert isinstance(outcome_error(view, verdicts, "", heard=True), Waiting)


def test_where_each_coordinator_rejects_another_request_the_client_asks_them_without_haste() -> None:
    """Else it turns from one to the other with each letter, says everything anew, and hears no answer."""
    world, wallet = made(judges=lambda name: ScriptedJudge(name, asks_owner))
    views = [world.request(wallet, payment(wallet, label=label)) for label in ("one", "two", "three", "four")]
    ids = [view.subject.request_id for view in views]
    rejected = {"coord": ids[:2], "other": ids[2:]}

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.STATUS and envelope.addressee == "client":
            public = world.seats[envelope.sender].identity.public
            letter = open_letter(envelope.letter, envelope.signature, public)
            if letter.header.request_id in rejected[envelope.sender]:
                return [resigned(world, envelope, state="rejected", codes=("request-unknown",))]
        return [envelope]

    world.hook = hook
    said = len(world.seats["client"].said)
    world.run(ms=60_000)
    assert len(world.seats["client"].said) - said < 300
    assert "rejected" not in {view.state for view in views}


@pytest.mark.parametrize(
    ("state", "reach"),
    [("refused", "online"), ("rejected", "online"), ("expired", "online"), ("gathering", "misbehaved")],
)
def test_of_a_state_that_is_found_to_be_false_nothing_counts(state: str, reach: str) -> None:
    """Its last node is a stranger."""
    world, wallet = made()
    nodes = (
        *(NodeStatus(member.identity, reach, None) for member in wallet.charter.members),
        NodeStatus(b"\x07" * 32, "online", None),
    )
    lying(world, lambda _, said: msgspec.structs.replace(said, state=state, nodes=nodes))
    view = world.request(wallet, payment(wallet))
    assert ends(world, view), (view.state, view.hopeless)


@pytest.mark.parametrize("coordinators", [BOTH, ("coord", "other", "third")])
def test_without_any_delay_a_client_says_nothing_without_end(coordinators: tuple[str, ...]) -> None:
    """Every answer comes at once; one coordinator or two reject what the last one carries."""
    world = World(coordinators=coordinators, judges=lambda name: ScriptedJudge(name, asks_owner))
    wallet = world.make_wallet()
    world.run(ms=12_000)
    said: Counter[int] = Counter()

    def hook(envelope: Envelope) -> list[Envelope]:
        if "client" in {envelope.sender, envelope.addressee}:
            envelope.delay_ms = 0
        if envelope.sender == "client":
            said[world.now.monotonic_ms] += 1
            assert said[world.now.monotonic_ms] < 200
        if envelope.kind is Kind.STATUS and envelope.sender in coordinators[:-1]:
            return [resigned(world, envelope, state="rejected", codes=("request-unknown",))]
        return [envelope]

    world.hook = hook
    views = [world.request(wallet, payment(wallet, label=label)) for label in ("one", "two", "three", "four")]
    world.run(ms=60_000)
    assert "rejected" not in {view.state for view in views}


def test_that_a_far_coordinator_carries_a_request_is_heard_though_the_client_turned_away() -> None:
    """Each gives up one of two, and the answer of the one that is far comes after the turn."""
    world, wallet = made(judges=lambda name: ScriptedJudge(name, asks_owner))
    one, two = (world.request(wallet, payment(wallet, label=label)) for label in ("one", "two"))
    rejects = {"coord": two.subject.request_id, "other": one.subject.request_id}

    def hook(envelope: Envelope) -> list[Envelope]:
        if {envelope.sender, envelope.addressee} == {"client", "other"}:
            envelope.delay_ms = 1_500
        if envelope.kind is Kind.STATUS and envelope.addressee == "client":
            public = world.seats[envelope.sender].identity.public
            letter = open_letter(envelope.letter, envelope.signature, public)
            if letter.header.request_id == rejects[envelope.sender]:
                lie = resigned(world, envelope, state="rejected", codes=("request-unknown",))
                lie.delay_ms = envelope.delay_ms
                return [lie]
        return [envelope]

    world.hook = hook
    assert not world.run(lambda: two.state == "rejected", ms=60_000)


def test_what_all_coordinators_say_is_believed() -> None:
    """One without a proof, as it was started anew, and the other not at all."""
    world, wallet = made()
    world.stop("other")
    lying(world, stands("expired"))
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.state == "expired", ms=20_000)


def test_what_nodes_refuse_is_believed_of_the_first_that_shows_it() -> None:
    world, wallet = made(judges=lambda name: ScriptedJudge(name, lambda *_: Decision.REFUSE))
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.state == "refused", ms=1_000)
    assert world.client.coordinator == world.seats["coord"].identity.public


# What a person says, while everybody's device speaks to the evil one first.


def company(**more: object) -> PolicedWorld:
    world = PolicedWorld(TWO, people=PEOPLE, coordinators=BOTH, **more)  # type: ignore[arg-type]
    world.make_wallet()
    world.run(ms=12_000)
    return world


def deaf(world: World) -> None:
    """From here on the evil one answers as ever, and carries no word to a node."""
    kept = {Kind.PERSON_RELAY, Kind.FREEZE_RELAY, Kind.POLICY_RELAY}

    def hook(envelope: Envelope) -> list[Envelope]:
        keeps = envelope.sender == "coord" and envelope.addressee in world.node_names
        return [] if keeps and envelope.kind in kept else [envelope]

    world.hook = hook


def wallet_in(world: World) -> Wallet:
    return next(iter(world.node("node0").keygen.wallets.values()))


def ask_both(world: World, view: SigningView) -> None:
    """As the client does when it turns."""
    second = world.seats["other"].identity.public
    world.send("client", Outgoing(second, view.request.letter, view.request.signature))
    world.run(ms=2_000)


def kept_everywhere(world: World, name: str, request_id: bytes, yes: bool) -> bool:
    """A person speaks to the evil one first; whether every node has what they say."""
    world.restart(name)
    world.says(name, request_id, yes)
    mine = world.person(name).views[request_id]
    return world.run(lambda: len(mine.kept_by()) == 3, ms=10_000)


@pytest.mark.parametrize("yes", [True, False])
def test_a_word_that_the_evil_one_keeps_reaches_the_nodes(yes: bool) -> None:
    world = company()
    deaf(world)
    view = world.request(wallet_in(world), payment(wallet_in(world), script=STRANGER))
    ask_both(world, view)
    for name in ("ann", "bob"):
        assert kept_everywhere(world, name, view.subject.request_id, yes)
    assert not yes or world.run(lambda: view.final is not None, ms=60_000)


def without(kind: Kind) -> Hook:
    """A network that loses all letters of a kind."""
    return lambda envelope: [] if envelope.kind is kind else [envelope]


@pytest.mark.parametrize("lie", ["rejected", "final", "expired"])
def test_no_lie_about_a_request_makes_a_word_of_it_be_said_no_more(lie: str) -> None:
    """Nor does whoever said yes believe that it is signed."""
    world = company()
    view = world.request(wallet_in(world), payment(wallet_in(world), script=STRANGER))
    ask_both(world, view)
    world.hook = without(Kind.PERSON_RELAY)
    world.says("ann", view.subject.request_id, True)
    mine = world.person("ann").views[view.subject.request_id]
    evil = EvilCoordinator(world)
    for _ in range(3):
        evil.tell("ann", Kind.STATUS, Status(lie, ("person-clock",), ()), request_id=view.subject.request_id)
        assert not mine.over
        assert not mine.heard_by_enough
        world.run(ms=2_000)
    assert not mine.fault
    world.hook = honest
    assert world.run(lambda: len(mine.kept_by()) == 3, ms=10_000)


def test_a_false_clock_keeps_nobody_from_speaking() -> None:
    world = company()
    view = world.request(wallet_in(world), payment(wallet_in(world), script=STRANGER))
    ask_both(world, view)
    evil, ann, request_id = EvilCoordinator(world), world.person("ann"), view.subject.request_id
    world.perform("ann", ann.look(None, world.now, world.entropy()))
    assert world.run(lambda: request_id in ann.views, ms=10_000)
    early = Hello(PROTOCOL_VERSION, SCHEMES, bytes(32), 0, NO_ID, world.now.wall_ms - 3_600_000, ())
    evil.tell("ann", Kind.HELLO, early)
    world.perform("ann", ann.says(request_id, True, world.now, world.entropy()))
    assert world.run(lambda: len(ann.views[request_id].kept_by()) == 3, ms=10_000)


def test_a_persons_freeze_that_the_evil_one_keeps_holds_everywhere() -> None:
    world = company()
    deaf(world)
    wallet = wallet_in(world)
    world.restart("ann")
    world.perform("ann", world.person("ann").look(set(), world.now, world.entropy()))
    seen, step = world.person("ann").freeze(wallet, DAY_MS, world.now, world.entropy())
    world.perform("ann", step)
    assert world.run(lambda: seen.answered, ms=3_000)
    assert len(seen.holding) == 3


def test_what_the_evil_one_hides_the_honest_one_shows() -> None:
    """It lists nothing, and what it says unasked changes nothing at whoever looks elsewhere."""
    world = company()
    view = world.request(wallet_in(world), payment(wallet_in(world), script=STRANGER))
    ask_both(world, view)
    evil, ann = EvilCoordinator(world), world.person("ann")
    evil.tell("ann", Kind.OPEN_LIST, OpenList((), ()))
    world.perform("ann", ann.speak_to(world.seats["other"].identity.public, world.now, world.entropy()))
    world.perform("ann", ann.look(None, world.now, world.entropy()))
    world.run(lambda: ann.listed is not None, ms=1_000)
    evil.tell("ann", Kind.OPEN_LIST, OpenList((), ()))
    assert world.run(lambda: view.subject.request_id in ann.views, ms=5_000)


class Line(PersonLine):
    """A person's lines to the coordinators of a world."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name
        self.person = self._machine = world.person(name)
        self._entries = {entry.identity: entry for entry in world.roster.coordinators}
        self._endpoints = dict.fromkeys(self._entries, Connected())

    def far(self, coordinator: bytes, ms: int) -> None:
        """The line to this one stands only after this time."""
        self._endpoints[coordinator] = Dialled(self._world, ms)

    def say(self, step: Step) -> None:
        self._world.perform(self._name, step)

    def wait(self, until: Callable[[], bool], timeout_s: float) -> bool:
        return self._world.run(until, ms=int(timeout_s * 1000))


class Connected(NodeEndpoint):
    """A line that stands."""

    def __init__(self) -> None:
        pass

    def connected(self) -> bool:
        return True


class Dialled(Connected):
    """A line whose handshake takes its time."""

    def __init__(self, world: World, ms: int) -> None:
        self._world, self._stands_at_ms = world, world.now.monotonic_ms + ms

    @property
    def state(self) -> LinkState:
        return LinkState.CONNECTED if self.connected() else LinkState.CONNECTING

    def connected(self) -> bool:
        return self._world.now.monotonic_ms >= self._stands_at_ms


def empty(world: World) -> Callable[[Envelope], list[Envelope]]:
    """The evil one says that nothing is open and nothing was announced."""

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.sender == "coord" and envelope.kind is Kind.OPEN_LIST:
            return [resigned(world, envelope, requests=())]
        if envelope.sender == "coord" and envelope.kind is Kind.CHANGE_LIST:
            return [resigned(world, envelope, changes=())]
        return [envelope]

    return hook


def silent(world: World) -> Callable[[Envelope], list[Envelope]]:
    """It lists what there is, and shows nothing of it."""
    shown = {Kind.PROPOSE, Kind.POLICY_RELAY}
    return lambda e: [] if e.sender == "coord" and e.addressee in world.people and e.kind in shown else [e]


@pytest.mark.parametrize("hides", [empty, silent])
def test_a_command_looks_at_every_coordinator(
    hides: Callable[[World], Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = company()
    for module in (people, person_changes, client_line):
        monkeypatch.setattr(module, "now", lambda: world.now)
    view = world.request(wallet_in(world), payment(wallet_in(world), script=STRANGER))
    ask_both(world, view)
    world.propose_policy("node0", TWO.replace("90_000sat", "95_000sat"))
    world.run(ms=2_000)
    [pending] = world.node("node0").policies.own.pending.values()
    world.hook = hides(world)
    world.restart("ann")
    found = people._find(CALL, Line(world, "ann"), view.subject.request_id.hex())
    assert found.subject.request_id == view.subject.request_id
    world.restart("ann")
    change = person_changes._find_listed(CALL, Line(world, "ann"), pending.terms.id.hex())
    assert change.terms.id == pending.terms.id


@pytest.mark.parametrize(("who", "yes"), [("ann", True), ("guy", False)])
def test_a_word_on_a_change_that_the_evil_one_keeps_reaches_its_node(who: str, yes: bool) -> None:
    """It shows the change, and whether its node has the word the honest one says alone."""
    world = PolicedWorld(WITH_PEOPLE, people={"ann": ("board",), "guy": ("guard",)}, coordinators=BOTH)
    world.make_wallet()
    world.run(ms=12_000)
    world.propose_policy("node0", looser(WITH_PEOPLE))
    world.run(ms=3_000)
    [pending] = world.node("node0").policies.own.pending.values()
    deaf(world)
    world.says_of_change(who, pending.terms.id, yes)
    seen = world.person(who).changes.views[pending.terms.id]
    assert world.run(lambda: seen.heard, ms=10_000)


@pytest.mark.parametrize("ms", [0, 300])
def test_a_command_looks_at_an_honest_one_that_is_farther_away(
    ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line stands a moment after the evil one has said that nothing is open."""
    world = company()
    monkeypatch.setattr(people, "now", lambda: world.now)
    monkeypatch.setattr(client_line, "now", lambda: world.now)
    view = world.request(wallet_in(world), payment(wallet_in(world), script=STRANGER))
    ask_both(world, view)
    world.hook = empty(world)
    world.restart("ann")
    line = Line(world, "ann")
    line.far(world.seats["other"].identity.public, ms)
    found = people._find(CALL, line, view.subject.request_id.hex())
    assert found.subject.request_id == view.subject.request_id


# Drills.


def drill(world: World, wallet: Wallet) -> DrillView:
    found, step = world.client.drill(wallet, copy_digest(wallet), world.now, world.entropy())
    world.perform("client", step)
    return world.client.drills[found]


def ends_with_nothing(world: World, envelope: Envelope) -> list[Envelope]:
    """A drill in which no node took part, it says."""
    if envelope.kind is not Kind.DRILL_FINAL or envelope.addressee != "client":
        return [envelope]
    return [resigned(world, envelope, rounds=(), answers=(), failed=())]


def goes_on_for_ever(world: World, envelope: Envelope) -> list[Envelope]:
    """It is there, and the drill comes to no end."""
    return [] if envelope.kind in {Kind.DRILL_PROPOSE, Kind.DRILL_FINAL} else [envelope]


@pytest.mark.parametrize("lie", [ends_with_nothing, goes_on_for_ever])
def test_no_word_of_a_drill_makes_honest_nodes_look_as_if_they_did_not_sign(
    lie: Callable[[World, Envelope], list[Envelope]],
) -> None:
    world, wallet = made()
    world.hook = lambda envelope: lie(world, envelope) if envelope.sender == "coord" else [envelope]
    world.restart("client")
    view = drill(world, wallet)
    world.run(lambda: view.over or bool(view.rejected), ms=STALLED_MS + 20_000)
    assert view.over
    assert view.whole


def test_a_drill_that_takes_its_time_is_not_ended_by_two_lies() -> None:
    """A node is away, and the honest one waits for it: meanwhile it is there, and nobody turns from it."""
    world = PolicedWorld(FRIENDS, coordinators=BOTH)
    wallet = world.make_wallet()
    world.run(ms=12_000)
    world.stop("node2")
    evil, first = EvilCoordinator(world), world.seats["coord"].identity.public
    world.hook = lambda envelope: (
        [] if envelope.sender == "coord" and envelope.kind.name.startswith("DRILL") else [envelope]
    )
    view = drill(world, wallet)
    about = {"wallet_id": wallet.wallet_id, "request_id": view.drill_id}
    while not view.over and world.now.wall_ms < view.body.said_at_ms + 60_000:
        world.run(ms=500)
        if world.client.coordinator == first:
            evil.tell("client", Kind.DRILL_FINAL, DrillFinal((), (), ()), **about)
    assert view.over
    assert len(view.proven) == 2


def test_what_a_drill_has_shown_is_not_hidden_by_a_rejection() -> None:
    """A node is away, and the other coordinator lost the wallet; and later, one says so of a drill that is over."""
    world, wallet = made()
    world.stop("node2")
    lose(world, "other")
    world.hook = without(Kind.HELD_LIST)
    view = drill(world, wallet)
    assert world.run(lambda: view.over or bool(view.rejected), ms=60_000)
    assert not view.rejected
    assert len(view.proven) == 2
    rejected = Status("rejected", ("request-wallet",), ())
    about = {"wallet_id": wallet.wallet_id, "request_id": view.drill_id}
    EvilCoordinator(world).tell("client", Kind.STATUS, rejected, **about)
    assert not view.rejected


def test_a_drill_that_no_coordinator_takes_is_said_to_be_rejected() -> None:
    """Neither knows the wallet any more, and one of them rejects it without a reason."""
    world, wallet = made()
    for name in BOTH:
        lose(world, name)
    world.hook = without(Kind.HELD_LIST)
    world.run(ms=3_000)
    view = drill(world, wallet)
    assert world.run(lambda: view.rejected == "request-wallet", ms=20_000)


def test_whoever_has_the_request_of_a_drill_spoils_it_at_no_other() -> None:
    """It proposes and orders the same rounds at the same time, and says to nodes that it is over."""
    world = PolicedWorld(FRIENDS, coordinators=BOTH)
    wallet = world.make_wallet()
    world.run(ms=12_000)
    evil = EvilCoordinator(world)
    world.run(lambda: world.client.coordinator == world.seats["other"].identity.public, ms=20_000)
    view = drill(world, wallet)
    about = {"wallet_id": wallet.wallet_id, "request_id": view.drill_id}
    answered = 0
    while not view.over and world.now.wall_ms < view.body.said_at_ms + 60_000:
        world.run(ms=3)
        for number in range(3):
            propose = DrillPropose(view.request, number)
            said = [evil.tell(node, Kind.DRILL_PROPOSE, propose, **about) for node in world.node_names]
            order = DrillOrder(number, tuple(letter.signed for [letter] in said[:2]))
            for node in world.node_names[:2]:
                told = evil.tell(node, Kind.DRILL_ORDER, order, **about)
                answered += sum(
                    bool(letter.body.psigs) for letter in told if isinstance(letter.body, DrillPsigs)
                )
        for node in world.node_names:
            evil.tell(node, Kind.DRILL_FINAL, DrillFinal((), (), ()), **about)
        if answered > MAX_ROUNDS:
            break
    assert answered
    assert world.run(lambda: view.over, ms=60_000)
    assert view.whole
    world.run(ms=1_000)
    for name in world.node_names:
        assert any(isinstance(read(record), DrillPassed) for record in world.seats[name].disk), name


# Sessions.


def asks_owner(_: Subject, said: bool | None) -> Decision:
    return Decision.APPROVE if said else Decision.ASK


def steal(evil: EvilCoordinator, view: SigningView) -> None:
    """Use up every node's nonces: each is ordered with another that is not told. Any node gives it the request."""
    names, wallet_id = evil.world.node_names, view.subject.wallet.wallet_id
    entries = [evil.entry(name, view.request) for name in names]
    for pair, asked in (((0, 1), 0), ((1, 2), 1), ((0, 2), 2)):
        order = tuple(entries[i] for i in pair)
        evil.order(names[asked], order, wallet_id, view.subject.request_id)


@pytest.mark.parametrize("restarts", [False, True])
def test_an_evil_coordinator_uses_up_no_nonces_and_no_sessions_but_its_own(*, restarts: bool) -> None:
    """It hears of the request when owners say yes, which nodes tell every coordinator."""
    world, wallet = made(judges=lambda name: ScriptedJudge(name, asks_owner))
    world.stop("coord")
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.state == "asking", ms=20_000)
    evil, request_id = EvilCoordinator(world), view.subject.request_id
    world.hook = without(Kind.ORDER)
    for name in world.node_names:
        world.answer(name, Answer(request_id, True))
    most = most_sessions(wallet.charter)
    for _ in range(most + 5):
        steal(evil, view)
    assert [len(signed_by(world, name)) for name in world.node_names] == [most] * 3
    if restarts:
        for name in world.node_names:
            world.restart(name)
        world.run(ms=5_000)
    world.hook = honest
    end = world.now.monotonic_ms + 60_000
    while view.final is None and world.now.monotonic_ms < end:
        steal(evil, view)
        world.run(ms=3)
    assert view.final is not None
    assert max(len(signed_by(world, name)) for name in world.node_names) <= 2 * most + 4
