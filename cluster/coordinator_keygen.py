"""How the coordinator carries a ChillDKG session: consents, messages, the certificate, the acknowledgements."""

from __future__ import annotations

from cluster.approvals import member_consent_fault
from cluster.codec import BadLetter, Letter, open_inner
from cluster.journal import (
    CharterKept,
    ComplaintKept,
    KeygenFailed,
    KeygenSecond,
    KeygenStarted,
    WalletComplete,
    WalletKept,
)
from cluster.keygen_telling import REPEAT_MS, KeygenVoice, final_of
from cluster.makings import Making, Makings
from cluster.messages import (
    KeygenConsent,
    KeygenFault,
    KeygenMessage,
    KeygenRequest,
    Kind,
    RecoveryAck,
    WalletState,
)
from cluster.presence import Presence
from cluster.record_body import Body
from cluster.roster import Roster, RosterError, digest
from cluster.schemes import KeygenTrouble, gather, known_keys, read_wallet
from cluster.turn import Turn

SESSION_LIFE_MS = 60_000
"""How long the members of a running session have before it is started again or given up."""


class KeygenDesk:
    """The keygen half of a coordinator; it owns the wallets that exist."""

    def __init__(self, roster: Roster, presence: Presence) -> None:
        self._voice = KeygenVoice(roster, presence)
        self._makings = Makings(roster)
        self.kept = self._makings
        self.makings = self._makings.all
        self.wallets = self._makings.wallets

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        self._makings.restore(entry, wallet_id)

    # What clients ask.

    def request(self, letter: Letter, turn: Turn) -> None:
        """A client proposes a wallet: store it, acknowledge it, propose it to every member."""
        assert isinstance(letter.body, KeygenRequest)
        exact = letter.body.charter
        making = self.makings.get(digest(exact))
        if making is None:
            try:
                making = self._makings.consider(exact, letter)
            except (RosterError, ValueError) as error:
                self._voice.reject(letter, turn)
                raise BadLetter("keygen-charter", str(error)) from None
            self.makings[making.digest] = making
            turn.note(CharterKept(turn.now.wall_ms, letter.signed, exact), making.charter.wallet_id)
        self._voice.tell_client(making, letter.header.sender, turn)
        self._voice.repeat(making, turn)

    def query(self, letter: Letter, turn: Turn) -> bool:
        """A client asks how its keygen stands; False when there is none of that id."""
        making = self.makings.get(letter.header.request_id)
        if making is None:
            return False
        self._voice.tell_client(making, letter.header.sender, turn)
        return True

    # What nodes answer.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one keygen letter from a node; raises BadLetter when it makes no sense."""
        making = self.makings.get(letter.header.request_id)
        if making is None:
            raise BadLetter("keygen-unknown", "no such wallet was proposed here")
        index = making.charter.participant(letter.header.sender)
        if index is None:
            raise BadLetter("keygen-stranger", "it is not from a member")
        before = _signs_of_life(making)
        match letter.body:
            case KeygenConsent():
                self._consent(making, letter, turn)
            case KeygenMessage(message=message) if letter.header.kind is Kind.KEYGEN_MESSAGE1:
                self._first(making, index, letter.header.session_id, message, turn)
            case KeygenMessage(message=message) if letter.header.kind is Kind.KEYGEN_MESSAGE2:
                self._second(making, index, letter.header.session_id, message, turn)
            case KeygenFault():
                self._fault(making, letter, letter.body, turn)
            case RecoveryAck(ack=ack):
                self._ack(making, index, ack, turn)
            case _:
                raise BadLetter("letter-kind", f"the coordinator has no use for a {letter.header.kind.name}")
        if before != _signs_of_life(making):
            self._voice.tell_client(making, making.client, turn)

    def _consent(self, making: Making, letter: Letter, turn: Turn) -> None:
        sender = letter.header.sender
        assert isinstance(letter.body, KeygenConsent)
        if letter.body.charter_digest != making.digest or letter.header.wallet_id != making.charter.wallet_id:
            raise BadLetter("keygen-consent", "it consents to another charter")
        old = making.consents.get(sender)
        making.consents[sender] = letter.signed
        making.declined.pop(sender, None)
        if making.stage == "running" and old is not None:
            known = open_inner(old, Kind.KEYGEN_CONSENT).header.boot_id
            if known != letter.header.boot_id:
                making.stage = "proposed"  # it restarted before message 2: nobody is bound yet, start again
        if making.stage in {"second", "made"}:
            self._voice.repeat(making, turn)
        if making.stage == "proposed" and len(making.consents) == making.charter.n:
            self._start(making, turn)

    def _start(self, making: Making, turn: Turn) -> None:
        consents = tuple(making.consents[member.identity] for member in making.charter.members)
        for index, signed in enumerate(consents):
            if member_consent_fault(signed, index, making.charter, making.digest, turn.now.wall_ms):
                del making.consents[
                    making.charter.members[index].identity
                ]  # and only that one is asked again
        if len(making.consents) < making.charter.n:
            return
        making.stage, making.session_id, making.started = "running", turn.random(), consents
        making.ends_at_ms = turn.now.monotonic_ms + SESSION_LIFE_MS
        making.firsts.clear()
        making.said_at_ms.clear()
        self._voice.repeat(making, turn)

    def _first(self, making: Making, index: int, session_id: bytes, message: bytes, turn: Turn) -> None:
        if making.stage != "running" or session_id != making.session_id:
            return
        making.firsts.setdefault(index, message)
        if len(making.firsts) < making.charter.n:
            return
        messages = tuple(making.firsts[i] for i in range(making.charter.n))
        try:
            making.gathering = gather(making.charter, messages, known_keys(self.wallets))
        except KeygenTrouble as trouble:
            self._blame(making, trouble, turn)
            self._fail(making, trouble.code, trouble.culprits, turn)
            return
        making.stage = "second"
        turn.note(
            KeygenStarted(turn.now.wall_ms, making.digest, making.session_id, making.started, messages),
            making.charter.wallet_id,
        )
        self._voice.repeat(making, turn)

    def _second(self, making: Making, index: int, session_id: bytes, message: bytes, turn: Turn) -> None:
        if making.stage != "second" or session_id != making.session_id or index in making.seconds:
            if making.stage == "made":
                self._voice.repeat(making, turn)
            return
        assert making.gathering is not None  # made before the stage was entered
        making.seconds[index] = message
        if len(making.seconds) == making.charter.n:
            try:
                making.certificate, making.recovery_data = making.gathering.finish(
                    [making.seconds[i] for i in range(making.charter.n)]
                )
            except KeygenTrouble as trouble:
                for culprit in trouble.culprits:
                    making.seconds.pop(culprit, None)
                making.code = trouble.code
                self._blame(making, trouble, turn)
                return
        turn.note(
            KeygenSecond(turn.now.wall_ms, making.digest, session_id, index, message),
            making.charter.wallet_id,
        )
        if making.recovery_data:
            self._made(making, turn)

    def _made(self, making: Making, turn: Turn) -> None:
        """The key exists; a wallet that cannot be read is the end of this making, not of the coordinator."""
        wallet_id, recovery_data = making.charter.wallet_id, making.recovery_data
        try:
            wallet = read_wallet(making.charter, recovery_data, known_keys(self.wallets))
        except KeygenTrouble as trouble:
            making.recovery_data = b""
            self._fail(making, trouble.code, (), turn)
            return
        turn.note(WalletKept(turn.now.wall_ms, making.exact, recovery_data), wallet_id)
        making.stage, making.code = "made", ""
        self.wallets[wallet_id] = wallet
        self._voice.repeat(making, turn)

    def _fault(self, making: Making, letter: Letter, fault: KeygenFault, turn: Turn) -> None:
        node = letter.header.sender
        if making.stage == "proposed" or fault.code == "keygen-declined":
            making.declined[node] = fault.code
            if making.stage == "proposed":
                self._fail(making, fault.code, (), turn)
            return
        index = making.charter.participant(node)
        if making.stage == "made" and index is not None and index not in making.acks:
            making.unfinished[index] = fault.code
        if (
            making.stage != "second"
            or letter.header.session_id != making.session_id
            or index in making.seconds
        ):
            return  # whoever has sent message 2 can no longer take it back
        if fault.code == "keygen-investigate" and making.gathering is not None:
            assert index is not None  # receive() checked it
            message = making.gathering.investigation(index)
            self._voice.say(Kind.KEYGEN_INVESTIGATION, node, KeygenMessage(message), making, turn)
            return
        self._fail(making, fault.code, fault.culprits, turn)

    def _fail(self, making: Making, code: str, culprits: tuple[int, ...], turn: Turn) -> None:
        turn.note(
            KeygenFailed(turn.now.wall_ms, making.digest, making.session_id, code), making.charter.wallet_id
        )
        making.stage, making.code = "failed", code
        for member in making.charter.members:
            self._voice.say(Kind.KEYGEN_FAULT, member.identity, KeygenFault(code, culprits), making, turn)
        self._voice.tell_client(making, making.client, turn)

    def _blame(self, making: Making, trouble: KeygenTrouble, turn: Turn) -> None:
        """Write down, once, who sent what cannot be right."""
        for culprit in trouble.culprits:
            if culprit not in making.culprits:
                making.culprits.add(culprit)
                about = making.charter.members[culprit].identity
                turn.note(ComplaintKept(turn.now.wall_ms, about, trouble.code, ()), making.charter.wallet_id)

    def _ack(self, making: Making, index: int, ack: bytes, turn: Turn) -> None:
        if making.stage == "complete":
            self._voice.say(
                Kind.KEYGEN_FINAL, making.charter.members[index].identity, final_of(making), making, turn
            )
        if making.stage != "made":
            return
        wallet = self.wallets[making.charter.wallet_id]
        if not wallet.acknowledged_by(index, ack):
            raise BadLetter("keygen-ack", "the acknowledgement is not for this recovery data")
        making.acks[index] = ack
        making.unfinished.pop(index, None)
        if len(making.acks) == making.charter.n:
            acks = tuple(making.acks[i] for i in range(making.charter.n))
            turn.note(WalletComplete(turn.now.wall_ms, acks), making.charter.wallet_id)
            self._makings.complete(making, acks)
            self._voice.repeat(making, turn)

    # Going on.

    def tick(self, turn: Turn) -> int | None:
        """Repeat what was not answered, start a stuck session again, end what expired; when to come again."""
        wake = None
        for making in self.makings.values():
            if making.stage in {"failed", "complete"}:
                continue
            if making.stage != "made" and making.expires_at_ms < turn.now.wall_ms:
                self._fail(making, "keygen-expired", (), turn)
                continue
            if making.stage == "running" and making.ends_at_ms <= turn.now.monotonic_ms:
                making.stage = "proposed"
                making.consents.clear()
            self._voice.repeat(making, turn)
            wake = turn.now.monotonic_ms + REPEAT_MS
        return wake

    def greeted(self, node: bytes, turn: Turn) -> None:
        """A node started, or came back: say again what it needs to hear."""
        for making in self.makings.values():
            if making.charter.participant(node) is not None and making.stage != "failed":
                for key in [key for key in making.said_at_ms if key[1] == node]:
                    del making.said_at_ms[key]
                self._voice.repeat(making, turn, only=node)

    def hear_stages(self, node: bytes, wallets: tuple[WalletState, ...], turn: Turn) -> None:
        """A node says how far its wallets are: tell it how those ended that it still waits for."""
        for state in wallets:
            for making in self.makings.values():
                waits = making.stage == "complete" and state.stage == "copied"
                if waits and making.charter.wallet_id == state.wallet_id:
                    self._voice.repeat(making, turn, only=node)


def _signs_of_life(making: Making) -> tuple[str, int, int, int, int]:
    """What the client is told of when it changes."""
    counts = (len(making.consents), len(making.acks), len(making.declined), len(making.unfinished))
    return making.stage, *counts
