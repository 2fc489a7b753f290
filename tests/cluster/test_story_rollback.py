"""An older disk put back: every copy is noticed, by the anchor or by peers alone, and nothing is signed with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from evil import EvilCoordinator
from older_disks import (
    MINUTE_MS,
    Answers,
    Twins,
    Unvouched,
    head_of,
    lived,
    made,
    put_back,
    quarantine,
    sign,
    signed_of,
)
from policed import PolicedWorld
from spends import STRANGER, payment
from wire import Envelope
from world import ScriptedJudge

from cluster.answering import LIVES_ANSWERED
from cluster.codec import Mouth
from cluster.effects import Now
from cluster.head_records import LineageKept, PeerHeads
from cluster.heads import (
    ANSWER_EVERY_MS,
    OBJECTION_MS,
    REBUILT_MS,
    ROLLBACK,
    UNPROVEN,
    Anchored,
)
from cluster.journal import BootKept, RecoveredKept, SignedKept, note, read
from cluster.lives import ROLLED_BACK, TWO_LIVES
from cluster.messages import Beats, Decision, HeadAsk, HeadRelay, Kind, SignedLetter
from cluster.owner_says import Freeze, QuarantineEnded
from cluster.records import Record
from cluster.subjects import Subject

COPIES = int(os.environ.get("ASSENT_ROLLBACK_COPIES", "100"))


def copies_of(disk: Sequence[Record]) -> list[int]:
    """How many records each of so many earlier copies has: all of them if there are no more, else evenly chosen."""
    wanted = min(COPIES, len(disk))
    return sorted({number * len(disk) // wanted for number in range(wanted)})


def test_each_earlier_copy_is_noticed_by_peers_alone() -> None:
    """With no anchor, and with one that was put back with the database: the peers are enough."""
    world, _, disk = lived(30)
    copies = copies_of(disk)
    assert len(copies) == COPIES
    for height in copies:
        for anchor in (Anchored(), head_of(disk[:height])):
            put_back(world, "node0", disk[:height], anchor)
            assert world.run(lambda: quarantine(world) is not None, ms=15_000), height
            kept = quarantine(world)
            assert kept is not None
            assert kept.by in {world.seats[name].identity.public for name in ("node1", "node2")}
            assert height < kept.height < height + 5
            assert kept.seen_height == len(disk)


def test_each_earlier_copy_is_noticed_by_the_anchor_alone() -> None:
    world, _, disk = lived(30)
    for name in ("node1", "node2", "coord"):
        world.stop(name)
    for height in copies_of(disk):
        put_back(world, "node0", disk[:height], head_of(disk))
        kept = quarantine(world)
        assert kept is not None, height
        assert (kept.height, kept.seen_height, kept.by) == (height, len(disk), bytes(32))


def test_a_chain_that_goes_beside_the_anchor_is_noticed() -> None:
    """As many records, or more, and yet another chain: an older copy that was used since."""
    world, _, disk = lived(3)
    other = [*disk[:-5], *[note(BootKept(world.now.wall_ms, bytes(16)))] * 8]
    put_back(world, "node0", other, head_of(disk))
    assert quarantine(world) is not None


def test_a_node_in_quarantine_signs_nothing_through_any_restart() -> None:
    world, wallet, disk = lived(3)
    put_back(world, "node0", disk[:-6])
    assert world.run(lambda: quarantine(world) is not None, ms=1_000)
    count = len(signed_of(world, "node0"))
    world.stop("node2")
    for _ in range(2):
        view = world.request(wallet, payment(wallet, label="after"))
        world.run(ms=MINUTE_MS)
        assert view.final is None
        shown = view.nodes[world.seats["node0"].identity.public].verdict
        assert shown is not None
        assert (shown.decision, shown.codes) == (Decision.REFUSE, (ROLLBACK,))
        world.restart("node0")
        assert quarantine(world) is not None
    assert len(signed_of(world, "node0")) == count
    world.restart("node2")
    world.run(ms=5_000)
    assert sign(world, wallet, "the others"), "two honest nodes go on"


def test_nothing_is_approved_before_enough_peers_have_answered() -> None:
    world, wallet, _ = lived(1)
    world.stop("node2")
    world.restart("node0")
    view = world.request(wallet, payment(wallet, label="unproven"))
    assert not world.run(lambda: view.final is not None, ms=2 * MINUTE_MS), "one of two peers could be evil"
    shown = view.nodes[world.seats["node0"].identity.public].verdict
    assert shown is not None
    assert (shown.decision, shown.codes) == (Decision.WAIT, (UNPROVEN,))
    world.restart("node2")
    assert world.run(lambda: view.final is not None, ms=30_000), "what waited is signed once they have"


def test_with_its_anchor_a_node_starts_alone() -> None:
    world, wallet, disk = lived(1)
    world.stop("node2")
    put_back(world, "node0", disk, head_of(disk))
    assert not world.node("node0").heads.settled
    assert sign(world, wallet, "alone", ms=OBJECTION_MS + 5_000)


def test_an_anchor_one_commit_behind_is_a_crash_and_no_rollback() -> None:
    world, wallet, disk = lived(1)
    world.stop("node2")
    put_back(world, "node0", disk, head_of(disk[:-3]))
    assert quarantine(world) is None
    assert sign(world, wallet, "crashed")


@pytest.mark.parametrize(
    ("scheme", "t", "n"), [("frost", 2, 2), ("frost", 3, 5), ("frost", 3, 3), ("musig2", 3, 3)]
)
def test_a_power_cut_of_all_starts_without_anybody(scheme: str, t: int, n: int) -> None:
    world = Unvouched(t, n)
    world.scheme = scheme
    wallet = world.make_wallet()
    assert sign(world, wallet, "before")
    for name in (*world.node_names, "coord"):
        world.stop(name)
    world.advance(MINUTE_MS)
    for name in (*world.node_names, "coord"):
        world.restart(name)
    assert world.run(lambda: all(world.node(name).heads.settled for name in world.node_names), ms=20_000)
    assert sign(world, wallet, "after")


def test_a_cluster_without_a_wallet_makes_one_whoever_starts_anew() -> None:
    world = Unvouched(2, 3)
    for name in world.node_names:
        world.restart(name)
    wallet = world.make_wallet()
    assert sign(world, wallet, "first")


def test_after_a_power_cut_of_all_what_was_signed_is_still_known() -> None:
    """Memory is gone everywhere; what stands in the peers' records is enough."""
    world, wallet = made()
    assert sign(world, wallet, "kept")
    world.run(ms=40_000)
    signer = next(name for name in world.node_names if signed_of(world, name))
    disk = world.seats[signer].disk
    before = next(i for i, record in enumerate(disk) if record.kind == "signed")
    for name in world.node_names:
        world.stop(name)
    put_back(world, signer, disk[:before])
    for name in world.node_names:
        if name != signer:
            world.restart(name)
    assert world.run(lambda: quarantine(world, signer) is not None, ms=5_000)


