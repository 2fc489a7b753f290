"""False alarms and starvation by letters about heads: what peers, a coordinator or an old letter must not achieve."""

from __future__ import annotations

from itertools import combinations

import msgspec
import pytest
from evil import EvilCoordinator, resigned
from older_disks import (
    MINUTE_MS,
    Answers,
    Unvouched,
    head_of,
    lived,
    made,
    put_back,
    quarantine,
    sign,
    signed_of,
)
from spends import payment
from wire import Envelope, Hook, honest

from cluster.answering import LIVES_ANSWERED
from cluster.approvals import CLOCK_SKEW_MS
from cluster.codec import Letter, Mouth, header_of
from cluster.head_letters import MAX_WALLETS, TAG_BYTES, Heartbeat, WalletBeat
from cluster.head_records import PeerHeads
from cluster.heads import ANSWER_EVERY_MS, REBUILT_MS
from cluster.heartbeats import KEEP_BYTES, KEEP_EVERY_MS, MAX_SETTLED
from cluster.journal import RecoveredKept, note, read
from cluster.lives import ROLLED_BACK, TWO_LIVES
from cluster.messages import MAX_NODES, Beats, HeadAsk, HeadRelay, Kind, SignedLetter
from cluster.owner_says import QuarantineEnded
from cluster.statements import statement_of
from cluster.turn import LETTER_LIFE_MS
from curve import tagged_hash


def heartbeat(evil: EvilCoordinator, name: str) -> Heartbeat:
    """The newest heartbeat of a node."""
    said = evil.opened(name, evil.world.seats[name].said)
    return [letter.body for letter in said if isinstance(letter.body, Heartbeat)][-1]


def is_beat(letter: Letter) -> bool:
    return letter.header.kind is Kind.HEARTBEAT


def test_what_a_node_said_in_another_cluster_puts_it_into_no_quarantine() -> None:
    """Words that serve in two clusters are one identity, and a peer of both has letters of both."""
    liar = Answers()
    mouth = Mouth(liar.world.seats["node0"].identity, b"elsewhere".ljust(32), b"life" * 4)
    further = msgspec.structs.replace(heartbeat(liar.evil, "node0"), chain_height=10_000)
    strange = mouth.say(
        Kind.HEARTBEAT, liar.evil.mouth.public, further, expires_at_ms=liar.world.now.wall_ms + 60_000
    )
    liar.say("node1", strange)
    assert quarantine(liar.world) is None
    assert "letter-cluster" in liar.complaints
    assert not liar.settled, "it is no answer either"


def test_a_heartbeat_of_another_cluster_is_none_here() -> None:
    world, _ = made()
    world.run(ms=20_000)
    evil, node = EvilCoordinator(world), world.seats["node1"].identity
    mouth = Mouth(node, b"elsewhere".ljust(32), b"life" * 4)
    further = msgspec.structs.replace(heartbeat(evil, "node1"), chain_height=10_000)
    strange = mouth.say(Kind.HEARTBEAT, evil.mouth.public, further, expires_at_ms=world.now.wall_ms + 60_000)
    evil.tell("node0", Kind.BEATS, Beats((strange,)))
    peer = world.node("node0").beats.peers[node.public]
    assert b"life" * 4 not in {said.boot_id for said in peer.lives.statements}
    assert {code for _, code in world.node("node0").complaints.counts} == {"letter-cluster"}


def padded(evil: EvilCoordinator, height: int) -> SignedLetter:
    """A heartbeat of node1's own hand, filled up with wallets and echoes of nobody, which claims ever more deeds."""
    world, true = evil.world, heartbeat(evil, "node1")
    body = msgspec.structs.replace(
        true,
        chain_height=true.chain_height + height,
        deeds=true.deeds + height,
        wallets=tuple(WalletBeat(bytes([i]) * 32, bytes(32), False) for i in range(MAX_WALLETS)),
        echoes=(b"nobody's",) * MAX_NODES,
    )
    mouth = Mouth(
        world.seats["node1"].identity, world.roster.cluster_id, b"evil" + height.to_bytes(12, "big")
    )
    return mouth.say(Kind.HEARTBEAT, evil.mouth.public, body, expires_at_ms=world.now.wall_ms + 60_000)


