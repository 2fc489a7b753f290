"""How the coordinator holds a drill: rounds, each of a quorum, until every node that answers has signed.

In memory only: a drill that is lost with a restart is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.codec import BadLetter, Letter
from cluster.drill_letters import (
    MAX_ROUNDS,
    DrillFinal,
    DrillNonces,
    DrillOrder,
    DrillPropose,
    DrillPsigs,
    DrillRound,
)
from cluster.drills import Entry, challenge, next_signers, read_request, signers_of
from cluster.messages import Body, Busy, Kind, Status
from cluster.presence import Presence
from cluster.roster import Roster
from cluster.schemes import Blame, Wallet
from cluster.turn import Turn

PATIENCE_MS = 8_000
"""How long a round waits for nodes to answer, and then for its signers to sign."""

MAX_DRILLS = 8
"""How many drills are kept."""


@dataclass(slots=True)
class _Drill:
    """One drill: its round, who answered it, who signs it, and what came of those before."""

    wallet: Wallet
    request: Letter
    number: int = -1
    since_ms: int = 0
    nonces: dict[int, Letter] = field(default_factory=dict)
    signers: tuple[Entry, ...] = ()
    psigs: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    answers: dict[bytes, Letter] = field(default_factory=dict)
    rounds: list[DrillRound] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)
    final: DrillFinal | None = None

    @property
    def id(self) -> bytes:
        """What letters call it."""
        return self.request.header.request_id

    @property
    def proven(self) -> frozenset[int]:
        """Who has shown that they sign."""
        return frozenset().union(*(done.participants for done in self.rounds))


class DrillHolder:
    """The drills of one coordinator."""

    def __init__(self, roster: Roster, presence: Presence, wallets: dict[bytes, Wallet]) -> None:
        self._roster = roster
        self._presence = presence
        self._wallets = wallets
        self._drills: dict[bytes, _Drill] = {}

    def receive(self, letter: Letter, turn: Turn) -> None:
        """A client's request, or a node's answer; raises BadLetter when it makes no sense."""
        body = letter.body
        if letter.header.kind is Kind.DRILL_REQUEST:
            self._request(letter, turn)
            return
        drill = self._drills.get(letter.header.request_id)
        charter = None if drill is None else drill.wallet.charter
        participant = None if charter is None else charter.participant(letter.header.sender)
        if drill is None:
            raise BadLetter("drill-unknown", "no such drill goes on here")
        if participant is None:
            raise BadLetter("drill-stranger", "not this node's drill")
        if isinstance(body, DrillNonces):
            self._nonces(drill, participant, letter, body)
        elif isinstance(body, DrillPsigs):
            self._psigs(drill, participant, body, turn)
        self._go_on(drill, turn)

    def tick(self, turn: Turn) -> int | None:
        """Pass over whoever is silent; when to come again."""
        for drill in self._drills.values():
            self._go_on(drill, turn)
        open_ = [drill.since_ms + PATIENCE_MS for drill in self._drills.values() if drill.final is None]
        return min(open_, default=None)

    def _request(self, letter: Letter, turn: Turn) -> None:
        read_request(letter, self._roster.cluster_id, turn.now.wall_ms)
        drill = self._drills.get(letter.header.request_id)
        if drill is not None:
            self._tell_client(drill, turn)
            return
        wallet = self._wallets.get(letter.header.wallet_id)
        if wallet is None or not wallet.complete:
            self._say(
                Kind.STATUS, letter.header.sender, Status("rejected", ("request-wallet",), ()), letter, turn
            )
            return
        if sum(one.final is None for one in self._drills.values()) >= MAX_DRILLS:
            self._say(Kind.BUSY, letter.header.sender, Busy(10_000), letter, turn)
            return
        while len(self._drills) >= MAX_DRILLS:
            self._drills.pop(next(one.id for one in self._drills.values() if one.final is not None))
        drill = self._drills[letter.header.request_id] = _Drill(wallet, letter)
        self._next_round(drill, turn)

    def _next_round(self, drill: _Drill, turn: Turn) -> None:
        drill.number += 1
        drill.since_ms = turn.now.monotonic_ms
        drill.nonces, drill.signers, drill.psigs = {}, (), {}
        if drill.number >= MAX_ROUNDS:
            self._end(drill, turn)
            return
        propose = DrillPropose(drill.request.signed, drill.number)
        for participant in self._asked(drill):
            identity = drill.wallet.charter.members[participant].identity
            self._say(Kind.DRILL_PROPOSE, identity, propose, drill.request, turn)

    def _asked(self, drill: _Drill) -> list[int]:
        return sorted(drill.wallet.routes[""].nodes - drill.failed)

    def _nonces(self, drill: _Drill, participant: int, letter: Letter, body: DrillNonces) -> None:
        if drill.final is not None or body.round != drill.number or drill.signers:
            return
        drill.answers[letter.header.sender] = letter
        group = drill.wallet.routes[""].group
        if len(body.pubnonces) == 1 and group.takes_nonces(body.pubnonces):
            drill.nonces[participant] = letter
        else:
            drill.failed.add(participant)

    def _psigs(self, drill: _Drill, participant: int, body: DrillPsigs, turn: Turn) -> None:
        wanted = {entry.participant for entry in drill.signers}
        if body.round != drill.number or participant not in wanted:
            return
        if not body.psigs:
            drill.failed.add(participant)
            self._next_round(drill, turn)
            return
        drill.psigs[participant] = body.psigs
        if drill.psigs.keys() == wanted:
            self._join(drill, turn)

    def _join(self, drill: _Drill, turn: Turn) -> None:
        """All signers answered: one signature, or who spoiled it."""
        task = challenge(drill.wallet, drill.id, drill.number)
        group = drill.wallet.routes[""].group
        try:
            [[signature]] = group.aggregate(signers_of(drill.signers), drill.psigs, (task,))
        except Blame as blame:
            drill.failed |= set(blame.culprits)
        else:
            ids = tuple(entry.participant for entry in drill.signers)
            drill.rounds.append(DrillRound(drill.number, ids, signature))
        self._next_round(drill, turn)

    def _go_on(self, drill: _Drill, turn: Turn) -> None:
        """Order a round once everybody has answered who can be reached, or patience is over."""
        if drill.final is not None:
            return
        late = turn.now.monotonic_ms - drill.since_ms >= PATIENCE_MS
        if drill.signers:
            if late:
                drill.failed |= {e.participant for e in drill.signers} - drill.psigs.keys()
                self._next_round(drill, turn)
            return
        silent = set(self._asked(drill)) - drill.nonces.keys()
        if silent and not late:
            return
        drill.failed |= silent
        signers = next_signers(drill.wallet.routes[""], frozenset(drill.nonces), drill.proven)
        if signers:
            self._order(drill, signers, turn)
        else:
            self._end(drill, turn)

    def _order(self, drill: _Drill, chosen: frozenset[int], turn: Turn) -> None:
        drill.since_ms = turn.now.monotonic_ms
        letters = {participant: drill.nonces[participant] for participant in sorted(chosen)}
        drill.signers = tuple(Entry(p, _pubnonces(letter)) for p, letter in letters.items())
        order = DrillOrder(drill.number, tuple(letter.signed for letter in letters.values()))
        for participant in letters:
            identity = drill.wallet.charter.members[participant].identity
            self._say(Kind.DRILL_ORDER, identity, order, drill.request, turn)

    def _end(self, drill: _Drill, turn: Turn) -> None:
        members = drill.wallet.charter.members
        failed = tuple(members[i].identity for i in sorted(drill.failed - drill.proven))
        answers = tuple(letter.signed for letter in drill.answers.values())
        drill.final = DrillFinal(tuple(drill.rounds), answers, failed)
        self._tell_client(drill, turn)
        for member in members:
            self._say(Kind.DRILL_FINAL, member.identity, drill.final, drill.request, turn)

    def _tell_client(self, drill: _Drill, turn: Turn) -> None:
        if drill.final is not None:
            self._say(Kind.DRILL_FINAL, drill.request.header.sender, drill.final, drill.request, turn)

    @staticmethod
    def _say(kind: Kind, addressee: bytes, body: Body, about: Letter, turn: Turn) -> None:
        header = about.header
        turn.tell(kind, addressee, body, wallet_id=header.wallet_id, request_id=header.request_id)


def _pubnonces(letter: Letter) -> tuple[bytes, ...]:
    assert isinstance(letter.body, DrillNonces)
    return letter.body.pubnonces