def test_in_the_step_of_a_partial_signature_the_cosigners_heads_are_kept() -> None:
    world, wallet = made()
    assert sign(world, wallet, "kept")
    signers = [name for name in world.node_names if signed_of(world, name)]
    for name in signers:
        entries = [read(record) for record in world.seats[name].disk]
        at = next(i for i, entry in enumerate(entries) if isinstance(entry, SignedKept))
        kept = entries[at + 1]
        assert isinstance(kept, PeerHeads)
        others = {world.seats[other].identity.public for other in signers if other != name}
        assert {head.node for head in kept.heads} == others


def test_nodes_that_rest_write_nothing_of_each_other() -> None:
    world, _, _ = lived(1)
    world.run(ms=MINUTE_MS)
    before = [len(world.seats[name].disk) for name in world.node_names]
    world.run(ms=50 * MINUTE_MS)
    assert [len(world.seats[name].disk) for name in world.node_names] == before


# Liars.


class Silent:
    """A network on which some letters of some senders do not arrive."""

    def __init__(self, dropped: Callable[[Envelope], bool]) -> None:
        self._dropped = dropped

    def __call__(self, envelope: Envelope) -> list[Envelope]:
        return [] if self._dropped(envelope) else [envelope]


def test_a_coordinator_that_withholds_the_answers_keeps_the_node_from_approving() -> None:
    world, wallet, disk = lived(2)
    world.hook = Silent(lambda envelope: envelope.kind in {Kind.HEAD_ASK, Kind.HEAD_SAID, Kind.HEAD_RELAY})
    put_back(world, "node0", disk[:-8])
    count = len(signed_of(world, "node0"))
    world.stop("node2")
    assert not sign(world, wallet, "withheld", ms=2 * MINUTE_MS)
    assert len(signed_of(world, "node0")) == count
    assert not world.node("node0").heads.settled