def test_a_node_that_fills_up_its_heartbeats_fills_no_disk() -> None:
    world, _ = made()
    world.run(ms=20_000)
    evil, node, minutes = EvilCoordinator(world), world.seats["node1"].identity.public, 20
    before = len(world.seats["node0"].disk)
    for second in range(0, 60 * minutes, 10):
        evil.tell("node0", Kind.BEATS, Beats((padded(evil, second + 1),)))
        world.run(ms=10_000)
    heads = [read(record) for record in world.seats["node0"].disk[before:] if record.kind == "peer-head"]
    sizes = [
        len(head.letter.letter)
        for entry in heads
        if isinstance(entry, PeerHeads)
        for head in entry.heads
        if head.node == node
    ]
    assert len(sizes) > 1, "it is written down all the same"
    assert max(sizes) > 5 * KEEP_BYTES
    assert sum(sizes) <= KEEP_BYTES * minutes * 60_000 // KEEP_EVERY_MS + max(sizes)


@pytest.mark.parametrize("life", ["same", "earlier"])
def test_a_heartbeat_that_was_kept_back_speaks_for_nobody(life: str) -> None:
    """Else the peer's newest would not be echoed, it would be fresh at no one, and be hidden without hiding it."""
    world, _ = made()
    world.run(ms=20_000)
    evil, node = EvilCoordinator(world), world.seats["node1"].identity
    silent = msgspec.structs.replace(heartbeat(evil, "node1"), echoes=())
    old, new = (Mouth(node, world.roster.cluster_id, life) for life in (b"old!" * 4, b"new!" * 4))

    def says(mouth: Mouth, height: int) -> SignedLetter:
        body = msgspec.structs.replace(silent, chain_height=silent.chain_height + height)
        return mouth.say(Kind.HEARTBEAT, evil.mouth.public, body, expires_at_ms=world.now.wall_ms + 60_000)

    first, kept_back = says(old, 1), says(old if life == "earlier" else new, 2)
    newest = says(new, 3)
    for beat in (first, newest, kept_back):
        evil.tell("node0", Kind.BEATS, Beats((beat,)))
    world.run(ms=10_000)
    tag = tagged_hash("assent/heartbeat", newest.signature)[:TAG_BYTES]
    assert heartbeat(evil, "node0").echoes[1] == tag
    assert world.node("node0").beats.peers[node.public].doubt is None


def test_questions_of_earlier_lives_do_not_use_up_the_answers_of_this_one() -> None:
    world, _ = made()
    evil = EvilCoordinator(world)

    def ask(life: bytes, at_ms: int) -> SignedLetter:
        mouth = Mouth(world.seats["node1"].identity, world.roster.cluster_id, life)
        return mouth.say(Kind.HEAD_ASK, evil.mouth.public, HeadAsk(1), expires_at_ms=at_ms + LETTER_LIFE_MS)

    def answered(asked: SignedLetter) -> bool:
        told = evil.tell("node0", Kind.HEAD_RELAY, HeadRelay(int(Kind.HEAD_ASK), asked))
        return any(letter.header.kind is Kind.HEAD_SAID for letter in told)

    old = [ask(bytes([life]) * 16, world.now.wall_ms) for life in range(1, LIVES_ANSWERED + 1)]
    world.advance(LETTER_LIFE_MS + CLOCK_SKEW_MS + ANSWER_EVERY_MS)
    assert not any(answered(asked) for asked in old)
    assert answered(ask(b"now!" * 4, world.now.wall_ms))


