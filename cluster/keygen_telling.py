"""What the coordinator says of a keygen: to its client how it stands, to members again what they have not answered."""

from __future__ import annotations

from cluster.codec import Letter
from cluster.makings import Making
from cluster.messages import (
    KeygenCertificate,
    KeygenFault,
    KeygenFinal,
    KeygenMessage,
    KeygenPropose,
    KeygenStart,
    Kind,
    NodeStatus,
    Status,
)
from cluster.presence import Presence
from cluster.roster import Roster
from cluster.turn import Turn

REPEAT_MS = 2_000
"""How long to wait before saying a thing again to somebody who has not answered."""


class KeygenVoice:
    """The coordinator's voice in keygen."""

    def __init__(self, roster: Roster, presence: Presence) -> None:
        self._roster = roster
        self._presence = presence

    def tell_client(self, making: Making, client: bytes, turn: Turn) -> None:
        """Say to the client how its keygen stands; of a wallet that nodes gave back it may be nobody."""
        if self._roster.client(client) is None:
            return
        if making.stage == "complete":
            self.say(Kind.KEYGEN_FINAL, client, final_of(making), making, turn)
            return
        nodes = tuple(
            NodeStatus(member.identity, self._progress(making, index, member.identity, turn), None)
            for index, member in enumerate(making.charter.members)
        )
        codes = (making.code,) if making.code else tuple(sorted(set(making.unfinished.values())))
        self.say(Kind.STATUS, client, Status(making.stage, codes, nodes), making, turn)

    def _progress(self, making: Making, index: int, node: bytes, turn: Turn) -> str:
        if node in making.declined:
            return "declined"
        if index in making.culprits:
            return "misbehaved"
        if self._presence.mismatched(node):
            return "version-mismatch"
        if index in making.acks:
            return "acknowledged"
        if index in making.unfinished:
            return "unfinished"
        if making.stage == "made":
            return "copy-awaited"
        if index in making.seconds:
            return "second-message"
        if index in making.firsts:
            return "first-message"
        if node in making.consents:
            return "agreed"
        return "asked" if self._presence.online(node, turn.now.monotonic_ms) else "unreachable"

    @staticmethod
    def reject(letter: Letter, turn: Turn) -> None:
        """Say to a client that its proposal is none; otherwise it would wait for owners who are never asked."""
        header = letter.header
        turn.tell(
            Kind.STATUS,
            header.sender,
            Status("rejected", ("keygen-rejected",), ()),
            wallet_id=header.wallet_id,
            request_id=header.request_id,
        )

    def repeat(self, making: Making, turn: Turn, only: bytes | None = None) -> None:
        """Say to each member whatever this stage still needs from it."""
        for index, member in enumerate(making.charter.members):
            if only is None or only == member.identity:
                self._repeat_to(making, index, member.identity, turn)

    def _repeat_to(self, making: Making, index: int, node: bytes, turn: Turn) -> None:
        if making.stage == "proposed" and node not in making.consents:
            self._say_again(Kind.KEYGEN_PROPOSE, node, KeygenPropose(making.request), making, turn)
        elif making.stage == "running" and index not in making.firsts:
            self._say_again(Kind.KEYGEN_START, node, KeygenStart(making.started), making, turn)
        elif making.stage == "second" and index not in making.seconds and making.gathering is not None:
            message = KeygenMessage(making.gathering.message(index))
            self._say_again(Kind.KEYGEN_COORDINATOR1, node, message, making, turn)
        elif making.stage == "made" and index not in making.acks:
            certificate = KeygenCertificate(making.certificate, making.recovery_data)
            self._say_again(Kind.KEYGEN_CERTIFICATE, node, certificate, making, turn)
        elif making.stage == "complete":
            self._say_again(Kind.KEYGEN_FINAL, node, final_of(making), making, turn)

    def _say_again(
        self,
        kind: Kind,
        node: bytes,
        body: KeygenPropose | KeygenStart | KeygenMessage | KeygenCertificate | KeygenFinal,
        making: Making,
        turn: Turn,
    ) -> None:
        last = making.said_at_ms.get((kind, node))
        if last is not None and turn.now.monotonic_ms - last < REPEAT_MS:
            return
        making.said_at_ms[(kind, node)] = turn.now.monotonic_ms
        self.say(kind, node, body, making, turn)

    def say(
        self,
        kind: Kind,
        addressee: bytes,
        body: KeygenPropose
        | KeygenStart
        | KeygenMessage
        | KeygenCertificate
        | KeygenFinal
        | KeygenFault
        | Status,
        making: Making,
        turn: Turn,
    ) -> None:
        """Say this, now."""
        turn.tell(
            kind,
            addressee,
            body,
            wallet_id=making.charter.wallet_id,
            request_id=making.digest,
            session_id=making.session_id,
        )


def final_of(making: Making) -> KeygenFinal:
    """What tells that a wallet is complete: its recovery data, and every member's acknowledgement."""
    return KeygenFinal(making.recovery_data, tuple(making.acks[i] for i in range(making.charter.n)))