def test_with_anchor_and_disk_put_back_and_answers_withheld_no_peer_signs_with_it() -> None:
    """The node cannot know; its co-signers do, from the heartbeats that their own echoes date."""
    world, wallet, disk = lived(2)
    count = len(signed_of(world, "node1"))
    world.hook = Silent(lambda envelope: envelope.kind in {Kind.HEAD_ASK, Kind.HEAD_SAID, Kind.HEAD_RELAY})
    older = disk[:-8]
    put_back(world, "node0", older, head_of(older))
    world.run(ms=20_000)
    assert world.node("node0").heads.settled, "its anchor fits"
    doubt = world.node("node1").beats.peers[world.seats["node0"].identity.public].doubt
    assert doubt is not None
    assert doubt.code == ROLLED_BACK
    assert [notice.code for notice in world.seats["node1"].told] == [ROLLED_BACK]
    world.stop("node2")
    assert not sign(world, wallet, "with it", ms=2 * MINUTE_MS)
    assert len(signed_of(world, "node1")) == count
    world.hook = Silent(lambda envelope: False)
    world.restart("node2")
    world.run(ms=10_000)
    assert sign(world, wallet, "without it"), "a quorum without it is found"


def test_two_genuine_answers_are_enough_and_one_is_not() -> None:
    liar = Answers()
    liar.say("node1", liar.own)
    assert not liar.settled
    liar.say("node1")
    assert not liar.settled, "one voice twice"
    liar.say("node2")
    assert liar.settled


def test_answers_to_an_earlier_life_say_nothing() -> None:
    liar = Answers()
    liar.say("node1", boot_id=b"then" * 4)
    liar.say("node2", boot_id=b"then" * 4)
    assert not liar.settled


@pytest.mark.parametrize("signer", ["node0", "client", "coord"])
def test_nobody_but_another_node_vouches(signer: str) -> None:
    liar = Answers()
    liar.say("node1")
    liar.say(signer)
    assert not liar.settled
    assert "head-stranger" in liar.complaints


def test_a_forged_statement_puts_nobody_into_quarantine() -> None:
    """An evil peer that says "you were further" must show our own letter for it."""
    liar = Answers()
    said = liar.evil.opened("node1", liar.world.seats["node1"].said)
    others = [letter.signed for letter in said if letter.header.kind is Kind.HEARTBEAT][-1]
    liar.say("node1", others)
    liar.say("node1", SignedLetter(liar.own.letter, others.signature))
    liar.say("node1", SignedLetter(liar.own.letter[:-1] + b"\x01", liar.own.signature))
    assert quarantine(liar.world) is None
    assert not liar.settled
    assert liar.complaints >= {"head-stranger", "letter-signature"}


