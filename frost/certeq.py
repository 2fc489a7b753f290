"""The signatures of host keys in ChillDKG: on the transcript (CertEq), and on recovery data received."""

from __future__ import annotations

from curve import SecretScalar, schnorr_sign, schnorr_verify
from frost.vss import BIP_TAG


def _message(purpose: str, participant_id: int, data: bytes) -> bytes:
    # Domain separation as described in BIP 340: 33 bytes with which no other message begins.
    return (BIP_TAG + purpose).encode().ljust(33, b"\0") + participant_id.to_bytes(4) + data


# When verifying, the sign byte of a host public key may be dropped: transcript and recovery data hold all of
# them in full, and the message holds the id.


def certeq_sign(hostseckey: SecretScalar, transcript: bytes, participant_id: int, aux_rand: bytes) -> bytes:
    """Sign the transcript: a participant's second message (64 bytes)."""
    return schnorr_sign(hostseckey, _message("certeq message", participant_id, transcript), aux_rand)


def certeq_verify(hostpubkey: bytes, transcript: bytes, participant_id: int, sig: bytes) -> bool:
    """Whether this participant signed the transcript. Total."""
    return schnorr_verify(hostpubkey[1:], _message("certeq message", participant_id, transcript), sig)


def ack_sign(hostseckey: SecretScalar, recovery_data: bytes, participant_id: int, aux_rand: bytes) -> bytes:
    """Acknowledge the recovery data (64 bytes)."""
    message = _message("recovery acknowledgment", participant_id, recovery_data)
    return schnorr_sign(hostseckey, message, aux_rand)


def ack_verify(hostpubkey: bytes, recovery_data: bytes, participant_id: int, ack: bytes) -> bool:
    """Whether this participant acknowledged the recovery data. Total."""
    message = _message("recovery acknowledgment", participant_id, recovery_data)
    return schnorr_verify(hostpubkey[1:], message, ack)
