"""What a greedy or careless client, a flood, or a damaged record can do: little, and it is said."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from btclib_wallet.psbt import Psbt
from evil import EvilCoordinator, signed_by
from spends import payment
from wire import Envelope
from world import ScriptedJudge, World

from cluster import makings, plans, requests, tickets
from cluster.cli.output import foreign
from cluster.codec import Mouth, encode
from cluster.journal import RequestKept
from cluster.messages import Decision, Hello, Kind
from cluster.owner_says import Answer, NothingToAnswer
from cluster.quorum import Candidate, choose, choose_exact
from cluster.records import Record
from cluster.roster import digest
from cluster.schemes import SCHEMES
from cluster.subjects import BadRequest, Subject
from policy import Conditions, Seat
from taproot import WalletPath

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
EVIL_NOTE = "rent\x1b[2J\x1b[H\r pay 1 sat \u202e tas 000,001 yap \u2066\n  amount: 1 sat\u2069\x00\x9b31m"


def asks(subject: Subject, said: bool | None) -> Decision:
    if said is None:
        return Decision.ASK
    return Decision.APPROVE if said else Decision.REFUSE


def asks_what_is_slow(subject: Subject, said: bool | None) -> Decision:
    return asks(subject, said) if subject.note == "slow" else Decision.APPROVE


def all_ask(name: str) -> ScriptedJudge:
    return ScriptedJudge(name, asks)


def test_a_note_repaints_nothing() -> None:
    """It reaches the owner as it was signed, and every place that shows it shows one plain, marked line."""
    world = World(judges=all_ask)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet), EVIL_NOTE)
    world.run(lambda: bool(world.node("node0").questions(world.now)))
    ticket = world.node("node0").ticket(view.subject.request_id)
    assert ticket is not None
    assert ticket.subject.note == EVIL_NOTE
    shown = foreign(ticket.subject.note)
    assert shown.isprintable()
    assert not set(shown) & set("\x1b\r\n\x00\x9b\u202e\u2066\u2069")
    assert "unverified" in shown
    for question in world.node("node0").questions(world.now):
        assert not any(EVIL_NOTE in line or "\x1b" in line or "\u202e" in line for line in question.lines)


@pytest.mark.parametrize("note", ["x" * 501, "\udcff"])
def test_a_note_that_nobody_would_read_is_not_sent(note: str) -> None:
    world = World()
    wallet = world.make_wallet()
    with pytest.raises(BadRequest, match="note"):
        world.request(wallet, payment(wallet), note)


def test_a_restarted_node_asks_its_owner_again_without_any_coordinator() -> None:
    world = World(judges=all_ask)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(lambda: all(world.node(name).questions(world.now) for name in world.node_names))
    world.stop("coord")
    world.restart("node0")
    (question,) = world.node("node0").questions(world.now)
    assert question.subject == view.subject.request_id
    world.answer("node0", Answer(question.subject, True))
    world.restart("coord")
    world.answer("node1", Answer(question.subject, True))
    assert world.run(lambda: view.final is not None)


def test_no_request_is_good_for_longer_than_a_week() -> None:
    world = World(judges=all_ask)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet), life_ms=365 * DAY)
    world.run(lambda: bool(world.node("node0").questions(world.now)))
    ticket = world.node("node0").ticket(view.subject.request_id)
    assert ticket is not None
    limit = world.now.wall_ms + tickets.MAX_REQUEST_LIFE_MS
    assert ticket.expires_at_ms <= limit
    world.restart("node0")
    ticket = world.node("node0").ticket(view.subject.request_id)
    assert ticket is not None
    assert ticket.expires_at_ms <= limit


def test_a_client_whose_requests_come_to_nothing_is_slowed_down() -> None:
    world = World(judges=lambda name: ScriptedJudge(name, lambda subject, said: Decision.REFUSE))
    for name in world.node_names:
        world.node(name).signing.tickets.quota = requests.Quota(failed=3)
    wallet = world.make_wallet()
    for i in range(6):
        world.request(wallet, payment(wallet, label=f"{i}"))
        world.run(ms=300)
    assert sum(record.kind == "request" for record in world.seats["node0"].disk) == 3
    world.advance(requests.FAILED_WINDOW_MS)
    world.request(wallet, payment(wallet, label="later"))
    world.run(ms=300)
    assert sum(record.kind == "request" for record in world.seats["node0"].disk) == 6


def test_open_requests_of_one_client_are_bounded() -> None:
    world = World(judges=all_ask)
    wallet = world.make_wallet()
    views = [world.request(wallet, payment(wallet, label=f"{i}")) for i in range(40)]
    world.run(ms=5_000)
    assert len(world.node("node0").signing.tickets.whole) == requests.Quota().open
    assert sum(view.state == "asking" for view in views) == requests.Quota().open


@pytest.mark.parametrize("who", ["node0", "coord"])
def test_what_was_the_wallets_own_when_it_was_asked_for_is_so_after_a_restart(
    monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """The search for scripts that nothing claims moves ahead; what still waits is read as it was: else no start."""
    monkeypatch.setattr("taproot.wallet.MOST_SEARCHED", 0)
    world = World(judges=lambda name: ScriptedJudge(name, asks_what_is_slow))
    wallet = world.make_wallet()
    document = Psbt.parse(payment(wallet))
    document.inputs[0].taproot_hd_key_paths = {}
    view = world.request(wallet, document.serialize(), "slow")
    assert world.run(lambda: view.state == "asking")
    gap = wallet.public.gap_limit
    for index in (gap - 1, 2 * gap - 1):
        far = wallet.public.script(WalletPath(0, index))
        used = world.coordinator.keygen.wallets[wallet.wallet_id]
        world.request(used, payment(wallet, script=far, label=str(index)))
        world.run(ms=5_000)
    assert world.coordinator.keygen.wallets[wallet.wallet_id].next_receive == 2 * gap
    world.run(ms=1_000)
    world.restart(who)
    for name in world.node_names:
        world.answer(name, Answer(view.subject.request_id, True))
    assert world.run(lambda: view.final is not None)


def test_a_busy_node_and_an_absent_one_are_not_shouted_at() -> None:
    """A proposal may be half a megabyte: it is not signed and sent every two seconds for nothing."""
    world = World()
    wallet = world.make_wallet()
    world.node("node0").signing.tickets.quota = requests.Quota(open=0)
    world.stop("node2")
    world.run(ms=20_000)
    proposed: list[str] = []

    def count(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.kind is Kind.PROPOSE:
            proposed.append(envelope.addressee)
        return [envelope]

    world.hook = count
    view = world.request(wallet, payment(wallet))
    world.run(ms=100_000)
    assert proposed.count("node0") == 2
    assert proposed.count("node2") == 1
    world.node("node0").signing.tickets.quota = requests.Quota()
    assert world.run(lambda: view.final is not None, ms=70_000)


def test_proposals_nobody_answers_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(plans, "MAX_PROPOSED", 4)
    monkeypatch.setattr(plans, "MAX_PLANS", 6)
    monkeypatch.setattr(makings, "MAX_MAKINGS", 30)

    def propose(i: int, life_ms: int = 10 * MINUTE) -> None:
        charter = world.charter(0, f"wallet{i}")
        _, step = world.client.propose(charter, world.now, world.entropy(), life_ms=life_ms)
        world.perform("client", step)
        world.run(ms=100)

    for i in range(8):
        propose(i)
    assert len(world.node("node0").keygen.plans) == 4
    world.run(ms=11 * MINUTE)
    for i in range(8, 16):
        propose(i)
    assert len(world.node("node0").keygen.plans) == 6
    subject = next(iter(world.node("node0").keygen.plans))
    with pytest.raises(NothingToAnswer, match="expired"):
        world.answer("node0", Answer(subject, True))


def test_a_signature_that_comes_after_the_expiry_still_counts() -> None:
    world = World()
    wallet = world.make_wallet()

    slowed: set[str] = set()

    def slow(envelope: Envelope) -> Iterable[Envelope]:
        """From its signature on, everything a node says takes long, in order."""
        if envelope.kind is Kind.PARTIAL_SIGNATURES:
            slowed.add(envelope.sender)
        if envelope.sender in slowed:
            envelope.delay_ms = 40_000
        return [envelope]

    world.hook = slow
    view = world.request(wallet, payment(wallet), life_ms=20_000)
    assert world.run(lambda: view.state == "expired", ms=35_000)
    world.run(ms=30_000)
    job = world.coordinator.signing.jobs.ended[view.subject.request_id]
    assert job.final is not None
    world.restart("coord")
    assert world.coordinator.signing.jobs.ended[view.subject.request_id].state == "final"


def test_the_request_of_another_client_is_not_told() -> None:
    world = World()
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.final is not None)
    job = world.coordinator.signing.jobs.ended[view.subject.request_id]
    assert job.client == world.seats["client"].identity.public
    before = len(world.seats["coord"].said)
    header = view.request
    node1 = world.seats["node1"].identity.public
    world.coordinator.receive(node1, header.letter, header.signature, world.now, world.entropy())
    assert len(world.seats["coord"].said) == before


def test_a_node_that_restarts_all_the_time_does_not_make_the_coordinator_shout() -> None:
    world = World(judges=all_ask)
    wallet = world.make_wallet()
    for i in range(10):
        world.request(wallet, payment(wallet, label=f"{i}"))
    world.run(ms=3_000)
    seat, coord = world.seats["node0"], world.seats["coord"]
    hello = Hello(1, SCHEMES, world.roster_digest, 0, bytes(32), 0, ())
    before = len(coord.said)
    for i in range(200):
        mouth = Mouth(seat.identity, world.roster.cluster_id, i.to_bytes(16, "big"))
        signed = mouth.say(Kind.HELLO, coord.identity.public, hello, expires_at_ms=world.now.wall_ms + 1)
        world.deliver(Envelope("node0", "coord", signed.letter, signed.signature))
    assert len(coord.said) - before <= 200 + 40


@pytest.mark.frost_only(reason="a tree has at most 64 quorums")
def test_a_wallet_too_wide_for_so_many_inputs_is_told_at_once() -> None:
    """An order of everybody's nonces must fit into one letter, or the coordinator would fall over its own cap."""
    world = World(2, 50)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, coins=240))
    assert world.run(lambda: view.state == "rejected", ms=10_000)
    assert view.codes == ("request-inputs",)


