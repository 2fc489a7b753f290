"""Is this approval genuine? What a node may believe of letters that the coordinator passes on."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.charter import Charter
from cluster.codec import BadLetter, Letter, open_inner
from cluster.messages import (
    Decision,
    KeygenConsent,
    Kind,
    Nonces,
    OrderEntry,
    PersonSays,
    SignedLetter,
    Verdict,
)
from cluster.roster import Roster
from policy import Conditions

VERDICT_LIFE_MS = 15 * 60_000
"""An approval counts for at most this long; its maker renews it while it stands."""

NONCE_LIFE_MS = 60_000
"""Nonces are good for this long."""

PERSON_LIFE_MS = 7 * 24 * 3_600_000
"""What a person says of a request counts for at most this long."""

CLOCK_SKEW_MS = 2 * 60_000
"""How far two honest clocks may differ."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One signer of an order: a genuine approval and the nonces it goes with."""

    participant: int
    identity: bytes
    verdict: Verdict
    pubnonces: tuple[bytes, ...]
    nonces_boot_id: bytes
    nonces_letter: bytes
    verdict_letter: Letter


def conditions_of(verdict: Verdict) -> Conditions:
    """What an approval demands of the quorum."""
    return Conditions(
        verdict.need_nodes,
        verdict.roles,
        tuple(frozenset(roles) for roles in verdict.never_only),
        tuple((role, frozenset(digests)) for role, digests in verdict.policies),
    )


def consent_fault(
    consents: tuple[SignedLetter, ...], charter: Charter, charter_digest: bytes, wall_ms: int
) -> str | None:
    """What is wrong with a set of consents, in words; None when every member's is genuine and for this charter."""
    if len(consents) != charter.n:
        return f"{len(consents)} consents for {charter.n} members"
    faults = (
        member_consent_fault(signed, index, charter, charter_digest, wall_ms)
        for index, signed in enumerate(consents)
    )
    return next((fault for fault in faults if fault is not None), None)


def member_consent_fault(
    signed: SignedLetter, index: int, charter: Charter, charter_digest: bytes, wall_ms: int
) -> str | None:
    """What is wrong with one member's consent, in words; None when it is genuine, in force, and for this charter."""
    try:
        letter = open_inner(signed, Kind.KEYGEN_CONSENT)
    except BadLetter as bad:
        return f"consent of member {index}: {bad}"
    header = letter.header
    assert isinstance(letter.body, KeygenConsent)
    if header.sender != charter.members[index].identity:
        return f"consent {index} is not from that member"
    if (header.cluster_id, header.wallet_id) != (charter.cluster_id, charter.wallet_id):
        return f"consent of member {index} is about another wallet"
    if letter.body.charter_digest != charter_digest or header.request_id != charter_digest:
        return f"consent of member {index} is for another charter"
    if header.expires_at_ms < wall_ms:
        return f"consent of member {index} has expired"
    return None


def read_verdict(
    signed: SignedLetter,
    charter: Charter,
    request_id: bytes,
    wall_ms: int,
    *,
    skew_ms: int = 2 * CLOCK_SKEW_MS,
) -> Letter:
    """A member's verdict on this request, in force now; BadLetter says what is wrong with any other.

    Args:
        skew_ms: how far our clock may be behind its maker's; that of whoever passes it on lies between.
    """
    letter = _about(open_inner(signed, Kind.VERDICT), charter, request_id)
    assert isinstance(letter.body, Verdict)
    if letter.body.expires_at_ms > wall_ms + VERDICT_LIFE_MS + skew_ms:
        raise BadLetter("approval-life", "a verdict that claims to count for more than 15 minutes")
    return letter


def read_approval(
    entry: OrderEntry, charter: Charter, request_id: bytes, spend_id: bytes, count: int, wall_ms: int
) -> Approval:
    """One entry of an order, checked alone; BadLetter when it proves no approval with `count` nonces of now."""
    verdict_letter = read_verdict(entry.verdict, charter, request_id, wall_ms)
    verdict = verdict_letter.body
    assert isinstance(verdict, Verdict)
    if verdict.decision is not Decision.APPROVE or verdict.spend_id != spend_id:
        raise BadLetter("approval-missing", "a signer's verdict does not approve this spend")
    if verdict.expires_at_ms < wall_ms:
        raise BadLetter("approval-expired", "a signer's approval has expired")
    nonces_letter = _about(open_inner(entry.nonces, Kind.NONCES), charter, request_id)
    nonces = nonces_letter.body
    assert isinstance(nonces, Nonces)
    if nonces_letter.header.sender != verdict_letter.header.sender:
        raise BadLetter("order-nonces", "nonces and verdict are from different signers")
    if len(nonces.pubnonces) != count:
        raise BadLetter("order-nonces", f"{len(nonces.pubnonces)} nonces for {count} signing tasks")
    if nonces.expires_at_ms < wall_ms:
        raise BadLetter("order-nonces-expired", "a signer's nonces have expired")
    participant = charter.participant(verdict_letter.header.sender)
    assert participant is not None  # _about checked it
    return Approval(
        participant,
        verdict_letter.header.sender,
        verdict,
        nonces.pubnonces,
        nonces_letter.header.boot_id,
        entry.nonces.letter,
        verdict_letter,
    )


def read_person(signed: SignedLetter, roster: Roster, wall_ms: int) -> Letter:
    """What a person of the roster says of a request, good now; BadLetter says what is wrong with any other."""
    letter = open_inner(signed, Kind.PERSON_SAYS)
    header, body = letter.header, letter.body
    assert isinstance(body, PersonSays)
    if roster.person(header.sender) is None:
        raise BadLetter("person-stranger", "it is not from a person of the roster")
    if header.cluster_id != roster.cluster_id:
        raise BadLetter("person-cluster", "it is about another cluster")
    if not body.said_at_ms < header.expires_at_ms <= body.said_at_ms + PERSON_LIFE_MS:
        raise BadLetter(
            "person-life", "a word that claims to count for more than a week, or for no time at all"
        )
    if header.expires_at_ms < wall_ms:
        raise BadLetter("person-expired", "it expired before it came")
    if body.said_at_ms > wall_ms + CLOCK_SKEW_MS:
        raise BadLetter("person-clock", "it was said in the future; compare the clocks")
    return letter


def check_person_about(letter: Letter, *, request_id: bytes, wallet_id: bytes, spend_id: bytes) -> None:
    """Raises BadLetter unless a person's word is about exactly this request, its wallet and its spend."""
    header, body = letter.header, letter.body
    assert isinstance(body, PersonSays)
    if header.request_id != request_id:
        raise BadLetter("person-request", "it is about another request")
    if header.wallet_id != wallet_id:
        raise BadLetter("person-wallet", "it is about another wallet")
    if body.spend_id != spend_id:
        raise BadLetter("person-spend", "it is about another spend")


def _about(letter: Letter, charter: Charter, request_id: bytes) -> Letter:
    header = letter.header
    if charter.participant(header.sender) is None:
        raise BadLetter("approval-stranger", "it is not from a member of this wallet")
    if (header.cluster_id, header.wallet_id) != (charter.cluster_id, charter.wallet_id):
        raise BadLetter("approval-wallet", "it is about another wallet")
    if header.request_id != request_id:
        raise BadLetter("approval-request", "it is about another request")
    return letter
