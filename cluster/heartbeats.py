"""Heartbeats: every node says signed where it stands, and looks for what a coordinator hides or an old disk forgot.

A heartbeat of a peer counts as fresh only where it echoes one of ours of the last minute; so letters that were kept
back or repeated keep nobody alive. Nothing here ever waits for anybody: signing goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.codec import BadLetter, Letter, open_inner
from cluster.effects import Notice
from cluster.head_letters import MAX_WALLETS, TAG_BYTES
from cluster.head_records import PeerDoubted, PeerHead, PeerHeads, PeerTrusted
from cluster.judging import Judge
from cluster.lives import ROLLED_BACK, Doubt, Lives
from cluster.messages import Beats, Heartbeat, Kind, SignedLetter, WalletBeat
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.statements import Statement, read_statement, statement_of
from cluster.turn import Turn
from curve import tagged_hash

PEER_HIDDEN = "peer-hidden"
"""A peer that was there is heard no more, though a coordinator is."""

HIDDEN_AFTER_MS = 60_000
"""How long no fresh heartbeat of a peer must have come before that is an alarm."""

LINK_LOST_MS = 15_000
"""Nothing heard of any coordinator for this long: the own line is down, and nobody is blamed."""

KEEP_EVERY_MS = 30_000
"""How often at most the peers' heads are written down without a signature."""

KEEP_BYTES = 1024
"""How much of one peer is written down in that time: a larger letter of it makes it wait as much longer."""

REMEMBERED_BEATS = 64
"""How many of this node's own heartbeats can be told from their echoes."""

MAX_SETTLED = 8
"""So often in one run a peer's new lineage ends by itself what is doubted of it: a liar must not fill the disk."""


@dataclass(slots=True)
class Peer:
    """What is known of another node: its newest heartbeat, when the last fresh one was, and what is doubted."""

    lives: Lives
    beat: Heartbeat | None = None
    tag: bytes = b""
    boot_id: bytes = b""
    sequence: int = 0
    fresh_ms: int | None = None
    hidden: bool = False
    doubt: PeerDoubted | None = None
    kept: PeerHead | None = None
    rests_until_ms: int = 0
    settled: int = 0


