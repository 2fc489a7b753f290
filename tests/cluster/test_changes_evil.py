"""Changes of policy in bad company: a coordinator that lies, nodes that lie, machines that die at every step."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from changing import HEAD, HOUR_MS, OWNER_ALONE, WITH_NODES, ChangingWorld, looser, tighter
from msgspec.structs import replace
from spends import payment
from wire import Envelope, rough
from world import TestIdentity

from cluster.change_records import ChangeEnded, ChangeHeard
from cluster.changes import ANNOUNCE_EVERY_MS
from cluster.changes_heard import MAX_HEARD
from cluster.effects import Step
from cluster.journal import PolicyKept, read
from cluster.messages import Decision, Kind, PolicyChange, PolicyEnded, PolicyRelay, SignedLetter
from cluster.owner_says import Answer, NothingToAnswer
from cluster.schemes import Wallet
from policy.book import Book

DAY_MS = 24 * HOUR_MS
SCRIPT = b"\x00\x14" + b"\x07" * 20
POLICY_KINDS = {Kind.POLICY_CHANGE, Kind.POLICY_CONSENT, Kind.POLICY_ENDED, Kind.POLICY_RELAY}


def announced(world: ChangingWorld, name: str = "node1") -> PolicyChange:
    return world.heard(name).change


def carry(world: ChangingWorld, to: str, kind: Kind, letter: SignedLetter) -> None:
    """The coordinator says that it carries this."""
    coord = world.identity("coord")
    relay = world.letter(coord, Kind.POLICY_RELAY, PolicyRelay(int(kind), letter), to=to)
    world.hand_over(to, coord, relay)


def forged(
    world: ChangingWorld, author: TestIdentity, body: PolicyChange | PolicyEnded, to: str = "node1"
) -> None:
    kind = Kind.POLICY_CHANGE if isinstance(body, PolicyChange) else Kind.POLICY_ENDED
    carry(world, to, kind, world.letter(author, kind, body))


# A coordinator that lies.


@pytest.mark.parametrize("author", ["coord", "client", "ann", "node1"])
def test_only_another_node_announces_a_change(author: str) -> None:
    world = ChangingWorld()
    world.loosen()
    made_up = replace(announced(world), nonce=bytes(32))
    before = len(world.kept("node1", ChangeHeard))
    forged(world, world.identity(author), made_up)
    assert len(world.kept("node1", ChangeHeard)) == before
    assert world.complaints("node1") == ["change-stranger"]
    assert world.complaints("coord") == []


def test_nobody_but_its_node_ends_a_change() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    ended = PolicyEnded(pending.terms.id, "in-force", bytes(32))
    for author, code in (("coord", "change-stranger"), ("node2", "change-node")):
        forged(world, world.identity(author), ended)
        assert world.complaints("node1")[-1] == code
    assert world.heard("node1").state == "pending"
    forged(world, world.identity("node0"), PolicyEnded(b"\x05" * 32, "in-force", bytes(32)))
    assert world.heard("node1").state == "pending"


def test_the_coordinator_cannot_put_anything_in_force() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    coord = world.identity("coord")
    consents = [
        world.consent(coord, pending.terms.id),
        world.consent(world.identity("client"), pending.terms.id),
    ]
    good = world.consent(world.identity("node1"), pending.terms.id)
    consents.append(SignedLetter(good.letter, bytes(64)))
    consents.append(SignedLetter(good.letter.replace(pending.terms.id, b"\x09" * 32), good.signature))
    for letter in consents:
        world.relay("node0", letter)
    for kind in (Kind.HELLO, Kind.POLICY_RELAY, Kind.POLICY_CHANGE):
        carry(world, "node0", kind, good)
    world.wait(3 * DAY_MS)
    assert (world.limit(), pending.agreed) == ("50_000sat", {world.identity("node0").public})
    assert set(world.complaints("node0")) >= {"change-stranger", "letter-signature", "letter-kind"}


def test_announcements_that_are_dropped_block_a_change_that_needs_a_consent() -> None:
    world = ChangingWorld(WITH_NODES)

    def deaf(envelope: Envelope) -> Iterable[Envelope]:
        return [] if envelope.kind in POLICY_KINDS else [envelope]

    world.hook = deaf
    pending = world.loosen(policy=WITH_NODES)
    world.wait(3 * DAY_MS)
    assert (world.limit(), world.node("node1").policies.heard.heard) == ("50_000sat", {})
    world.hook = lambda envelope: [envelope]
    world.run(ms=ANNOUNCE_EVERY_MS + 1_000)
    world.say("node1", pending.terms.id, True)
    assert world.limit() == "60_000sat"


def test_letters_may_be_lost_repeated_and_altered() -> None:
    world = ChangingWorld(WITH_NODES, seed=7)
    world.hook = rough(world.random, lose=0.4, repeat=0.3, alter=0.1, late_ms=500)
    pending = world.loosen(policy=WITH_NODES)
    assert world.run(lambda: bool(world.node("node1").policies.heard.heard), ms=20 * ANNOUNCE_EVERY_MS)
    world.answer("node1", Answer(pending.terms.id, True))
    assert world.run(lambda: len(pending.agreed) == 2, ms=20 * ANNOUNCE_EVERY_MS), (
        "said again when asked again"
    )


def test_whoever_was_away_hears_of_it_and_a_coordinator_that_starts_is_told_again() -> None:
    world = ChangingWorld(WITH_NODES)
    world.stop("node1")
    world.stop("coord")
    pending = world.loosen(policy=WITH_NODES)
    world.restart("node1")
    world.restart("coord")
    world.run(ms=10_000)
    assert world.heard("node1").terms == pending.terms


# A node that lies.


def test_texts_that_are_not_what_the_digests_say_are_not_heard() -> None:
    world = ChangingWorld()
    world.loosen()
    true, node0 = announced(world), world.identity("node0")
    before = len(world.kept("node1", ChangeHeard))
    for lie, code in (
        (replace(true, nonce=b"\x01" * 32, text=true.old_text), "change-digest"),
        (replace(true, nonce=b"\x02" * 32, old_text=true.text), "change-digest"),
        (replace(true, nonce=b"\x03" * 32, text="schema: 9\n"), "change-text"),
        (replace(true, nonce=b"\x04" * 32, base="schema: 9\n"), "change-text"),
    ):
        forged(world, node0, lie)
        assert world.complaints("node1")[-1] == code
    assert len(world.kept("node1", ChangeHeard)) == before


def test_an_old_announcement_is_not_heard_again() -> None:
    world = ChangingWorld()
    world.loosen()
    [entry] = world.kept("node1", ChangeHeard)
    assert isinstance(entry, ChangeHeard)
    world.stop("node2")
    world.seats["node2"].disk = [
        record for record in world.seats["node2"].disk if record.kind != "change-heard"
    ]
    world.restart("node2")
    world.say("node0", world.pending().terms.id, False)
    world.advance(HOUR_MS)
    carry(world, "node2", Kind.POLICY_CHANGE, entry.letter)
    assert world.node("node2").policies.heard.heard == {}
    coordinator = world.identity("coord").public
    assert world.node("node2").complaints.dropped[coordinator, "letter-expired"] == 1
    assert world.complaints("node2") == []


def test_a_node_that_announces_without_end_fills_neither_disk_nor_memory() -> None:
    world = ChangingWorld()
    world.loosen()
    true, node0 = announced(world), world.identity("node0")
    for number in range(MAX_HEARD + 20):
        forged(world, node0, replace(true, nonce=number.to_bytes(32, "big")))
    assert len(world.kept("node1", ChangeHeard)) == len(world.node("node1").policies.heard.heard) == MAX_HEARD
    assert world.complaints("node1") == ["change-crowded"]
    world.advance(2 * DAY_MS)
    forged(world, node0, replace(true, nonce=b"\xff" * 32))
    assert world.heard("node1").change.nonce == b"\xff" * 32
    assert len(world.node("node1").policies.heard.heard) == MAX_HEARD
    world.restart("node1")
    assert world.heard("node1").change.nonce == b"\xff" * 32


def test_announcements_that_cannot_be_read_are_tried_once_each_and_count_too() -> None:
    world = ChangingWorld()
    world.loosen()
    true, node0, coord = announced(world), world.identity("node0"), world.identity("coord").public
    counts = world.node("node1").complaints.counts
    for _ in range(MAX_HEARD + 20):
        forged(world, node0, replace(true, nonce=b"\x01" * 32, text="schema: 9\n"))
    assert counts == {(coord, "change-text"): MAX_HEARD + 20}
    forged(world, node0, replace(true, nonce=b"\x01" * 32))
    assert world.heard("node1").change.nonce == true.nonce, "an id that failed once is not read again"
    forged(world, node0, replace(true, nonce=b"\x02" * 32))
    assert world.heard("node1").change.nonce == b"\x02" * 32, "and keeps no other from being heard"
    for number in range(MAX_HEARD):
        forged(world, node0, replace(true, nonce=number.to_bytes(32, "big"), old_text="schema: 9\n"))
    assert counts[coord, "change-text"] == 2 * MAX_HEARD - 3 + 21
    assert counts[coord, "change-crowded"] == 3
    world.advance(2 * DAY_MS)
    forged(world, node0, replace(true, nonce=b"\x03" * 32))
    assert world.heard("node1").change.nonce == b"\x03" * 32


def test_a_consent_given_is_repeated_and_kept_over_a_restart() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    world.stop("coord")
    world.answer("node1", Answer(pending.terms.id, True))
    world.restart("node1")
    assert world.heard("node1").state == "consented"
    with pytest.raises(NothingToAnswer, match="no say"):
        world.answer("node2", Answer(pending.terms.id, True))
    world.restart("coord")
    world.run(ms=2 * ANNOUNCE_EVERY_MS)
    assert len(pending.agreed) == 2


def test_a_yes_may_become_a_no_and_never_the_other_way() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    world.say("node1", pending.terms.id, True)
    world.stop("coord")
    world.answer("node1", Answer(pending.terms.id, False))
    with pytest.raises(NothingToAnswer, match="cancelled"):
        world.answer("node1", Answer(pending.terms.id, True))
    world.restart("coord")
    world.run(ms=2 * ANNOUNCE_EVERY_MS)
    assert world.node("node0").policies.own.pending == {}


# Machines that die.


def life(world: ChangingWorld) -> None:
    """A change that needs a consent, from proposal to force."""
    if not world.node("node0").policies.own.pending and world.version() == 1:
        world.propose_policy("node0", looser(WITH_NODES))
    world.run(ms=2_000)
    for heard in world.node("node1").policies.heard.heard.values():
        if heard.state in {"pending", "consented"}:
            world.answer("node1", Answer(heard.terms.id, True))
    world.run(ms=2_000)
    world.wait(48 * HOUR_MS)


@pytest.mark.parametrize("moment", ["before", "committed", "sent"])
@pytest.mark.parametrize("kind", ["change-proposed", "consent", "change-ended"])
def test_nothing_is_in_force_before_its_record_wherever_it_dies(kind: str, moment: str) -> None:
    world = ChangingWorld(WITH_NODES)
    died: list[str] = []
    perform = world.perform

    def mortal(name: str, step: object) -> None:
        assert isinstance(step, Step)
        if name == "node0" and not died and kind in {record.kind for record in step.remember}:
            died.append(kind)
            if moment != "before":
                world.seats[name].disk.extend(step.remember)
            for outgoing in step.say if moment == "sent" else ():
                world.send(name, outgoing)
            world.stop(name)
            return
        perform(name, step)

    world.perform = mortal  # type: ignore[method-assign]
    for _ in range(3):
        if world.seats["node0"].machine is None:
            records = [read(record) for record in world.seats["node0"].disk if record.kind == "policy"]
            world.restart("node0")
            last = records[-1]
            assert isinstance(last, PolicyKept)
            assert world.version() == last.version
            world.confirm_clock()
            world.run(ms=ANNOUNCE_EVERY_MS + 1_000)
        try:
            life(world)
        except AssertionError:
            assert world.seats["node0"].machine is None
    assert died == [kind]
    assert (world.limit(), world.version()) == ("60_000sat", 2)
    kept = [one for one in world.kept("node0", ChangeEnded) if isinstance(one, ChangeEnded)]
    assert [one.code for one in kept] == ["in-force"]


# What a policy in force means for requests.


def ask(world: ChangingWorld, wallet: Wallet, label: str, sats: int) -> bytes:
    view = world.request(wallet, payment(wallet, script=SCRIPT, label=label, amount_sats=sats))
    world.run(ms=3_000)
    return view.subject.request_id


def judged(world: ChangingWorld, request_id: bytes) -> tuple[Decision, bytes]:
    node = world.node("node0")
    ticket, trace = node.ticket(request_id), node.signing.tickets.ended.get(request_id)
    if ticket is not None:
        return ticket.judgement.decision, ticket.judgement.policy_digest
    assert trace is not None
    return trace.decision, trace.policy_digest


def test_a_tightening_ends_standing_approvals_in_the_same_step() -> None:
    world = ChangingWorld()
    wallet = world.make_wallet()
    world.stop("node1")
    world.stop("node2")
    request_id = ask(world, wallet, "a", 45_000)
    decision, digest = judged(world, request_id)
    assert decision is Decision.APPROVE
    assert digest == world.node("node0").policies.profiles.digest_for(wallet.wallet_id)
    step = world.propose_policy("node0", tighter(OWNER_ALONE))
    assert {"policy", "judged"} <= {record.kind for record in step.remember}
    decision, after = judged(world, request_id)
    assert decision is Decision.REFUSE
    assert after == world.node("node0").policies.profiles.digest_for(wallet.wallet_id) != digest


def test_a_loosening_changes_verdicts_and_their_digest_only_when_it_is_in_force() -> None:
    world = ChangingWorld()
    wallet = world.make_wallet()
    digest = world.node("node0").policies.profiles.digest_for(wallet.wallet_id)
    world.loosen()
    assert judged(world, ask(world, wallet, "a", 55_000)) == (Decision.REFUSE, digest)
    world.wait(DAY_MS)
    after = world.node("node0").policies.profiles.digest_for(wallet.wallet_id)
    assert after != digest
    assert judged(world, ask(world, wallet, "b", 55_000)) == (Decision.APPROVE, after)


def test_no_change_refills_a_budget() -> None:
    budget = (
        HEAD.replace("velocity: unlimited", "velocity: [{window: 24h, count: 4}]")
        + "change: {cooldown: 1h}\n"
    )
    world = ChangingWorld(budget)
    wallet = world.make_wallet()
    for label in "ab":
        ask(world, wallet, label, 10_000)
    signed = [name for name in world.node_names if spent(world, name, wallet)]
    name = signed[0]
    before = spent(world, name, wallet)
    world.propose_policy(name, tighter(budget))
    assert spent(world, name, wallet) == before
    world.propose_policy(name, budget.replace("count: 4", "count: 8"))
    world.wait(HOUR_MS)
    assert world.version(name) == 3
    assert spent(world, name, wallet) == before
    world.propose_policy(name, tighter(budget), wallet.wallet_id)
    assert spent(world, name, wallet) == before
    world.restart(name)
    assert spent(world, name, wallet) == before


def spent(world: ChangingWorld, name: str, wallet: Wallet) -> int:
    """How many bookings a node holds."""
    book = world.watch.judges[name].inner
    found = book.book_of(wallet.wallet_id)  # type: ignore[attr-defined]
    assert isinstance(found, Book)
    return len(found.entries)