def test_a_question_of_an_earlier_life_repeated_without_end_leaves_the_present_one_its_answer() -> None:
    """However long it lasts, as of a life whose clock was ahead."""
    world, _ = made()
    evil = EvilCoordinator(world)

    def answered(life: bytes, attempt: int) -> bool:
        mouth = Mouth(world.seats["node1"].identity, world.roster.cluster_id, life)
        asked = mouth.say(
            Kind.HEAD_ASK, evil.mouth.public, HeadAsk(attempt), expires_at_ms=world.now.wall_ms + MINUTE_MS
        )
        told = evil.tell("node0", Kind.HEAD_RELAY, HeadRelay(int(Kind.HEAD_ASK), asked))
        return any(letter.header.kind is Kind.HEAD_SAID for letter in told)

    for attempt in (1, 2, 3):
        world.advance(ANSWER_EVERY_MS)
        assert sum(answered(b"past" * 4, 9) for _ in range(50)) <= 1
        assert answered(b"now!" * 4, attempt)


# An evil coordinator beside an honest one that carries everything.


def lived_often(lives: int) -> tuple[Unvouched, dict[str, list[SignedLetter]]]:
    """Two coordinators, and two nodes that started so often; a heartbeat of each life that ended."""
    world = Unvouched(2, 3, coordinators=("coord", "other"))
    world.make_wallet()
    ended: dict[str, list[SignedLetter]] = {"node0": [], "node1": []}
    for _ in range(lives):
        world.run(ms=12_000)
        for name, beats in ended.items():
            evil = EvilCoordinator(world)
            said = evil.opened(name, world.seats[name].said[-40:])
            beats.append([letter.signed for letter in said if is_beat(letter)][-1])
            world.stop(name)
            world.restart(name)
    world.run(ms=30_000)
    return world, ended


def spoke(world: Unvouched, name: str) -> None:
    """Wait until this node has said its next heartbeat and heard the answer."""
    newest = heartbeat(EvilCoordinator(world), name)
    world.run(lambda: heartbeat(EvilCoordinator(world), name) != newest, ms=10_000)
    world.run(ms=100)


def silent_ms(world: Unvouched) -> int:
    """How long node0 and node1 have not heard each other; since the start where never."""
    heard = [
        world.node(me).beats.peers[world.seats[other].identity.public].fresh_ms
        for me, other in (("node0", "node1"), ("node1", "node0"))
    ]
    return world.now.monotonic_ms - min(0 if one is None else one for one in heard)


def test_letters_of_lives_long_past_do_not_silence_two_nodes_for_good() -> None:
    """Each took the other's past for its present and echoed that, so that neither heard of itself any more."""
    world, ended = lived_often(8)
    assert silent_ms(world) < 20_000
    evil = EvilCoordinator(world)
    spoke(world, "node1")
    for number in range(2):
        for me, other in (("node0", "node1"), ("node1", "node0")):
            evil.tell(me, Kind.BEATS, Beats((ended[other][number],)))
        spoke(world, "node1")
    world.run(ms=MINUTE_MS)
    assert silent_ms(world) < 20_000


def test_a_letter_of_a_past_life_repeated_hides_nobody_who_starts() -> None:
    world, ended = lived_often(2)
    for name in world.node_names:
        world.stop(name)
    world.run(ms=MINUTE_MS)
    for name in world.node_names:
        world.restart(name)
    evil = EvilCoordinator(world)
    for _ in range(120):
        for me, other in (("node0", "node1"), ("node1", "node0")):
            evil.tell(me, Kind.BEATS, Beats((ended[other][-1],)))
        world.run(ms=500)
    assert silent_ms(world) < 20_000


