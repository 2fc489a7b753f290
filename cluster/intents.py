"""Intents as letters: a client device signs one, and everybody who reads a request with it checks it again.

An intent is a letter to nobody: no machine takes it alone, whoever brings it. It counts only inside the request that
carries it, and proves nothing but what its device signed; whether a spend is what was meant, policy says.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.codec import BadLetter, Mouth, open_inner
from cluster.intent_letter import Intent, Outpoint, Payment
from cluster.messages import NO_ID, Kind, SignedLetter
from cluster.roster import Roster
from curve import tagged_hash
from policy import Intent as Intended
from taproot import OutPoint

__all__ = ["SignedIntent", "intended", "read_intent", "sign_intent"]


@dataclass(frozen=True, slots=True)
class SignedIntent:
    """A device's intent, its signature checked: its id (32 bytes), who signed it, until when, and what it says."""

    id: bytes
    device: bytes
    wallet_id: bytes
    expires_at_ms: int
    body: Intent
    signed: SignedLetter


def read_intent(signed: SignedLetter, cluster_id: bytes) -> SignedIntent:
    """Check an intent's form and signature; BadLetter when it is none, or is about another cluster.

    That its device is enrolled, and that the wallet is the request's, is the caller's to check.
    """
    letter = open_inner(signed, Kind.INTENT)
    header = letter.header
    assert isinstance(letter.body, Intent)
    if header.cluster_id != cluster_id:
        raise BadLetter("intent-cluster", "the intent is about another cluster")
    if (header.addressee, header.request_id, header.session_id) != (NO_ID, NO_ID, NO_ID):
        raise BadLetter("intent-form", "an intent is for nobody alone, and for no request")
    # The letter without its signature: signed twice, it is the same intent.
    found = tagged_hash("assent/intent", signed.letter)
    return SignedIntent(found, header.sender, header.wallet_id, header.expires_at_ms, letter.body, signed)


def sign_intent(
    mouth: Mouth,
    wallet_id: bytes,
    outpoint: OutPoint,
    payments: tuple[tuple[bytes, int], ...],
    *,
    max_fee_sats: int,
    made_at_ms: int,
    expires_at_ms: int,
    nonce: bytes,
) -> SignedLetter:
    """A device's intent; ValueError when it is larger than one may be."""
    body = Intent(
        made_at_ms,
        nonce,
        Outpoint(outpoint.txid, outpoint.vout),
        tuple(Payment(script, amount) for script, amount in payments),
        max_fee_sats,
    )
    return mouth.say(Kind.INTENT, NO_ID, body, wallet_id=wallet_id, expires_at_ms=expires_at_ms)


def intended(intent: SignedIntent, roster: Roster) -> Intended:
    """What policy judges by; the device has no name where the roster has no such client."""
    client = roster.client(intent.device)
    body = intent.body
    return Intended(
        id=intent.id,
        device="" if client is None else client.name,
        outpoint=OutPoint(body.outpoint.txid, body.outpoint.vout),
        payments=tuple((payment.script, payment.amount_sats) for payment in body.payments),
        max_fee_sats=body.max_fee_sats,
        expires_at_ms=intent.expires_at_ms,
        made_at_ms=body.made_at_ms,
    )