def test_a_node_is_not_made_to_answer_without_end() -> None:
    world, _ = made()
    evil = EvilCoordinator(world)

    def answers(life: int) -> int:
        mouth = Mouth(world.seats["node1"].identity, world.roster.cluster_id, bytes([life]) * 16)
        asked = mouth.say(Kind.HEAD_ASK, evil.mouth.public, HeadAsk(1), expires_at_ms=world.now.wall_ms)
        told = evil.tell("node0", Kind.HEAD_RELAY, HeadRelay(int(Kind.HEAD_ASK), asked))
        return sum(letter.header.kind is Kind.HEAD_SAID for letter in told)

    world.advance(ANSWER_EVERY_MS)
    assert sum(answers(life) for life in range(50)) == LIVES_ANSWERED
    world.advance(ANSWER_EVERY_MS)
    assert answers(51) == 1


def test_one_honest_peer_among_liars_is_enough_to_notice() -> None:
    liar = Answers()
    put_back(liar.world, "node0", liar.disk[:-4])
    said = liar.evil.opened("node0", liar.world.seats["node0"].said)
    liar.boot_id = [letter.header.boot_id for letter in said if isinstance(letter.body, HeadAsk)][-1]
    liar.say("node1")
    liar.say("node2", liar.own)
    assert quarantine(liar.world) is not None


# Two lives.


def test_two_live_boot_ids_of_one_node_are_an_alarm_and_both_are_refused() -> None:
    twins = Twins()
    world = twins.world
    assert world.run(lambda: twins.doubt("node1") == twins.doubt("node2") == TWO_LIVES, ms=MINUTE_MS)
    assert TWO_LIVES in [notice.code for notice in world.seats["node1"].told]
    world.stop("node2")
    assert not sign(world, twins.wallet, "with one of two", ms=MINUTE_MS)
    world.restart("node1")
    assert twins.doubt("node1") == TWO_LIVES, "it is a record"
    world.restart("node2")
    world.run(ms=10_000)
    assert sign(world, twins.wallet, "without them")


def test_the_owners_clear_two_lives_once_one_is_gone() -> None:
    twins = Twins()
    world = twins.world
    assert world.run(lambda: twins.doubt("node1") == twins.doubt("node2") == TWO_LIVES, ms=MINUTE_MS)
    world.stop("twin")
    me = world.seats["node0"].identity.public
    for name in ("node1", "node2"):
        world.answer(name, QuarantineEnded(me))
    world.run(ms=MINUTE_MS)
    assert twins.doubt("node1") == twins.doubt("node2") == ""
    world.stop("node2")
    assert sign(world, twins.wallet, "again")


def test_a_restart_with_letters_late_and_out_of_order_is_no_alarm() -> None:
    world, _ = made()

    def shuffling(envelope: Envelope) -> list[Envelope]:
        envelope.delay_ms = world.random.randint(1, 25_000)
        return [envelope] * (1 + (world.random.random() < 0.3))

    world.run(ms=10_000)
    world.hook = shuffling
    for round_ in range(6):
        world.run(ms=20_000)
        world.restart(f"node{round_ % 3}")
    world.run(ms=2 * MINUTE_MS)
    for name in world.node_names:
        assert [notice.code for notice in world.seats[name].told if notice.code != "peer-hidden"] == []


# The owner.


def test_once_its_owner_has_ended_it_the_node_goes_on_in_a_new_lineage() -> None:
    world, wallet, disk = lived(3)
    put_back(world, "node0", disk[:-10])
    assert world.run(lambda: quarantine(world) is not None, ms=1_000)
    world.answer("node0", QuarantineEnded())
    entries = [read(record) for record in world.seats["node0"].disk]
    assert [type(entry) for entry in entries[-2:]] == [RecoveredKept, LineageKept]
    world.run(ms=20_000)
    me = world.seats["node0"].identity.public
    assert all(world.node(name).beats.peers[me].doubt is None for name in ("node1", "node2"))
    world.stop("node2")
    assert sign(world, wallet, "goes on")
    world.restart("node2")
    world.restart("node0")
    assert world.run(lambda: world.node("node0").heads.settled, ms=20_000), (
        "what was ended is not found again"
    )