@pytest.mark.parametrize(
    "kind", ["judged", "answer", "signed", "final", "closed", "copy-confirmed", "unheard-of"]
)
def test_records_in_the_wrong_order_are_named(kind: str) -> None:
    """A damaged or mixed-up chain stops the start with one sentence; it never starts half a machine."""
    world = World(judges=all_ask)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    for name in ("node0", "node1"):
        world.run(lambda n=name: world.node(n).ticket(view.subject.request_id) is not None)  # type: ignore[misc]
        world.answer(name, Answer(view.subject.request_id, True))
    world.run(lambda: view.final is not None)
    world.run(ms=500)
    disk = world.seats["node0"].disk
    found = [r for r in disk if r.kind == kind] or [Record("unheard-of", bytes(32), b"")]
    world.stop("node0")
    world.seats["node0"].disk = [found[0]]
    if kind in {"closed"}:
        return
    with pytest.raises(ValueError, match=r"record 0 \("):
        world.restart("node0")


def test_a_record_that_was_altered_is_named() -> None:
    world = World()
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.final is not None)
    for name in ("node0", "coord"):
        whole = world.seats[name].disk
        for at, record in enumerate(whole):
            world.stop(name)
            world.seats[name].disk = [
                *whole[:at],
                Record(record.kind, record.wallet_id, record.body + b"\x00"),
            ]
            with pytest.raises(ValueError, match=rf"record {at} \({record.kind}\)"):
                world.restart(name)
        world.seats[name].disk = whole
        world.restart(name)
    assert RequestKept.__doc__


