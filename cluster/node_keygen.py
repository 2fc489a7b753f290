"""How a node takes part in making a key: the owner's yes, the ChillDKG steps, the copy, the last word.

Once message 2 is on disk the node is undecided: it repeats the stored bytes and finishes only from the certificate
or the recovery data, never by running a step again.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.approvals import consent_fault
from cluster.charter_words import charter_lines, participant_names
from cluster.codec import BadLetter, Letter, open_inner
from cluster.effects import Question
from cluster.journal import (
    CharterAnswered,
    CharterKept,
    CopyConfirmed,
    KeygenFailed,
    KeygenSecond,
    WalletComplete,
    WalletKept,
)
from cluster.messages import (
    NO_ID,
    KeygenCertificate,
    KeygenConsent,
    KeygenFault,
    KeygenFinal,
    KeygenMessage,
    KeygenPropose,
    KeygenRequest,
    KeygenStart,
    Kind,
    RecoveryAck,
    SignedLetter,
)
from cluster.plans import SIGNED, Plan, Plans
from cluster.record_body import Body
from cluster.roster import Roster, digest
from cluster.schemes import KeygenTrouble, Wallet, known_keys
from cluster.turn import Turn
from cluster.vault import Vault
from taproot import check_own_descriptor


class KeygenDesk:
    """The keygen half of a node; it owns the wallets that exist."""

    def __init__(self, roster: Roster, me: bytes, boot_id: bytes, vault: Vault) -> None:
        self._roster = roster
        self._me = me
        self._boot_id = boot_id
        self._vault = vault
        self._plans = Plans(roster, me, vault)
        self.plans = self._plans.all
        self.wallets = self._plans.wallets

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        self._plans.restore(entry, wallet_id)

    # What the coordinator brings.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one keygen letter from a coordinator; raises BadLetter when it makes no sense."""
        match letter.body:
            case KeygenPropose(request=request):
                self._propose(letter, request, turn)
            case KeygenStart(consents=consents):
                self._start(letter, consents, turn)
            case KeygenMessage(message=message) if letter.header.kind is Kind.KEYGEN_COORDINATOR1:
                self._second(letter, message, turn)
            case KeygenMessage(message=message) if letter.header.kind is Kind.KEYGEN_INVESTIGATION:
                self._investigate(letter, message, turn)
            case KeygenCertificate():
                self._certificate(letter, letter.body, turn)
            case KeygenFault(code=code):
                self._called_off(letter, code, turn)
            case KeygenFinal():
                self._final(letter, letter.body, turn)
            case _:
                raise BadLetter("letter-kind", f"a node has no use for a {letter.header.kind.name}")

    def _propose(self, letter: Letter, request: SignedLetter, turn: Turn) -> None:
        inner = open_inner(request, Kind.KEYGEN_REQUEST)
        if self._roster.client(inner.header.sender) is None:
            raise BadLetter("keygen-stranger", "the proposal is not from an enrolled client")
        if inner.header.cluster_id != self._roster.cluster_id:
            raise BadLetter("letter-cluster", "the proposal is about another cluster")
        assert isinstance(inner.body, KeygenRequest)
        exact = inner.body.charter
        subject = digest(exact)
        plan = self.plans.get(subject)
        if plan is None:
            if inner.header.expires_at_ms < turn.now.wall_ms:
                self._fault(letter, "keygen-expired", (), turn)  # late is nobody's fault
                return
            try:
                plan = self._plans.consider(exact, inner.header.expires_at_ms, turn.now.wall_ms)
            except BadLetter as bad:
                self._fault(letter, bad.code, (), turn)  # else the client would wait for this owner in vain
                raise
            plan.request = (request,)
            self.plans[subject] = plan
            turn.note(CharterKept(turn.now.wall_ms, request, exact), plan.charter.wallet_id)
            turn.ask(self.question(plan))
        self._repeat(plan, letter.header.sender, turn)

    def _repeat(self, plan: Plan, coordinator: bytes, turn: Turn) -> None:
        """Say again whatever this stage has to say."""
        if plan.stage in {"agreed", "running"}:
            self._say(
                Kind.KEYGEN_CONSENT,
                KeygenConsent(plan.digest),
                plan,
                coordinator,
                turn,
                session=False,
                life_ms=plan_life(plan, turn),
            )
        elif plan.stage == "undecided":
            self._say(Kind.KEYGEN_MESSAGE2, KeygenMessage(plan.message2), plan, coordinator, turn)
        elif plan.stage in {"copied", "complete"}:
            self._say(Kind.RECOVERY_ACK, RecoveryAck(plan.ack), plan, coordinator, turn)
        elif plan.stage in {"declined", "failed"}:
            code = plan.code or "keygen-declined"
            self._say(Kind.KEYGEN_FAULT, KeygenFault(code, ()), plan, coordinator, turn)

    def _start(self, letter: Letter, consents: tuple[SignedLetter, ...], turn: Turn) -> None:
        plan = self._plans.of(letter)
        session_id = letter.header.session_id
        if plan.stage not in {"agreed", "running"}:
            self._repeat(plan, letter.header.sender, turn)
            return
        fault = consent_fault(consents, plan.charter, plan.digest, turn.now.wall_ms)
        if fault is not None:
            raise BadLetter("keygen-consent", fault)
        mine = open_inner(consents[self._index(plan)], Kind.KEYGEN_CONSENT)
        if mine.header.boot_id != self._boot_id:
            self._repeat(plan, letter.header.sender, turn)
            return
        if session_id == NO_ID:
            raise BadLetter("keygen-session", "it names no session")
        if plan.session_id != session_id:
            try:
                plan.message1 = self._vault.keygen_start(
                    plan.charter, session_id, turn.random(), known_keys(self.wallets)
                )
            except KeygenTrouble as trouble:
                self._fail(plan, trouble.code, turn)
                self._fault(letter, trouble.code, trouble.culprits, turn)
                return
            plan.stage, plan.session_id = "running", session_id
        self._say(Kind.KEYGEN_MESSAGE1, KeygenMessage(plan.message1), plan, letter.header.sender, turn)

    def _second(self, letter: Letter, message: bytes, turn: Turn) -> None:
        plan = self._plans.of(letter)
        coordinator = letter.header.sender
        if plan.stage == "undecided" and plan.session_id == letter.header.session_id:
            self._repeat(plan, coordinator, turn)
            return
        if plan.stage != "running" or plan.session_id != letter.header.session_id:
            self._fault(letter, "keygen-lost", (), turn)
            return
        if any(p.charter.index == plan.charter.index and p.stage in SIGNED for p in self.plans.values()):
            # Recovery data names host keys, not wallets: with two transcripts signed by one host key, either
            # would pass for both wallets, and one key would answer to two policies.
            self._fail(plan, "keygen-index", turn)
            self._fault(letter, "keygen-index", (), turn)
            return
        try:
            message2 = self._vault.keygen_second(plan.charter, plan.session_id, message, turn.random())
        except KeygenTrouble as trouble:
            if not trouble.investigate:
                self._fail(plan, trouble.code, turn)
            self._fault(letter, trouble.code, trouble.culprits, turn)
            return
        plan.stage, plan.message2 = "undecided", message2
        index = self._index(plan)
        turn.note(
            KeygenSecond(turn.now.wall_ms, plan.digest, plan.session_id, index, message2),
            plan.charter.wallet_id,
        )
        self._say(Kind.KEYGEN_MESSAGE2, KeygenMessage(message2), plan, coordinator, turn)

    def _investigate(self, letter: Letter, message: bytes, turn: Turn) -> None:
        plan = self._plans.of(letter)
        if plan.stage != "running" or plan.session_id != letter.header.session_id:
            self._fault(letter, "keygen-lost", (), turn)
            return
        try:
            trouble = self._vault.keygen_investigate(plan.charter, plan.session_id, message)
        except KeygenTrouble as lost:
            trouble = lost
        self._fail(plan, trouble.code, turn)
        self._fault(letter, trouble.code, trouble.culprits, turn)

    def _certificate(self, letter: Letter, body: KeygenCertificate, turn: Turn) -> None:
        plan = self._plans.of(letter)
        if plan.stage != "undecided":
            self._repeat(plan, letter.header.sender, turn)
            return
        try:
            wallet, recovery_data = self._finish(plan, letter.header.session_id, body)
        except KeygenTrouble as trouble:
            self._fault(letter, trouble.code, trouble.culprits, turn)
            return
        plan.sealed = self._vault.seal(plan.charter.wallet_id, recovery_data, turn.random())
        plan.stage = "made"
        self.wallets[plan.charter.wallet_id] = wallet
        turn.note(WalletKept(turn.now.wall_ms, plan.exact, plan.sealed), plan.charter.wallet_id)
        turn.ask(self.question(plan))

    def _finish(self, plan: Plan, session_id: bytes, body: KeygenCertificate) -> tuple[Wallet, bytes]:
        """The wallet, from this session's certificate if its state is still in memory, else by recovery."""
        if session_id == plan.session_id and self._vault.keygen_runs(plan.charter, session_id):
            recovery_data = self._vault.keygen_finish(plan.charter, session_id, body.message)
        else:
            recovery_data = body.recovery_data
        wallet = self._vault.recover(plan.charter, recovery_data, known_keys(self.wallets))
        try:
            check_own_descriptor(wallet.public)
        except ValueError:
            raise KeygenTrouble("keygen-addresses") from None
        return wallet, recovery_data

    def _called_off(self, letter: Letter, code: str, turn: Turn) -> None:
        """The coordinator says that the session ended; only a node that has not sent message 2 may believe it."""
        if letter.header.request_id not in self.plans:
            return  # it was proposed and ended while this node was away
        plan = self._plans.of(letter)
        if plan.stage == "running" and plan.session_id == letter.header.session_id:
            self._vault.keygen_drop(plan.charter)
            plan.stage, plan.session_id, plan.message1 = "agreed", NO_ID, b""
            del code, turn

    def _final(self, letter: Letter, body: KeygenFinal, turn: Turn) -> None:
        plan = self._plans.of(letter)
        if plan.stage == "complete":
            return  # an answer would be answered again, for ever
        if plan.stage != "copied":
            self._repeat(plan, letter.header.sender, turn)
            return
        wallet = self.wallets[plan.charter.wallet_id]
        if body.recovery_data != wallet.recovery_data or not wallet.acknowledged(body.acks):
            raise BadLetter("keygen-acks", "an acknowledgement is missing or for other recovery data")
        plan.stage, plan.acks = "complete", body.acks
        turn.note(WalletComplete(turn.now.wall_ms, body.acks), plan.charter.wallet_id)

    # What the owner says.

    def answer(self, subject: bytes, yes: bool, coordinators: Iterable[bytes], turn: Turn) -> str:
        """The owner's answer to a proposed wallet, and the stage it is in now; ValueError when none is awaited."""
        plan = self.plans[subject]
        if plan.stage != "proposed":
            raise ValueError(f"the proposed wallet is {plan.stage}: there is nothing left to answer")
        if plan.expires_at_ms < turn.now.wall_ms:
            raise ValueError("the proposal has expired")
        plan.stage = "agreed" if yes else "declined"
        turn.note(CharterAnswered(turn.now.wall_ms, subject, yes), plan.charter.wallet_id)
        for coordinator in coordinators:
            self._repeat(plan, coordinator, turn)
        return plan.stage

    def confirm_copy(
        self, wallet_id: bytes, recovery_data: bytes, coordinators: Iterable[bytes], turn: Turn
    ) -> str:
        """The owner shows a copy of the recovery data; raises ValueError unless it is this wallet's."""
        wallet = self.wallets.get(wallet_id)
        if wallet is None or wallet.recovery_data != recovery_data:
            raise ValueError("the copy is not of this wallet's recovery data")
        plan = self._plans.of_wallet(wallet_id)
        if plan.stage == "made":
            plan.ack = self._vault.acknowledge(wallet, turn.random())
            plan.stage = "copied"
            turn.note(CopyConfirmed(turn.now.wall_ms, plan.ack), wallet_id)
        for coordinator in coordinators:
            self._repeat(plan, coordinator, turn)
        return plan.stage

    def question(self, plan: Plan) -> Question:
        """What the owner is asked at this stage, in words."""
        charter = plan.charter
        names = participant_names(charter, self._roster)
        members = ", ".join(names[i] for i in charter.cosigners)
        lines: tuple[str, ...] = (
            f"make wallet {charter.name}: {charter.t} of {len(charter.cosigners)} ({members}), {charter.scheme}, "
            f"{charter.network}",
            *charter_lines(charter, self._roster, {one: w.charter.t for one, w in self.wallets.items()}),
            "compare its twelve words with every other owner before you say yes",
        )
        if plan.stage == "made":
            lines = (
                f"wallet {charter.name} exists: make a copy with `assent backup show`, "
                "then show it to `assent backup check`",
                "no address is shown before every owner has confirmed a copy",
            )
        return Question(plan.digest, charter.name, lines, plan.expires_at_ms)

    @property
    def begun(self) -> tuple[Plan, ...]:
        """The wallets whose key exists, or may."""
        stages = {"undecided", "made", "copied", "complete"}
        return tuple(plan for plan in self.plans.values() if plan.stage in stages)

    def questions(self, wall_ms: int) -> tuple[Question, ...]:
        """Everything that waits for the owner."""
        return tuple(
            self.question(plan)
            for plan in self.plans.values()
            if plan.stage == "made" or (plan.stage == "proposed" and plan.expires_at_ms >= wall_ms)
        )

    # Small things.

    def _index(self, plan: Plan) -> int:
        index = plan.charter.participant(self._me)
        assert index is not None  # checked when the charter was considered
        return index

    def _fail(self, plan: Plan, code: str, turn: Turn) -> None:
        self._vault.keygen_drop(plan.charter)
        turn.note(KeygenFailed(turn.now.wall_ms, plan.digest, plan.session_id, code), plan.charter.wallet_id)
        plan.stage, plan.code = "failed", code

    def _fault(self, letter: Letter, code: str, culprits: tuple[int, ...], turn: Turn) -> None:
        header = letter.header
        turn.tell(
            Kind.KEYGEN_FAULT,
            header.sender,
            KeygenFault(code, culprits),
            wallet_id=header.wallet_id,
            request_id=header.request_id,
            session_id=header.session_id,
        )

    def _say(
        self,
        kind: Kind,
        body: KeygenConsent | KeygenMessage | RecoveryAck | KeygenFault,
        plan: Plan,
        coordinator: bytes,
        turn: Turn,
        *,
        session: bool = True,
        life_ms: int = 60_000,
    ) -> None:
        turn.tell(
            kind,
            coordinator,
            body,
            wallet_id=plan.charter.wallet_id,
            request_id=plan.digest,
            session_id=plan.session_id if session else NO_ID,
            life_ms=life_ms,
        )


def plan_life(plan: Plan, turn: Turn) -> int:
    """A consent is good for as long as the proposal is, in milliseconds from now."""
    return max(0, plan.expires_at_ms - turn.now.wall_ms)