class BeatDesk:
    """Says this node's heartbeats, hears those of the others, and knows whose approvals are not to be trusted."""

    def __init__(self, roster: Roster, me: bytes, judge: Judge, wallets: Mapping[bytes, Wallet]) -> None:
        self._roster = roster
        self._me = me
        self._judge = judge
        self._wallets = wallets
        self.peers = {entry.identity: Peer(Lives()) for entry in roster.nodes if entry.identity != me}
        self._said: dict[bytes, tuple[int, int]] = {}
        self._beats = 0
        self._linked_ms: int | None = None
        self._link_heard_ms: int | None = None
        self._kept_ms: int | None = None

    # Records.

    def restore(self, entry: Body) -> None:
        """Take one of the node's records into account; `settle` follows the last."""
        match entry:
            case PeerHeads(heads=heads):
                for head in heads:
                    self._hold(head)
            case PeerDoubted():
                peer = self.peers.get(entry.node)
                if peer is not None:
                    peer.doubt = entry
            case PeerTrusted(node=node):
                self._restore_trust(node)
            case _:
                pass

    def _restore_trust(self, node: bytes) -> None:
        """What was known by then is settled with it, or every start would find it again."""
        peer = self.peers.get(node)
        if peer is not None and peer.kept is not None:
            self._relive(peer, peer.kept.letter)
        self._trust(node)

    def _relive(self, peer: Peer, letter: SignedLetter) -> None:
        peer.lives.take(read_statement(letter, self._roster.cluster_id), beat=0)

    def settle(self) -> None:
        """All records are read: what peers were known to have said is what their next letters are held against."""
        for peer in self.peers.values():
            letters = [] if peer.kept is None else [peer.kept.letter]
            doubted = () if peer.doubt is None else (peer.doubt.newer, peer.doubt.older)
            for letter in (*letters, *doubted):
                self._relive(peer, letter)

    def _hold(self, head: PeerHead) -> None:
        peer = self.peers.get(head.node)
        if peer is not None and (
            peer.kept is None or (peer.kept.lineage, peer.kept.height) < (head.lineage, head.height)
        ):
            peer.kept = head

    # Speaking.

    def say(self, coordinators: Iterable[bytes], deeds: int, turn: Turn) -> None:
        """Say a heartbeat to each coordinator; now and then, write down how far the others have come."""
        self._keep_heads(turn)
        self._beats += 1
        beat = Heartbeat(
            lineage=turn.lineage,
            chain_height=turn.head.height,
            chain_head=turn.head.hash,
            deeds=deeds,
            clock_ms=turn.now.wall_ms,
            tip_height=0,
            tip_hash=bytes(32),
            wallets=tuple(self._of_wallet(wallet_id) for wallet_id in self._wallets)[:MAX_WALLETS],
            echoes=tuple(self._echo(entry.identity) for entry in self._roster.nodes),
        )
        for coordinator in coordinators:
            outgoing = turn.tell(Kind.HEARTBEAT, coordinator, beat)
            self._said[_tag(outgoing.signature)] = (self._beats, turn.now.monotonic_ms)
        while len(self._said) > REMEMBERED_BEATS:
            self._said.pop(next(iter(self._said)))

    def _of_wallet(self, wallet_id: bytes) -> WalletBeat:
        frozen = bool(self._judge.frozen(wallet_id))
        return WalletBeat(wallet_id, self._judge.digest_for(wallet_id), frozen)

    def _echo(self, node: bytes) -> bytes:
        peer = self.peers.get(node)
        return b"" if peer is None else peer.tag

    def _keep_heads(self, turn: Turn) -> None:
        """Only where a peer did something: else two nodes that note each other's notes would never rest.

        And not at a liar's pace: whoever fills its heartbeats up is written down as much less often.
        """
        now_ms = turn.now.monotonic_ms
        if self._kept_ms is not None and now_ms - self._kept_ms < KEEP_EVERY_MS:
            return
        self._kept_ms = now_ms
        news = []
        for peer in self.peers.values():
            furthest = next(iter(peer.lives.statements), None)
            noted = None if peer.kept is None else peer.kept.deeds
            if furthest is not None and furthest.deeds not in {None, noted} and peer.rests_until_ms <= now_ms:
                news.append(furthest)
                peer.rests_until_ms = now_ms + KEEP_EVERY_MS * -(-len(furthest.letter.letter) // KEEP_BYTES)
        self._note(news, turn)

    def keep(self, cosigners: Iterable[Statement], turn: Turn) -> None:
        """In the step of a partial signature: how far those have come with whom it is made."""
        best = []
        for said in cosigners:
            peer = self.peers.get(said.node)
            if peer is not None:
                best.append(max((said, *peer.lives.statements), key=lambda known: known.place))
        self._note(best, turn)

    def _note(self, statements: Iterable[Statement], turn: Turn) -> None:
        heads = []
        for said in statements:
            head = PeerHead(said.node, said.lineage, said.height, said.deeds or 0, said.letter)
            kept = self.peers[said.node].kept
            if kept is None or (kept.lineage, kept.height) < (head.lineage, head.height):
                heads.append(head)
        if heads:
            turn.note(PeerHeads(turn.now.wall_ms, tuple(heads)))
            for head in heads:
                self._hold(head)

    # Hearing.

    def heard_coordinator(self, turn: Turn) -> None:
        """A coordinator spoke: this node's own line is up."""
        now_ms = turn.now.monotonic_ms
        if self._link_heard_ms is None or now_ms - self._link_heard_ms > LINK_LOST_MS:
            self._linked_ms = now_ms
        self._link_heard_ms = now_ms

    def receive(self, beats: Beats, turn: Turn) -> None:
        """What a coordinator carries: heartbeats of other nodes; BadLetter when one is not genuine."""
        for signed in beats.beats:
            letter = open_inner(signed, Kind.HEARTBEAT)
            if letter.header.cluster_id != self._roster.cluster_id:
                raise BadLetter("letter-cluster", "it is about another cluster")
            peer = self.peers.get(letter.header.sender)
            if peer is None:
                raise BadLetter("beat-stranger", "it is not from another node of the roster")
            self._beat(peer, letter, turn)

    def _beat(self, peer: Peer, letter: Letter, turn: Turn) -> None:
        header, body = letter.header, letter.body
        assert isinstance(body, Heartbeat)
        if header.boot_id == peer.boot_id and header.sequence <= peer.sequence:
            return
        echo, echoed_ms = self._echoed(body)
        # Only the present life echoes what was said last; and it stands above the others, as each start makes a record.
        fresher = echo > 0 and (peer.fresh_ms is None or echoed_ms > peer.fresh_ms)
        further = peer.beat is None or _place(body) > _place(peer.beat)
        self._take(letter, echo, turn)
        if header.boot_id != peer.boot_id and not (fresher or further):
            return  # an earlier life's, kept back: it speaks no more
        peer.beat, peer.boot_id, peer.sequence = body, header.boot_id, header.sequence
        peer.tag = _tag(letter.signed.signature)
        if echo:
            peer.fresh_ms = max(peer.fresh_ms or 0, echoed_ms)

    def _echoed(self, beat: Heartbeat) -> tuple[int, int]:
        """Which of this node's heartbeats a peer had heard, and when that was said; zeros for none that is known."""
        mine = [i for i, entry in enumerate(self._roster.nodes) if entry.identity == self._me]
        tag = beat.echoes[mine[0]] if mine and mine[0] < len(beat.echoes) else b""
        return self._said.get(tag, (0, 0))

    def approved(self, letters: Iterable[Letter], turn: Turn) -> bytes:
        """Take the verdicts of an order into account; the node (identity key) not to be signed with, or none.

        A verdict from below what another life of its maker has said proves nothing, as it may only be late; but its
        nonces are gone then, or records are, and a coordinator that hides heartbeats hides which.
        """
        for letter in letters:
            node = letter.header.sender
            peer, statement = self.peers.get(node), statement_of(letter)
            if peer is None or statement is None:
                continue
            self._take(letter, 0, turn)
            if peer.doubt is not None or peer.lives.outdone(statement):
                return node
        return b""

    def _take(self, letter: Letter, echo: int, turn: Turn) -> None:
        statement = statement_of(letter)
        peer = self.peers[letter.header.sender]
        assert statement is not None  # heartbeats and verdicts make one
        doubt = peer.lives.take(statement, beat=self._beats, echo=echo)
        settles = echo and peer.settled < MAX_SETTLED
        old = peer.doubt
        if settles and old is not None and old.code == ROLLED_BACK and statement.lineage > old.lineage:
            peer.settled += 1
            turn.note(PeerTrusted(turn.now.wall_ms, statement.node))
            self._trust(statement.node)
        elif doubt is not None:
            self._doubt(peer, doubt, turn)

    # What is wrong.

    def _doubt(self, peer: Peer, doubt: Doubt, turn: Turn) -> None:
        if peer.doubt is not None and peer.doubt.code in {doubt.code, "peer-two-lives"}:
            return
        node, name = doubt.newer.node, self._roster.name_of(doubt.newer.node)
        peer.doubt = PeerDoubted(
            turn.now.wall_ms, node, doubt.code, doubt.older.lineage, doubt.newer.letter, doubt.older.letter
        )
        turn.note(peer.doubt)
        what = (
            f"{name} speaks from an older copy of its records ({doubt.newer.height}, and {doubt.older.height} before)"
            if doubt.code == ROLLED_BACK
            else f"two processes of {name} live side by side"
        )
        turn.notify(Notice(node, "", f"{what}: nothing is signed with it", doubt.code))

    def _trust(self, node: bytes) -> None:
        peer = self.peers.get(node)
        if peer is not None:
            peer.doubt = None
            peer.lives.settle(self._beats)

    def trust(self, node: bytes, turn: Turn) -> None:
        """The owner dealt with what is doubted of a peer; ValueError when nothing is."""
        peer = self.peers.get(node)
        if peer is None or peer.doubt is None:
            raise ValueError("nothing is doubted of this node")
        turn.note(PeerTrusted(turn.now.wall_ms, node))
        self._trust(node)

    def tick(self, turn: Turn) -> None:
        """Raise the alarm of a peer that is heard no more; once for each silence."""
        now_ms = turn.now.monotonic_ms
        heard_ms, linked_ms = self._link_heard_ms, self._linked_ms
        if heard_ms is None or linked_ms is None or now_ms - heard_ms > LINK_LOST_MS:
            return
        for node, peer in self.peers.items():
            if peer.fresh_ms is None:
                continue
            silent_ms = now_ms - max(peer.fresh_ms, linked_ms)
            if silent_ms > HIDDEN_AFTER_MS and not peer.hidden:
                name = self._roster.name_of(node)
                text = f"no heartbeat of {name} for {silent_ms // 1000} s: it is off, cut off, or hidden from here"
                turn.notify(Notice(node, "", text, PEER_HIDDEN))
            peer.hidden = silent_ms > HIDDEN_AFTER_MS


def _place(beat: Heartbeat) -> tuple[int, int]:
    return beat.lineage, beat.chain_height


def _tag(signature: bytes) -> bytes:
    return tagged_hash("assent/heartbeat", signature)[:TAG_BYTES]
