"""A node's desk for drills: it checks its copy, and signs the challenge by the path by which it signs money.

Nonces are from the vault, in memory, single-use and gone after a minute; a partial signature is on disk before it
leaves, and the same session gets the stored bytes. There is no budget: nothing can be spent by it. The policy says
how many drills there may be in a day. Each coordinator is given nonces of its own, so that none spoils another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from cluster.approvals import NONCE_LIFE_MS
from cluster.codec import BadLetter, Letter, open_inner
from cluster.drill_letters import (
    MAX_ROUNDS,
    DrillFinal,
    DrillNonces,
    DrillOrder,
    DrillPropose,
    DrillPsigs,
    DrillRequest,
)
from cluster.drill_records import DrillPassed, DrillSigned
from cluster.drills import (
    DRILL_LIFE_MS,
    Entry,
    challenge,
    copy_digest,
    proves,
    quorums_of,
    read_request,
    round_id,
    signers_of,
)
from cluster.heads import HeadDesk
from cluster.judging import Judge
from cluster.messages import Kind, SignedLetter
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn
from cluster.vault import NoncesGone, Vault
from curve import tagged_hash
from policy.profile import DEFAULT_DRILLS

DAY_MS = 86_400_000

MAX_LIVE = 8
"""How many drills a node keeps in memory; the oldest is forgotten first."""


@dataclass(slots=True)
class _Drill:
    """One drill under way: the wallet, and of each coordinator and round the live nonces, and when they expire.

    `signed` is how often it was signed for each coordinator.
    """

    wallet: Wallet
    until_ms: int
    batches: dict[tuple[bytes, int], tuple[tuple[bytes, ...], int]] = field(default_factory=dict)
    signed: Counter[bytes] = field(default_factory=Counter)


def _nonces_of(drill: bytes, coordinator: bytes, number: int) -> bytes:
    """What the vault calls the nonces of a round at one coordinator."""
    return tagged_hash("assent/drill/nonces/v1", round_id(drill, number), coordinator)


class DrillDesk:
    """Drills at one node."""

    def __init__(
        self,
        roster: Roster,
        me: bytes,
        vault: Vault,
        judge: Judge,
        wallets: Mapping[bytes, Wallet],
        heads: HeadDesk,
    ) -> None:
        self._heads = heads
        self._roster = roster
        self._me = me
        self._vault = vault
        self._judge = judge
        self._wallets = wallets
        self._live: dict[bytes, _Drill] = {}
        self._signed: dict[bytes, DrillSigned] = {}
        self._counted: dict[bytes, dict[bytes, list[int]]] = {}
        self._passed: set[bytes] = set()
        self.passed_ms: dict[bytes, int] = {}

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        if isinstance(entry, DrillSigned):
            self._counted.setdefault(wallet_id, {}).setdefault(entry.drill_id, []).append(entry.policy_ms)
        elif isinstance(entry, DrillPassed):
            self.passed_ms[wallet_id] = entry.at_ms
            self._passed.add(entry.drill_id)

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one drill letter from a coordinator; raises BadLetter when it makes no sense."""
        match letter.body:
            case DrillPropose() as body:
                self._propose(letter, body, turn)
            case DrillOrder() as order:
                self._order(letter, order, turn)
            case DrillFinal() as final:
                self._final(letter, final, turn)
            case _:
                raise BadLetter("letter-kind", f"a node has no use for a {letter.header.kind.name}")

    def forget_nonces(self) -> None:
        """Drop every nonce in memory: the clocks jumped, so this memory may have been copied."""
        for drill, live in self._live.items():
            self._drop(drill, live)

    # One round.

    def _propose(self, letter: Letter, body: DrillPropose, turn: Turn) -> None:
        inner = open_inner(body.request, Kind.DRILL_REQUEST)
        if self._roster.client(inner.header.sender) is None:
            raise BadLetter("drill-stranger", "the drill is not from an enrolled client")
        request = read_request(inner, self._roster.cluster_id, turn.now.wall_ms)
        if letter.header.request_id != inner.header.request_id or body.round >= MAX_ROUNDS:
            raise BadLetter("drill-id", "it is not the drill that the header names")
        wallet = self._wallets.get(inner.header.wallet_id)
        code = self._fault(wallet, request, letter, turn)
        pubnonces: tuple[bytes, ...] = ()
        if not code:
            assert wallet is not None  # else that was the fault
            pubnonces = self._nonces(wallet, inner, letter.header.sender, body.round, turn)
        answer = DrillNonces(body.round, code or "drill-ready", pubnonces)
        self._tell(Kind.DRILL_NONCES, answer, inner.header.wallet_id, letter, turn)

    def _fault(self, wallet: Wallet | None, request: DrillRequest, letter: Letter, turn: Turn) -> str:
        """Why this node takes no part; "" when it does."""
        if wallet is None or not wallet.complete:
            return "request-wallet"
        if request.copy != copy_digest(wallet):
            return "drill-copy"
        held = self._heads.held(wallet.wallet_id)
        if held is not None:
            return held.codes[0]
        if quorums_of(wallet.routes[""]) == ():
            return "drill-outsiders"
        return "" if self._may_sign(wallet.wallet_id, letter, turn) else "drill-too-many"

    def _may_sign(self, wallet_id: bytes, letter: Letter, turn: Turn) -> bool:
        """Whether one more signature of a drill is within what policy and we allow, by records and for who orders it.

        Whoever orders the same round for ever gets new nonces each time, and must not fill the disk.
        """
        drill, coordinator = letter.header.request_id, letter.header.sender
        counted, live = self._today(wallet_id, turn), self._live.get(drill)
        if live is not None and live.signed[coordinator] >= MAX_ROUNDS:
            return False
        if drill in counted:
            return len(counted[drill]) < MAX_ROUNDS * len(self._roster.coordinators)
        profile = self._judge.profiles.profile_for(wallet_id)
        return len(counted) < (DEFAULT_DRILLS if profile is None else profile.drills_a_day)

    def _today(self, wallet_id: bytes, turn: Turn) -> dict[bytes, list[int]]:
        """The drills signed within a day by the policy clock, and when each time; what is older is forgotten."""
        since_ms = self._judge.budget_time(turn.now) - DAY_MS
        counted = {drill: at for drill, at in self._counted.get(wallet_id, {}).items() if at[0] > since_ms}
        self._counted[wallet_id] = counted
        return counted

    def _nonces(
        self, wallet: Wallet, inner: Letter, coordinator: bytes, number: int, turn: Turn
    ) -> tuple[bytes, ...]:
        """Fresh nonces for a round, or the same while they live and are unused."""
        drill = inner.header.request_id
        live = self._live.setdefault(drill, _Drill(wallet, inner.header.expires_at_ms))
        while len(self._live) > MAX_LIVE:
            oldest = next(iter(self._live))
            self._drop(oldest, self._live.pop(oldest))
        batch = live.batches.get((coordinator, number))
        if batch is None or batch[1] <= turn.now.wall_ms:
            task = challenge(wallet, drill, number)
            fixed = (task,) if wallet.routes[""].is_fixed else None
            name = _nonces_of(drill, coordinator, number)
            pubnonces = self._vault.nonces(wallet, "", name, 1, fixed, turn.random())
            batch = live.batches[coordinator, number] = (pubnonces, turn.now.wall_ms + NONCE_LIFE_MS)
        return batch[0]

    def _order(self, letter: Letter, order: DrillOrder, turn: Turn) -> None:
        drill, live = letter.header.request_id, self._live.get(letter.header.request_id)
        if live is None:
            raise BadLetter("drill-unknown", "no such drill was proposed here")
        wallet = live.wallet
        entries = tuple(self._entry(entry, wallet, drill, order.round) for entry in order.signers)
        self._check_signers(entries, wallet)
        task, signers = challenge(wallet, drill, order.round), signers_of(entries)
        session_id = wallet.session_id(round_id(drill, order.round), signers, (task,))
        kept = self._signed.get(session_id)
        if kept is None:
            kept = self._sign(wallet, letter, order.round, entries, session_id, turn)
        psigs = () if kept is None else kept.psigs
        self._tell(Kind.DRILL_PSIGS, DrillPsigs(order.round, psigs), wallet.wallet_id, letter, turn)

    def _entry(self, signed: SignedLetter, wallet: Wallet, drill: bytes, number: int) -> Entry:
        """One signer of an order, in its own signed letter for exactly this round."""
        letter = open_inner(signed, Kind.DRILL_NONCES)
        header, body = letter.header, letter.body
        assert isinstance(body, DrillNonces)
        participant = wallet.charter.participant(header.sender)
        about = (header.cluster_id, header.wallet_id, header.request_id, body.round)
        if participant is None or about != (self._roster.cluster_id, wallet.wallet_id, drill, number):
            raise BadLetter("drill-order", "a nonce that is no member's for this round")
        if len(body.pubnonces) != 1:
            raise BadLetter("drill-order", "a signer that takes no part")
        return Entry(participant, body.pubnonces)

    def _check_signers(self, entries: tuple[Entry, ...], wallet: Wallet) -> None:
        ids, route = [entry.participant for entry in entries], wallet.routes[""]
        if any(a >= b for a, b in pairwise(ids)):
            raise BadLetter("drill-order", "the signers are not in order, or one stands twice")
        if wallet.charter.participant(self._me) not in ids:
            raise BadLetter("drill-order", "this node is not among the signers")
        if not frozenset(ids) <= route.nodes or not route.admits(frozenset(ids)):
            raise BadLetter("drill-order", "they make no quorum")

    def _sign(
        self,
        wallet: Wallet,
        letter: Letter,
        number: int,
        entries: tuple[Entry, ...],
        session_id: bytes,
        turn: Turn,
    ) -> DrillSigned | None:
        """Sign one session, once, and write it down; None when the nonce is gone."""
        drill, coordinator = letter.header.request_id, letter.header.sender
        live, name = self._live[drill], _nonces_of(drill, coordinator, number)
        batch = live.batches.pop((coordinator, number), None)
        if self._heads.held(wallet.wallet_id) is not None:
            self._vault.forget(wallet.wallet_id, name)
            return None
        mine = next(e for e in entries if e.participant == wallet.charter.participant(self._me))
        if (
            batch is None
            or batch[0] != mine.pubnonces
            or batch[1] < turn.now.wall_ms
            or not self._may_sign(wallet.wallet_id, letter, turn)
        ):
            self._vault.forget(wallet.wallet_id, name)
            return None
        task = challenge(wallet, drill, number)
        try:
            psigs = self._vault.sign(wallet, name, signers_of(entries), (task,))
        except NoncesGone:
            return None
        policy_ms = self._judge.budget_time(turn.now)
        kept = DrillSigned(turn.now.wall_ms, drill, number, session_id, batch[0], psigs, policy_ms)
        self._signed[session_id] = kept
        live.signed[coordinator] += 1
        turn.note(kept, wallet.wallet_id)
        self.restore(kept, wallet.wallet_id)
        return kept

    # Its end.

    def _final(self, letter: Letter, final: DrillFinal, turn: Turn) -> None:
        """A drill went well for this node where a round that it signed verifies; no other end is any."""
        live = self._live.get(letter.header.request_id)
        if live is None:
            return
        drill, wallet = letter.header.request_id, live.wallet
        me = wallet.charter.participant(self._me)
        mine = [done for done in final.rounds if me in done.participants]
        whole = next((done for done in mine if proves(wallet, drill, done)), None)
        if mine and whole is None:
            raise BadLetter("drill-invalid", "a signature that is none of this drill")
        if whole is not None and drill not in self._passed:  # one that was forgotten may be brought back
            passed = DrillPassed(turn.now.wall_ms, drill, whole.participants)
            turn.note(passed, wallet.wallet_id)
            self.restore(passed, wallet.wallet_id)

    def tick(self, turn: Turn) -> None:
        """Destroy nonces that are too old, and forget what is over."""
        for drill, live in list(self._live.items()):
            if any(until_ms <= turn.now.wall_ms for _, until_ms in live.batches.values()):
                self._drop(drill, live)
            if live.until_ms + DRILL_LIFE_MS < turn.now.wall_ms:
                del self._live[drill]
        self._signed = {key: kept for key, kept in self._signed.items() if kept.drill_id in self._live}

    def _drop(self, drill: bytes, live: _Drill) -> None:
        for coordinator, number in live.batches:
            self._vault.forget(live.wallet.wallet_id, _nonces_of(drill, coordinator, number))
        live.batches.clear()

    @staticmethod
    def _tell(
        kind: Kind, body: DrillNonces | DrillPsigs, wallet_id: bytes, letter: Letter, turn: Turn
    ) -> None:
        turn.tell(kind, letter.header.sender, body, wallet_id=wallet_id, request_id=letter.header.request_id)