BUDGET = f"""\
schema: 1
name: budget
network: regtest
lists:
  friends: ["script:{STRANGER.hex()}"]
limits:
  amount: {{sent: unlimited}}
  velocity: [{{window: 24h, sum: 100_000sat}}]
evil_nodes: 0
tiers:
  - {{name: friends, when: {{pays_only: [friends, own]}}, then: approve}}
"""


class UnvouchedPolicy(PolicedWorld):
    """The same, with a real policy."""

    vouched = False


def test_no_quarantine_that_ends_refills_a_budget() -> None:
    world = UnvouchedPolicy(BUDGET)
    wallet = world.make_wallet()
    world.stop("node2")
    before = len(world.seats["node0"].disk)

    def codes(label: str) -> tuple[str, ...] | None:
        psbt = payment(wallet, amount_sats=40_000, script=STRANGER, label=label)
        view = world.request(wallet, psbt)
        me = world.seats["node0"].identity.public
        world.run(lambda: view.final is not None, ms=20_000)
        verdict = view.nodes[me].verdict if me in view.nodes else None
        return () if view.final is not None else None if verdict is None else verdict.codes

    assert codes("spent") == ()
    world.restart("node2")
    world.run(ms=20_000)
    put_back(world, "node0", world.seats["node0"].disk[:before])
    assert world.run(lambda: quarantine(world) is not None, ms=5_000)
    world.answer("node0", QuarantineEnded())
    world.run(ms=2 * MINUTE_MS)
    assert codes("again") == ("policy-velocity-sum",)
    world.restart("node0")
    assert world.run(lambda: world.node("node0").heads.settled, ms=20_000)
    assert codes("after a restart") == ("policy-velocity-sum",)
    world.advance(25 * 60 * MINUTE_MS)
    world.run(ms=MINUTE_MS)
    assert codes("a day later") == ()


def test_no_clock_set_ahead_ends_a_freeze_or_a_cooldown_by_the_end_of_a_quarantine() -> None:
    """What the end writes down is by the wall clock, as nobody has confirmed another: budgets go by it, and no more."""

    class Clocks(UnvouchedPolicy):
        ahead_ms = 0

        def clock(self, name: str) -> Now:
            now = super().clock(name)
            return replace(now, wall_ms=now.wall_ms + self.ahead_ms) if name == "node0" else now

    world = Clocks(BUDGET)
    wallet_id = world.make_wallet().wallet_id
    world.answer("node1", Freeze(wallet_id, 72 * 60 * MINUTE_MS))
    world.run(ms=20_000)
    assert world.watch.judges["node0"].frozen(wallet_id)
    put_back(world, "node0", world.seats["node0"].disk[:-2])
    assert world.run(lambda: quarantine(world) is not None, ms=5_000)
    world.ahead_ms = 4 * 24 * 60 * MINUTE_MS
    world.answer("node0", QuarantineEnded())
    world.restart("node0")
    assert world.watch.judges["node0"].frozen(wallet_id)
    world.ahead_ms = 0
    world.restart("node0")
    world.run(ms=2 * MINUTE_MS)
    assert world.watch.judges["node0"].frozen(wallet_id)


def test_a_copy_of_a_recovered_nodes_first_seconds_refills_no_budget() -> None:
    """Its time was confirmed and its policy in force, and its lineage had not begun: peers' letters count nothing."""
    world = UnvouchedPolicy(BUDGET)
    wallet = world.make_wallet()
    disk, now_ms = world.seats["node0"].disk, world.now.wall_ms
    kinds = {"wallet", "copy-confirmed", "wallet-complete", "policy"}
    copy = [note(RecoveredKept(now_ms, confirmed=False)), *(one for one in disk if one.kind in kinds)]
    copy += [note(BootKept(now_ms, b"life" * 4)), note(RecoveredKept(now_ms, confirmed=True))]

    def codes(label: str) -> tuple[str, ...]:
        view = world.request(
            wallet, payment(wallet, amount_sats=40_000, script=STRANGER, label=label), life_ms=MINUTE_MS
        )
        world.run(lambda: view.final is not None, ms=30_000)
        verdict = view.nodes[world.seats["node0"].identity.public].verdict
        assert verdict is not None
        return verdict.codes

    put_back(world, "node0", copy)
    world.run(ms=MINUTE_MS)
    world.advance(2 * 24 * 60 * MINUTE_MS)
    world.run(ms=2 * MINUTE_MS)
    assert codes("spent") == ("policy-tier",)
    assert signed_of(world, "node0")
    put_back(world, "node0", copy)
    world.run(ms=2 * MINUTE_MS)
    assert quarantine(world) is None
    assert codes("again") == ("policy-velocity-sum",)


