"""The bodies of records: what a node and a coordinator remember, one struct a kind.

`note` makes a record and `read` takes it apart again; both know the kind from the struct's name. Every body has
a time, `at_ms` on the wall clock. Nothing secret stands in a record unsealed.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cluster.change_records import (
    ChangeAnswered,
    ChangeDelayed,
    ChangeEnded,
    ChangeHeard,
    ChangeProposed,
    ConsentKept,
)
from cluster.codec import decode, encode
from cluster.drill_records import DrillPassed, DrillSigned
from cluster.freeze_records import FreezeDelayed, FreezeHeard, FreezeIssued
from cluster.head_records import LineageKept, PeerDoubted, PeerHeads, PeerTrusted, QuarantineKept
from cluster.held_records import SessionKept, WalletHeld
from cluster.messages import (
    Ack,
    Bytes16,
    Bytes32,
    Bytes64,
    Bytes66,
    Code,
    Count,
    Millis,
    Psig,
    SignedLetter,
    SignerPart,
    TaskSignatures,
)
from cluster.policy_letters import ProfileText
from cluster.record_body import Body
from cluster.records import NO_WALLET, Record

Sats = Annotated[int, Meta(ge=0, le=2**53)]
Text = Annotated[str, Meta(max_length=500)]
Coin = tuple[Bytes32, Annotated[int, Meta(ge=0, le=2**32 - 1)]]
"""An outpoint: txid in internal order, and output index."""


class RosterKept(Body, frozen=True):
    """The owner compared the roster's words and accepted it; `network` is repeated for the eye."""

    roster: bytes


class PolicyKept(Body, frozen=True):
    """The profile in force from here on, as the text the owner wrote, with the text of the one that it extends.

    Versions count from 1, for each wallet id; `previous` is the digest that held before (zeros: none), `policy_ms`
    when it took force by the policy clock, and `listed` since when each script has stood in one of its lists.
    """

    version: Count
    text: ProfileText
    base: ProfileText
    digest: Bytes32
    previous: Bytes32
    policy_ms: Millis
    listed: tuple[tuple[bytes, Millis], ...]


class BootKept(Body, frozen=True):
    """The machine started: its boot id."""

    boot_id: Bytes16


class ClockKept(Body, frozen=True):
    """The time that budgets go by, in ms, so that a restart knows where it stood."""

    policy_ms: Millis


class CharterKept(Body, frozen=True):
    """A client proposed a wallet; the letter is kept as proof of who did."""

    request: SignedLetter
    charter: bytes


class CharterAnswered(Body, frozen=True):
    """The owner's answer to a proposed wallet."""

    charter_digest: Bytes32
    yes: bool


class KeygenStarted(Body, frozen=True):
    """The coordinator has every first message of this session (its own record; they are public)."""

    charter_digest: Bytes32
    session_id: Bytes32
    consents: tuple[SignedLetter, ...]
    messages: tuple[bytes, ...]


class KeygenSecond(Body, frozen=True):
    """A second message: a node's own, written before it leaves, or one the coordinator received."""

    charter_digest: Bytes32
    session_id: Bytes32
    participant: Count
    message: bytes


class KeygenFailed(Body, frozen=True):
    """The session ended without a key."""

    charter_digest: Bytes32
    session_id: Bytes32
    code: Code


class WalletKept(Body, frozen=True):
    """A wallet's key exists: its charter, and the recovery data (sealed in a node, plain in a coordinator)."""

    charter: bytes
    recovery_data: bytes


class CopyConfirmed(Body, frozen=True):
    """The owner showed that a copy of the recovery data exists; the acknowledgement that followed."""

    ack: Ack


class WalletComplete(Body, frozen=True):
    """Every member acknowledged: addresses may be shown."""

    acks: tuple[Ack, ...]


class AddressKept(Body, frozen=True):
    """A client handed out a receiving address: its index, so that the next one is another."""

    index: Count


class RequestKept(Body, frozen=True):
    """A client's request, as it was signed; in a node this comes with its judgement in the same step."""

    request: SignedLetter


class JudgedKept(Body, frozen=True):
    """The node's judgement of a request, under one policy."""

    request_id: Bytes32
    spend_id: Bytes32
    decision: Count
    codes: tuple[Code, ...]
    policy_digest: Bytes32


class AnswerKept(Body, frozen=True):
    """The owner's answer to a request; it holds for the spend, whoever asks for it again.

    `policy_ms` is when, by the policy clock; `matched` says that it came with the number the asking device shows.
    """

    request_id: Bytes32
    spend_id: Bytes32
    yes: bool
    policy_ms: Millis
    matched: bool


class PersonSaidKept(Body, frozen=True):
    """What a person signed about a spend, as they signed it; in a node, also for when the policy's clock counts it."""

    word: SignedLetter
    policy_ms: Millis


class WaitKept(Body, frozen=True):
    """The policy let a spend wait for the first time: since when, by the policy clock."""

    spend_id: Bytes32
    since_ms: Millis


class NoticeKept(Body, frozen=True):
    """Something that the policy wants the owner told of a request."""

    request_id: Bytes32
    text: Text


class FrozenKept(Body, frozen=True):
    """The wallet is frozen at this node from here on: why."""

    why: Text


class ThawedKept(Body, frozen=True):
    """The owner lets the wallet spend again at this node."""


class ShadowKept(Body, frozen=True):
    """The owner put a draft in the shadow of the policy: its text, and the text of the profile that it extends."""

    text: str
    base: str