def test_a_condition_that_became_stricter_is_said_with_the_refusal() -> None:
    strict = ScriptedJudge("node0")
    world = World(judges=lambda name: strict if name == "node0" else ScriptedJudge(name))
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    entries = tuple(evil.entry(name, view.request) for name in ("node0", "node1"))
    strict.need_nodes = 3
    answers = evil.order("node0", entries, wallet.wallet_id, view.subject.request_id)
    assert [letter.header.kind for letter in answers][:2] == [Kind.GONE, Kind.VERDICT]
    assert not signed_by(world, "node0")
    world.restart("coord")
    assert world.run(lambda: view.final is not None)


def test_choosing_a_quorum_leaves_out_whom_nobody_can_content() -> None:
    def node(i: int, need: int = 0, *roles: str) -> Candidate:
        return Candidate(bytes([i]), Seat(f"role{i}", bytes(32)), Conditions(need, roles))

    assert choose([node(1), node(2), node(3)], 2) == (b"\x01", b"\x02")
    assert choose([node(1, 3), node(2), node(3)], 2) == (b"\x01", b"\x02", b"\x03")
    assert choose([node(1, 4), node(2), node(3)], 2) == (b"\x02", b"\x03")
    assert choose([node(1, 0, "role3"), node(2), node(3)], 2) == (b"\x01", b"\x02", b"\x03")
    assert choose([node(1, 0, "king"), node(2, 9), node(3)], 2) is None
    assert choose([node(1)], 2) is None
    assert choose([], 1) is None
    many = [node(i % 256, 2**31 - 1, "king") for i in range(128)]
    assert choose(many, 64) is None