def test_an_older_copy_of_after_the_end_is_noticed_again() -> None:
    world, _, disk = lived(3)
    put_back(world, "node0", disk[:-10])
    assert world.run(lambda: quarantine(world) is not None, ms=1_000)
    world.run(ms=1_000)  # until both peers have answered
    before = list(world.seats["node0"].disk)
    world.answer("node0", QuarantineEnded())
    lineage = world.node("node0").heads.lineage
    world.run(ms=20_000)
    world.restart("node0")
    world.run(ms=20_000)
    for copy in (before[:-2], disk[:-10], list(world.seats["node0"].disk)[:-1]):
        put_back(world, "node0", copy)
        assert world.run(lambda: quarantine(world) is not None, ms=1_000), len(copy)
    kept = quarantine(world)
    assert kept is not None
    assert kept.seen_lineage == lineage > 0
    world.run(ms=1_000)
    world.answer("node0", QuarantineEnded())
    assert world.node("node0").heads.lineage == lineage + 1


def test_a_node_that_nobody_vouches_for_can_be_let_go_on_by_its_owner() -> None:
    world, wallet, _ = lived(1)
    world.stop("node2")
    world.restart("node0")
    assert not sign(world, wallet, "stuck", ms=MINUTE_MS)
    world.answer("node0", QuarantineEnded())
    world.run(ms=20_000)
    assert sign(world, wallet, "let go on")


def test_there_is_nothing_to_end_where_nothing_is_in_question() -> None:
    world, _, _ = lived(1)
    for said in (QuarantineEnded(), QuarantineEnded(world.seats["node1"].identity.public)):
        with pytest.raises(ValueError, match=r"question|doubted"):
            world.node("node0").answer(said, world.now, world.entropy())


def test_a_recovered_node_begins_a_lineage_above_its_earlier_life() -> None:
    world, wallet, disk = lived(1)
    kinds = {"wallet", "copy-confirmed", "wallet-complete"}
    kept = [record for record in disk if record.kind in kinds]
    put_back(world, "node0", [note(RecoveredKept(world.now.wall_ms, confirmed=False)), *kept])
    assert world.run(lambda: world.node("node0").heads.settled, ms=REBUILT_MS)
    world.run(ms=20_000)
    assert world.node("node0").heads.lineage == world.now.wall_ms // MINUTE_MS
    assert [notice.code for notice in world.seats["node1"].told] == []
    world.stop("node2")
    assert sign(world, wallet, "recovered")


# Who hides whom.


def test_a_node_that_the_coordinator_hides_is_an_alarm_at_all_others() -> None:
    world, _ = made()
    world.run(ms=30_000)
    world.hook = Silent(lambda envelope: envelope.sender == "node2" and envelope.kind is Kind.HEARTBEAT)
    world.run(ms=100_000)
    for name in ("node0", "node1"):
        assert [notice.code for notice in world.seats[name].told] == ["peer-hidden"], "once"
    world.hook = Silent(lambda envelope: False)
    world.run(ms=30_000)
    assert not world.node("node0").beats.peers[world.seats["node2"].identity.public].hidden