class ShadowEnded(Body, frozen=True):
    """The draft in the shadow is there no more."""


class ShadowSaid(Body, frozen=True):
    """The draft would have decided otherwise than the policy did (`said`); `note` says why it could not judge."""

    request_id: Bytes32
    decision: Count
    said: Count
    codes: tuple[Code, ...]
    note: Text


class GrantKept(Body, frozen=True):
    """The owner granted something: the exact bytes of it, and the signature of this node's own identity key."""

    grant: bytes
    signature: Bytes64


class GrantRevoked(Body, frozen=True):
    """The owner ended a grant, from here on."""

    grant_id: Bytes32


class SignedKept(Body, frozen=True):
    """Partial signatures that may leave: the session, the nonces they used up, and when the budget counts them.

    What the budget and the wallet count stands here too (`leaving_sats` of these coins, the first index beyond the
    addresses used), so that a start need not read the PSBT again.
    """

    request_id: Bytes32
    spend_id: Bytes32
    session_id: Bytes32
    order_digest: Bytes32
    pubnonces: tuple[Bytes66, ...]
    psigs: tuple[Psig, ...]
    budget_ms: Millis
    policy_digest: Bytes32
    leaving_sats: Sats
    outpoints: tuple[Coin, ...]
    fee_sats: Sats
    payments: tuple[tuple[bytes, Sats], ...]
    initiator: Text
    height: Count | None
    grant: bytes
    intent: bytes
    next_receive: Count
    next_change: Count


class FinalKept(Body, frozen=True):
    """The request ended in this verified transaction; the first index beyond the addresses that it uses."""

    request_id: Bytes32
    signatures: tuple[TaskSignatures, ...]
    signers: tuple[Count, ...]
    transaction: bytes
    next_receive: Count
    next_change: Count


class CosigningKept(Body, frozen=True):
    """All nodes of a quorum signed; whoever is no node is to sign last: everybody's part, as it stands."""

    request_id: Bytes32
    parts: tuple[SignerPart, ...]


class ClosedKept(Body, frozen=True):
    """The request ended without a signature of this node: why."""

    request_id: Bytes32
    code: Code


class ComplaintKept(Body, frozen=True):
    """Somebody sent what they should not have: who, a code, and the letter where it proves something."""

    about: Bytes32
    code: Code
    evidence: tuple[SignedLetter, ...]


class UsedKept(Body, frozen=True):
    """Somebody who knows vouches that a wallet's addresses below these indexes are used (at a recovery)."""

    next_receive: Count
    next_change: Count


class RecoveredKept(Body, frozen=True):
    """This node was rebuilt from words and recovery data: its budgets start exhausted at this time.

    Written once more, `confirmed`, when the time is confirmed for the first time after: the machine may have been
    rebuilt with its clock set back, and its windows would else be over at once. In a coordinator's chain it says,
    before the first start, that its database was lost and begins anew.
    """

    confirmed: bool


KINDS: dict[str, type[Body]] = {
    "roster": RosterKept,
    "policy": PolicyKept,
    "change-proposed": ChangeProposed,
    "change-delayed": ChangeDelayed,
    "consent": ConsentKept,
    "change-ended": ChangeEnded,
    "change-heard": ChangeHeard,
    "change-answered": ChangeAnswered,
    "boot": BootKept,
    "clock": ClockKept,
    "charter": CharterKept,
    "charter-answer": CharterAnswered,
    "keygen-started": KeygenStarted,
    "keygen-second": KeygenSecond,
    "keygen-failed": KeygenFailed,
    "wallet": WalletKept,
    "copy-confirmed": CopyConfirmed,
    "wallet-complete": WalletComplete,
    "address": AddressKept,
    "request": RequestKept,
    "judged": JudgedKept,
    "answer": AnswerKept,
    "person-said": PersonSaidKept,
    "wait": WaitKept,
    "notice": NoticeKept,
    "frozen": FrozenKept,
    "thawed": ThawedKept,
    "drill-signed": DrillSigned,
    "drill-passed": DrillPassed,
    "freeze-issued": FreezeIssued,
    "freeze-heard": FreezeHeard,
    "freeze-delayed": FreezeDelayed,
    "shadow": ShadowKept,
    "shadow-ended": ShadowEnded,
    "shadow-said": ShadowSaid,
    "grant": GrantKept,
    "grant-revoked": GrantRevoked,
    "signed": SignedKept,
    "cosigning": CosigningKept,
    "final": FinalKept,
    "closed": ClosedKept,
    "complaint": ComplaintKept,
    "used": UsedKept,
    "session": SessionKept,
    "wallet-held": WalletHeld,
    "recovered": RecoveredKept,
    "peer-head": PeerHeads,
    "peer-doubted": PeerDoubted,
    "peer-trusted": PeerTrusted,
    "quarantine": QuarantineKept,
    "lineage": LineageKept,
}
"""The name under which each kind of body is stored."""

_NAMES = {body: kind for kind, body in KINDS.items()}


def note(body: Body, wallet_id: bytes = NO_WALLET) -> Record:
    """The record that remembers `body` about one wallet (32 bytes) or none."""
    return Record(_NAMES[type(body)], wallet_id, encode(body))


def read(record: Record) -> Body:
    """What a record says; ValueError when its kind is unknown or its body is not in its one encoding."""
    body = KINDS.get(record.kind)
    if body is None:
        raise ValueError(f"unknown kind of record {record.kind!r}; was it written by a newer version?")
    return decode(record.body, body)
