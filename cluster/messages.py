"""The letters: what each kind says, who may send it, how large it may be, and what a repeat gets.

A letter is `[header, body]` in MessagePack with positional arrays; an Ed25519 signature over a domain tag and
exactly these bytes travels beside it. `KINDS` is the one table of them; docs/messages.md is written from it.
Nothing here decides anything: `cluster.codec` checks form and signature, the machines check sense.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from msgspec import Struct

from cluster.clock_letters import ClockAsk, ClockRelay, ClockSaid
from cluster.drill_letters import (
    DrillFinal,
    DrillNonces,
    DrillOrder,
    DrillPropose,
    DrillPsigs,
    DrillRequest,
)
from cluster.freeze_letters import FreezeReceipt, FreezeRelay, FreezeSaid
from cluster.head_letters import Beats, HeadAsk, HeadRelay, HeadSaid, Heartbeat, WalletBeat
from cluster.held_letters import (
    HeldAsk,
    HeldFinal,
    HeldList,
    HeldParts,
    HeldRequest,
    HeldWallet,
    HeldWalletId,
    HeldWord,
)
from cluster.hello_letter import Hello, WalletState
from cluster.intent_letter import Intent
from cluster.keygen_letters import (
    KeygenCertificate,
    KeygenConsent,
    KeygenFault,
    KeygenFinal,
    KeygenMessage,
    KeygenPropose,
    KeygenRequest,
    KeygenStart,
    RecoveryAck,
)
from cluster.people_letters import OpenList, OpenRequest, PersonReceipt, PersonRelay, PersonSays, WalletShown
from cluster.policy_letters import (
    ChangeList,
    PolicyChange,
    PolicyConsent,
    PolicyEnded,
    PolicyReceipt,
    PolicyRelay,
)
from cluster.signing_letters import (
    MAX_CODES,
    MAX_FINAL_BYTES,
    MAX_INPUTS,
    MAX_PSBT_BYTES,
    Busy,
    Cosigned,
    Decision,
    Digests,
    Final,
    Gone,
    NonceRequest,
    Nonces,
    Order,
    OrderEntry,
    PartialSignatures,
    PartlySigned,
    Propose,
    Request,
    Roles,
    SignerPart,
    Verdict,
    Withdraw,
)
from cluster.status_letters import NodeStatus, Status, StatusQuery
from cluster.wire_types import (
    MAX_NODES,
    MAX_NOTE_CHARS,
    Ack,
    Bytes16,
    Bytes32,
    Bytes33,
    Bytes64,
    Bytes66,
    Code,
    Count,
    Millis,
    Note,
    Psig,
    SignedLetter,
    TaskSignatures,
)

__all__ = [
    "PROTOCOL_VERSION", "MAX_INPUTS", "MAX_PSBT_BYTES", "MAX_NOTE_CHARS", "MAX_NODES", "MAX_CODES",
    "MAX_FINAL_BYTES", "MAX_LETTER_BYTES", "NO_ID", "KINDS", "Kind", "KindRule",
    "Bytes16", "Bytes32", "Bytes33", "Bytes64", "Bytes66", "Code", "Count", "Millis", "Note", "Header", "Body",
    "SignedLetter", "WalletState", "Hello", "Request", "Propose", "Decision", "Roles", "Digests", "Verdict",
    "NonceRequest", "Nonces", "OrderEntry", "Order", "PartialSignatures", "Gone", "Busy", "Withdraw", "Final",
    "SignerPart", "PartlySigned", "Cosigned", "Psig", "TaskSignatures", "Ack",
    "StatusQuery", "NodeStatus", "Status", "KeygenRequest", "KeygenPropose", "KeygenConsent", "KeygenStart",
    "KeygenMessage", "KeygenCertificate", "KeygenFault", "RecoveryAck", "KeygenFinal", "PolicyChange",
    "PolicyConsent", "PolicyEnded", "PolicyReceipt", "PolicyRelay", "ChangeList",
    "PersonSays", "PersonRelay", "PersonReceipt", "OpenRequest", "OpenList", "WalletShown",
    "ClockAsk", "ClockSaid", "ClockRelay", "FreezeSaid", "FreezeReceipt", "FreezeRelay",
    "HeldWalletId", "HeldList", "HeldAsk", "HeldWallet", "HeldRequest", "HeldWord", "HeldParts", "HeldFinal",
    "WalletBeat", "Heartbeat", "Beats", "HeadAsk", "HeadSaid", "HeadRelay",
    "DrillRequest", "DrillPropose", "DrillNonces", "DrillOrder", "DrillPsigs", "DrillFinal",
]  # fmt: skip

PROTOCOL_VERSION = 1
"""The version of header and bodies; letters of another version are refused with both versions named."""

NO_ID = bytes(32)
"""Stands where a header has no wallet, request or session."""


class Kind(IntEnum):
    """The kinds of letters; the number is what travels."""

    HELLO = 1
    REQUEST = 2
    PROPOSE = 3
    VERDICT = 4
    NONCE_REQUEST = 5
    NONCES = 6
    ORDER = 7
    PARTIAL_SIGNATURES = 8
    GONE = 9
    BUSY = 10
    WITHDRAW = 11
    FINAL = 12
    STATUS_QUERY = 13
    STATUS = 14
    INTENT = 15
    PARTLY_SIGNED = 16
    COSIGNED = 17
    KEYGEN_REQUEST = 20
    KEYGEN_PROPOSE = 21
    KEYGEN_CONSENT = 22
    KEYGEN_START = 23
    KEYGEN_MESSAGE1 = 24
    KEYGEN_COORDINATOR1 = 25
    KEYGEN_MESSAGE2 = 26
    KEYGEN_CERTIFICATE = 27
    KEYGEN_FAULT = 28
    KEYGEN_INVESTIGATION = 29
    RECOVERY_ACK = 30
    KEYGEN_FINAL = 31
    PERSON_SAYS = 40
    PERSON_RELAY = 41
    PERSON_RECEIPT = 42
    OPEN_LIST = 43
    WALLET_SHOWN = 44
    POLICY_CHANGE = 50
    POLICY_CONSENT = 51
    POLICY_ENDED = 52
    POLICY_RELAY = 53
    POLICY_RECEIPT = 54
    CHANGE_LIST = 55
    CLOCK_ASK = 60
    CLOCK_SAID = 61
    CLOCK_RELAY = 62
    FREEZE = 80
    FREEZE_RELAY = 81
    FREEZE_RECEIPT = 82
    HELD_LIST = 100
    HELD_ASK = 101
    HELD_WALLET = 102
    HELD_REQUEST = 103
    HELD_WORD = 104
    HELD_PARTS = 105
    HELD_FINAL = 106
    HEARTBEAT = 70
    BEATS = 71
    HEAD_ASK = 72
    HEAD_SAID = 73
    HEAD_RELAY = 74
    DRILL_REQUEST = 83
    DRILL_PROPOSE = 84
    DRILL_NONCES = 85
    DRILL_ORDER = 86
    DRILL_PSIGS = 87
    DRILL_FINAL = 88


class Header(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Who says what to whom about which thing, and until when; ids that do not apply are 32 zero bytes."""

    version: Count
    kind: Kind
    cluster_id: Bytes32
    wallet_id: Bytes32
    request_id: Bytes32
    session_id: Bytes32
    sender: Bytes32
    addressee: Bytes32
    boot_id: Bytes16
    sequence: Millis
    expires_at_ms: Millis