@pytest.mark.parametrize("n", [5, 12])
def test_nobody_is_chosen_with_whom_another_does_not_sign(n: int) -> None:
    """However many there are: all honest ones doubt both liars, and one liar all of them."""
    liars = {2, 4}

    def node(i: int) -> Candidate:
        doubts = frozenset(bytes([j]) for j in range(n) if j != i and (i == 4 or j in liars))
        return Candidate(bytes([i]), Seat("", bytes(32)), Conditions(0), doubts)

    everybody = [node(i) for i in range(n)]
    chosen = choose(everybody, n - 2)
    assert chosen is not None
    assert {one[0] for one in chosen} == set(range(n)) - liars
    assert choose(everybody, n - 1) is None
    pairs = [frozenset({1, 2}), frozenset({0, 4}), frozenset({1, 3})]
    assert choose_exact(dict(enumerate(everybody)), pairs, frozenset(range(n))) == pairs[2]


def test_the_charter_s_words_are_what_the_owner_agrees_to() -> None:
    world = World()
    view = world.propose(world.charter())
    assert world.run(lambda: bool(world.node("node0").questions(world.now)))
    (question,) = world.node("node0").questions(world.now)
    assert question.subject == digest(encode(view.charter))


def test_where_quorums_are_given_the_first_is_chosen_that_is_whole_and_content() -> None:
    nodes, outsider = frozenset((0, 1, 2)), 3

    def chosen(
        quorums: list[set[int]], demands: dict[int, Conditions], ready: frozenset[int] = nodes
    ) -> set[int] | None:
        candidates = {
            i: Candidate(bytes([i]), Seat(f"role{i}", bytes(32)), demands.get(i, Conditions(0)))
            for i in ready
        }
        found = choose_exact(candidates, [frozenset(one) for one in quorums], nodes)
        return None if found is None else set(found)

    pairs = [{0, 1}, {0, 2}, {1, 2}]
    assert chosen(pairs, {}) == {0, 1}
    assert chosen(pairs[::-1], {}) == {1, 2}
    assert chosen(pairs, {}, nodes - {1}) == {0, 2}
    assert chosen(pairs, {}, nodes - {1, 2}) is None
    assert chosen(pairs, {1: Conditions(3)}) == {0, 2}, "nobody is added to a quorum"
    assert chosen(pairs, {0: Conditions(0, ("role2",))}) == {0, 2}
    assert chosen(pairs, {0: Conditions(0, ("role2",)), 2: Conditions(0, ("role1",))}) == {1, 2}
    assert chosen(pairs, dict.fromkeys(nodes, Conditions(3))) is None
    assert chosen([{0, outsider}, {0, 1}], {0: Conditions(2)}) == {0, 1}, (
        "an outsider is no node that assents"
    )
    assert chosen([{0, outsider}], {}) == {0, outsider}