def test_what_an_owner_settled_of_a_peer_is_not_found_again_at_the_next_start() -> None:
    """The life that was stopped had come further than the one that goes on."""
    world, _ = made()
    world.run(ms=20_000)
    evil = EvilCoordinator(world)
    peer = world.seats["node1"].identity

    def says(life: bytes, sequence: int, height: int) -> None:
        """A heartbeat that echoes the newest one of node0."""
        beats = [letter for letter in evil.opened("node0", world.seats["node0"].said) if is_beat(letter)]
        tag = tagged_hash("assent/heartbeat", beats[-1].signed.signature)[:TAG_BYTES]
        body = msgspec.structs.replace(
            heartbeat(evil, "node1"), chain_height=height, deeds=height, echoes=(tag,) * 3
        )
        mouth = Mouth(peer, world.roster.cluster_id, life)
        for _ in range(sequence):
            signed = mouth.say(
                Kind.HEARTBEAT, evil.mouth.public, body, expires_at_ms=world.now.wall_ms + 60_000
            )
        evil.tell("node0", Kind.BEATS, Beats((signed,)))
        world.run(ms=KEEP_EVERY_MS)

    def doubt() -> str:
        doubted = world.node("node0").beats.peers[peer.public].doubt
        return "" if doubted is None else doubted.code

    says(b"gone" * 4, 1, 1000)
    says(b"stay" * 4, 1, 990)
    assert doubt() == ROLLED_BACK
    world.answer("node0", QuarantineEnded(peer.public))
    says(b"stay" * 4, 2, 991)
    assert doubt() == ""
    world.restart("node0")
    says(b"stay" * 4, 3, 992)
    says(b"stay" * 4, 4, 993)
    assert doubt() == ""
    says(b"gone" * 4, 2, 1000)
    says(b"stay" * 4, 5, 993)
    assert doubt() == TWO_LIVES, "but what goes on is found"


def test_a_peer_that_is_doubted_and_settles_it_itself_for_ever_fills_no_disk() -> None:
    world, _ = made()
    world.run(ms=20_000)
    evil = EvilCoordinator(world)
    echo = heartbeat(evil, "node1")
    before = len(world.seats["node0"].disk)
    for round_ in range(3 * MAX_SETTLED):
        letters = []
        for life in range(3):  # two ends of one chain, and then a new lineage
            mouth = Mouth(world.seats["node1"].identity, world.roster.cluster_id, bytes([round_, life]) * 8)
            lineage = round_ + (life == 2)
            body = msgspec.structs.replace(echo, lineage=lineage, chain_height=10**6)
            letters.append(
                mouth.say(Kind.HEARTBEAT, evil.mouth.public, body, expires_at_ms=world.now.wall_ms + 60_000)
            )
        evil.tell("node0", Kind.BEATS, Beats(tuple(letters)))
    doubt = world.node("node0").beats.peers[world.seats["node1"].identity.public].doubt
    assert doubt is not None
    assert doubt.code == ROLLED_BACK, "and its owner's word still ends it"
    assert len(world.seats["node0"].disk) - before == 2 * MAX_SETTLED + 1
    world.answer("node0", QuarantineEnded(world.seats["node1"].identity.public))


def test_a_recovered_node_says_nothing_of_its_chain_before_it_knows_its_lineage() -> None:
    """Else two heads at one height, each honest, would be evidence against it."""
    world, wallet, disk = lived(1)
    kinds = {"wallet", "copy-confirmed", "wallet-complete"}
    kept = [record for record in disk if record.kind in kinds]
    world.request(wallet, payment(wallet, label="asked meanwhile"))
    already = len(world.seats["node0"].said)
    put_back(world, "node0", [note(RecoveredKept(world.now.wall_ms, confirmed=False)), *kept])
    world.run(ms=30_000)
    evil = EvilCoordinator(world)
    bodies = [letter.body for letter in evil.opened("node0", world.seats["node0"].said[already:])]
    lineages = {body.lineage for body in bodies if hasattr(body, "lineage")}
    assert lineages == {world.node("node0").heads.lineage}
    assert not signed_of(world, "node0")


def test_a_node_that_is_recovered_twice_while_its_peers_are_hidden_begins_no_lineage_twice() -> None:
    """Else the second life would look like an older copy of the first: an alarm at all, and evidence against it."""
    world, wallet, disk = lived(1)
    kinds = {"wallet", "copy-confirmed", "wallet-complete"}
    kept = [record for record in disk if record.kind in kinds]

    def recover() -> None:
        put_back(world, "node0", [note(RecoveredKept(world.now.wall_ms, confirmed=False)), *kept])
        world.run(ms=2 * REBUILT_MS)

    def hidden(envelope: Envelope) -> list[Envelope]:
        kind = header_of(envelope.letter).kind
        return [] if kind is Kind.HEAD_RELAY and envelope.addressee == "node0" else [envelope]

    recover()
    first = world.node("node0").heads.lineage
    assert sign(world, wallet, "in the first")
    world.run(ms=MINUTE_MS)
    world.hook = hidden
    recover()
    assert world.node("node0").heads.lineage > first
    world.hook = honest
    world.run(ms=MINUTE_MS)
    assert quarantine(world) is None
    assert [notice.code for notice in world.seats["node1"].told] == []
    assert sign(world, wallet, "in the second")