def test_heartbeats_that_are_kept_back_or_repeated_keep_nobody_alive() -> None:
    world, _ = made()
    world.run(ms=30_000)
    old: list[Envelope] = []

    def replaying(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.BEATS and envelope.addressee == "node0":
            old.append(envelope)
            return [old[0]] if len(old) < 3 else [old[len(old) // 4]]
        return [envelope]

    world.hook = replaying
    world.run(ms=3 * MINUTE_MS)
    assert {notice.code for notice in world.seats["node0"].told} == {"peer-hidden"}


def test_heartbeats_that_echo_nothing_new_keep_nobody_alive() -> None:
    """Held back and handed out one by one in new letters, or from a peer that is told nothing of us."""
    world, _ = made()
    world.run(ms=30_000)
    evil = EvilCoordinator(world)
    for _ in range(20):
        world.run(ms=5_000)
        said = evil.opened("node1", world.seats["node1"].said[-4:])
        beat = [letter.signed for letter in said if letter.header.kind is Kind.HEARTBEAT][-1]
        evil.tell("node0", Kind.BEATS, Beats((beat,)))
    me = world.seats["node1"].identity.public
    assert ("peer-hidden", me) in [(notice.code, notice.subject) for notice in world.seats["node0"].told]


def test_two_nodes_that_sign_before_they_hear_each_other_still_come_to_hear_each_other() -> None:
    """Each knows the other's life by a verdict alone: if both took that for a past one, neither would ever echo."""
    world, wallet = made()
    world.run(ms=30_000)
    world.restart("node0")
    world.hook = Silent(lambda envelope: envelope.kind is Kind.BEATS)
    world.run(ms=10_000)
    world.stop("node2")
    assert sign(world, wallet, "before a heartbeat")
    world.hook = Silent(lambda envelope: False)
    world.run(ms=20_000)
    for name, other in (("node0", "node1"), ("node1", "node0")):
        peer = world.node(name).beats.peers[world.seats[other].identity.public]
        assert peer.fresh_ms is not None, f"{name} hears {other}"
        assert world.now.monotonic_ms - peer.fresh_ms < 20_000


def test_restarts_and_an_own_line_that_is_down_are_no_alarm() -> None:
    world, _ = made()
    world.run(ms=30_000)
    for name in world.node_names:
        world.stop(name)
        world.run(ms=20_000)
        world.restart(name)
        world.run(ms=20_000)
    world.stop("coord")
    world.run(ms=10 * MINUTE_MS)
    world.restart("coord")
    world.run(ms=MINUTE_MS)
    assert [world.seats[name].told for name in world.node_names] == [[], [], []]


def test_a_heartbeat_from_a_stranger_is_a_complaint() -> None:
    world, _ = made()
    evil = EvilCoordinator(world)
    said = list(evil.opened("node1", world.seats["node1"].said))
    beat = [letter for letter in said if letter.header.kind is Kind.HEARTBEAT][-1]
    mouth = Mouth(world.seats["client"].identity, world.roster.cluster_id, b"life" * 4)
    strange = mouth.say(Kind.HEARTBEAT, evil.mouth.public, beat.body, expires_at_ms=world.now.wall_ms)
    evil.tell("node0", Kind.BEATS, Beats((strange,)))
    evil.tell("node0", Kind.BEATS, Beats((SignedLetter(beat.signed.letter, bytes(64)),)))
    assert {code for _, code in world.node("node0").complaints.counts} == {
        "beat-stranger",
        "letter-signature",
    }


# The next coordinator's view.


def decide(subject: Subject, said: bool | None) -> Decision:
    return Decision.ASK if said is None else Decision.APPROVE


def test_the_owner_is_asked_again_only_once_the_chain_is_vouched_for() -> None:
    world = Unvouched(judges=lambda name: ScriptedJudge(name, decide))
    wallet = world.make_wallet()
    world.request(wallet, payment(wallet))
    world.run(ms=5_000)
    world.stop("node2")
    world.restart("node0")
    world.run(ms=20_000)
    assert not any(question.wallet for question in world.node("node0").questions(world.now))
    world.restart("node2")
    assert world.run(lambda: bool(world.node("node0").questions(world.now)), ms=20_000)