Body = (
    Hello
    | Request
    | Intent
    | Propose
    | Verdict
    | NonceRequest
    | Nonces
    | Order
    | PartialSignatures
    | Gone
    | Busy
    | Withdraw
    | Final
    | PartlySigned
    | Cosigned
    | StatusQuery
    | Status
    | KeygenRequest
    | KeygenPropose
    | KeygenConsent
    | KeygenStart
    | KeygenMessage
    | KeygenCertificate
    | KeygenFault
    | RecoveryAck
    | KeygenFinal
    | PersonSays
    | PersonRelay
    | PersonReceipt
    | OpenList
    | WalletShown
    | PolicyChange
    | PolicyConsent
    | PolicyEnded
    | PolicyReceipt
    | PolicyRelay
    | ChangeList
    | ClockAsk
    | ClockSaid
    | ClockRelay
    | FreezeSaid
    | FreezeReceipt
    | FreezeRelay
    | HeldList
    | HeldAsk
    | HeldWallet
    | HeldRequest
    | HeldWord
    | HeldParts
    | HeldFinal
    | Heartbeat
    | Beats
    | HeadAsk
    | HeadSaid
    | HeadRelay
    | DrillRequest
    | DrillPropose
    | DrillNonces
    | DrillOrder
    | DrillPsigs
    | DrillFinal
)
"""Any body."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """One row of the table: the body's type, the cap in bytes, who sends it to whom, and two sentences."""

    body: type[Body]
    cap: int
    senders: frozenset[str]
    durable: str
    repeat: str