def test_a_node_that_is_recovered_twice_while_an_honest_peer_is_kept_blind_begins_no_lineage_twice() -> None:
    """One peer never heard of the first life, the other denies it: its words would convict an honest node."""
    world, _, disk = lived(1)
    kept = [record for record in disk if record.kind in {"wallet", "copy-confirmed", "wallet-complete"}]

    def blind(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.BEATS and envelope.addressee == "node1":
            return []
        denies = envelope.kind is Kind.HEAD_SAID and envelope.sender == "node2"
        return [resigned(world, envelope, statements=()) if denies else envelope]

    world.hook = blind
    already = len(world.seats["node0"].said)
    for _ in range(2):
        put_back(world, "node0", [note(RecoveredKept(world.now.wall_ms, confirmed=False)), *kept])
        world.run(ms=2 * MINUTE_MS)
    opened = EvilCoordinator(world).opened("node0", world.seats["node0"].said[already:])
    said = [one for letter in opened if (one := statement_of(letter)) is not None]
    assert len({one.boot_id for one in said}) == 2
    assert not [one for one, two in combinations(said, 2) if one.place == two.place and one.head != two.head]


HEADS = frozenset({Kind.HEAD_ASK, Kind.HEAD_SAID, Kind.HEAD_RELAY})
BEATS = frozenset({Kind.HEARTBEAT, Kind.BEATS})


def hiding(kinds: frozenset[Kind]) -> Hook:
    """A coordinator that carries no letter of these kinds."""
    return lambda envelope: [] if envelope.kind in kinds else [envelope]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_wallet_of_one_makes_no_old_store_good_for_the_others(hidden: bool) -> None:
    """`assent recover --from-store` notes then that budgets are exhausted: no chain made anew, and peers must vouch."""
    world, wallet, disk = lived(4)
    count = len(signed_of(world, "node1"))
    world.hook = hiding(HEADS) if hidden else honest
    stale = [*disk[:-20], note(RecoveredKept(world.now.wall_ms, confirmed=False))]
    put_back(world, "node0", stale)
    world.run(ms=REBUILT_MS + 20_000)
    assert (quarantine(world) is None) is hidden
    assert not world.node("node0").heads.settled
    world.stop("node2")
    assert not sign(world, wallet, "with an old policy")
    assert len(signed_of(world, "node1")) == count


def test_no_peer_signs_with_a_chain_below_what_it_wrote_down_though_all_heartbeats_are_hidden() -> None:
    """Disk and anchor were put back together; the peer that was restarted knows of one height, and no echo."""
    world, wallet, disk = lived(6)
    count = len(signed_of(world, "node1"))
    world.stop("node2")
    world.hook = hiding(HEADS | BEATS)
    older = disk[:-16]
    put_back(world, "node0", older, head_of(older))
    put_back(world, "node1", world.seats["node1"].disk, head_of(world.seats["node1"].disk))
    world.run(ms=20_000)
    assert world.node("node0").heads.settled
    assert world.node("node1").heads.settled
    assert not sign(world, wallet, "with it", ms=2 * MINUTE_MS)
    assert len(signed_of(world, "node1")) == count
    peer = world.node("node1").beats.peers[world.seats["node0"].identity.public]
    assert peer.doubt is None, "a verdict of its earlier life could have come late"
    world.restart("node2")
    world.hook = honest
    world.run(ms=10_000)
    assert sign(world, wallet, "without it"), "a quorum without it is found"