def _rule(body: type[Body], cap: int, senders: str, durable: str, repeat: str) -> KindRule:
    return KindRule(body, cap, frozenset(senders.split()), durable, repeat)


_SMALL, _MEDIUM, _LARGE = 4 * 1024, 64 * 1024, 1000 * 1024

KINDS: dict[Kind, KindRule] = {
    Kind.HELLO: _rule(Hello, 16 * 1024, "node coordinator client person", "nothing", "is heard again"),
    Kind.REQUEST: _rule(Request, 536 * 1024, "client", "nothing", "the stored state of that request"),
    Kind.INTENT: _rule(Intent, 16 * 1024, "", "nothing", "is refused: only inside a request"),
    Kind.PROPOSE: _rule(Propose, 540 * 1024, "coordinator", "the request", "the stored verdict"),
    Kind.VERDICT: _rule(Verdict, 5 * 1024, "node", "the request and the verdict", "replaces the older one"),
    Kind.NONCE_REQUEST: _rule(
        NonceRequest, _SMALL, "coordinator", "nothing", "the same live nonces, or Gone"
    ),
    Kind.NONCES: _rule(Nonces, 20 * 1024, "node", "the verdict", "replaces the older ones"),
    Kind.ORDER: _rule(Order, _LARGE, "coordinator", "nothing", "the stored partial signatures"),
    Kind.PARTIAL_SIGNATURES: _rule(
        PartialSignatures, 24 * 1024, "node", "psigs, budget and used nonces", "is ignored"
    ),
    Kind.GONE: _rule(Gone, _SMALL, "node", "nothing", "is ignored"),
    Kind.BUSY: _rule(Busy, _SMALL, "node coordinator", "nothing", "is ignored"),
    Kind.WITHDRAW: _rule(Withdraw, _SMALL, "node", "the owner's no", "is ignored"),
    Kind.FINAL: _rule(Final, 990 * 1024, "coordinator", "the final transaction", "is ignored"),
    Kind.PARTLY_SIGNED: _rule(
        PartlySigned, _LARGE, "coordinator", "the nodes' partial signatures", "is ignored"
    ),
    Kind.COSIGNED: _rule(Cosigned, 140 * 1024, "client", "nothing", "the stored state of that request"),
    Kind.STATUS_QUERY: _rule(StatusQuery, _SMALL, "client person", "nothing", "the newest state"),
    Kind.STATUS: _rule(Status, _LARGE, "coordinator", "the request", "replaces the older one"),
    Kind.KEYGEN_REQUEST: _rule(
        KeygenRequest, _MEDIUM, "client", "nothing", "the stored state of that keygen"
    ),
    Kind.KEYGEN_PROPOSE: _rule(KeygenPropose, _MEDIUM, "coordinator", "the charter", "the stored consent"),
    Kind.KEYGEN_CONSENT: _rule(KeygenConsent, _SMALL, "node", "the owner's yes", "is ignored"),
    Kind.KEYGEN_START: _rule(KeygenStart, 128 * 1024, "coordinator", "nothing", "the same message 1"),
    Kind.KEYGEN_MESSAGE1: _rule(KeygenMessage, _MEDIUM, "node", "nothing", "is ignored"),
    Kind.KEYGEN_COORDINATOR1: _rule(KeygenMessage, 80 * 1024, "coordinator", "nothing", "the same message 2"),
    Kind.KEYGEN_MESSAGE2: _rule(KeygenMessage, _MEDIUM, "node", "that message 2 was sent", "is ignored"),
    Kind.KEYGEN_CERTIFICATE: _rule(
        KeygenCertificate,
        130 * 1024,
        "coordinator",
        "the recovery data",
        "the stored acknowledgement, if any",
    ),
    Kind.KEYGEN_FAULT: _rule(KeygenFault, _SMALL, "node coordinator", "the end of the session", "is ignored"),
    Kind.KEYGEN_INVESTIGATION: _rule(KeygenMessage, 80 * 1024, "coordinator", "nothing", "the same answer"),
    Kind.RECOVERY_ACK: _rule(RecoveryAck, _SMALL, "node", "the owner's confirmation of a copy", "is ignored"),
    Kind.KEYGEN_FINAL: _rule(KeygenFinal, 80 * 1024, "coordinator", "the acknowledgements", "is ignored"),
    Kind.POLICY_CHANGE: _rule(PolicyChange, 512 * 1024, "node", "the proposal", "the stored consent, if any"),
    Kind.POLICY_CONSENT: _rule(
        PolicyConsent, _SMALL, "node person", "the owner's word", "is ignored, or how the change ended"
    ),
    Kind.POLICY_ENDED: _rule(PolicyEnded, _SMALL, "node", "the end of the change", "is ignored"),
    Kind.CLOCK_ASK: _rule(ClockAsk, _SMALL, "node", "nothing", "another answer, not too often"),
    Kind.CLOCK_SAID: _rule(ClockSaid, _SMALL, "node", "nothing", "is ignored"),
    Kind.CLOCK_RELAY: _rule(ClockRelay, _SMALL, "coordinator", "nothing", "as the letter inside"),
    Kind.FREEZE: _rule(FreezeSaid, 1024, "node person", "a node's own freeze", "the stored receipt"),
    Kind.FREEZE_RELAY: _rule(FreezeRelay, 2 * 1024, "coordinator", "nothing", "as the letter inside"),
    Kind.FREEZE_RECEIPT: _rule(FreezeReceipt, 1024, "node", "the freeze", "replaces the older one"),
    Kind.HELD_LIST: _rule(HeldList, _MEDIUM, "node", "nothing", "replaces the older one"),
    Kind.HELD_ASK: _rule(HeldAsk, _SMALL, "coordinator", "nothing", "the same again, not too often"),
    Kind.HELD_WALLET: _rule(HeldWallet, 120 * 1024, "node", "the wallet", "is ignored"),
    Kind.HELD_REQUEST: _rule(HeldRequest, 540 * 1024, "node", "the request", "is ignored"),
    Kind.HELD_WORD: _rule(HeldWord, 2 * 1024, "node", "what the person said", "is ignored"),
    Kind.HELD_PARTS: _rule(HeldParts, _LARGE, "node", "psigs, budget and used nonces", "is ignored"),
    Kind.HELD_FINAL: _rule(HeldFinal, 300 * 1024, "node", "the final transaction", "is ignored"),
    Kind.HEARTBEAT: _rule(Heartbeat, 8 * 1024, "node", "nothing", "is ignored"),
    Kind.BEATS: _rule(Beats, 272 * 1024, "coordinator", "nothing", "as the letters inside"),
    Kind.HEAD_ASK: _rule(HeadAsk, _SMALL, "node", "that it started", "another answer, not too often"),
    Kind.HEAD_SAID: _rule(HeadSaid, 40 * 1024, "node", "nothing", "is ignored"),
    Kind.HEAD_RELAY: _rule(HeadRelay, 41 * 1024, "coordinator", "nothing", "as the letter inside"),
    Kind.DRILL_REQUEST: _rule(DrillRequest, 1024, "client", "nothing", "how it went, once it is over"),
    Kind.DRILL_PROPOSE: _rule(DrillPropose, 2 * 1024, "coordinator", "nothing", "the same live nonce"),
    Kind.DRILL_NONCES: _rule(DrillNonces, 1024, "node", "nothing", "is ignored"),
    Kind.DRILL_ORDER: _rule(DrillOrder, 140 * 1024, "coordinator", "nothing", "the stored partial signature"),
    Kind.DRILL_PSIGS: _rule(DrillPsigs, 1024, "node", "psig and used nonce", "is ignored"),
    Kind.DRILL_FINAL: _rule(DrillFinal, 180 * 1024, "coordinator", "nothing", "is ignored"),
    Kind.POLICY_RELAY: _rule(PolicyRelay, 513 * 1024, "coordinator", "nothing", "as the letter inside"),
    Kind.POLICY_RECEIPT: _rule(PolicyReceipt, 1024, "node", "the person's consent", "is ignored"),
    Kind.CHANGE_LIST: _rule(ChangeList, 128 * 1024, "coordinator", "nothing", "replaces the older one"),
    Kind.PERSON_SAYS: _rule(PersonSays, 1024, "person", "what was said", "the stored state of that request"),
    Kind.PERSON_RELAY: _rule(
        PersonRelay, 2 * 1024, "coordinator", "what the person said", "the stored receipt"
    ),
    Kind.PERSON_RECEIPT: _rule(PersonReceipt, 1024, "node", "what the person said", "replaces the older one"),
    Kind.OPEN_LIST: _rule(OpenList, _MEDIUM, "coordinator", "nothing", "replaces the older one"),
    Kind.WALLET_SHOWN: _rule(WalletShown, 108 * 1024, "coordinator", "the acknowledgements", "is ignored"),
}
"""Every kind of letter: cap on the whole letter in bytes, senders, what is durable before it leaves, a repeat."""

MAX_LETTER_BYTES = max(rule.cap for rule in KINDS.values())
"""No letter of any kind is larger."""
