"""Letters to bytes and back: sign, verify, decode strictly, re-encode and compare.

The order is fixed: size, signature over the exact bytes, decoding, canonical form, then the header's sense.
Whatever is wrong with a letter becomes one `BadLetter` with a code; no input raises anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

import msgspec
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from cluster.messages import (
    KINDS,
    MAX_LETTER_BYTES,
    NO_ID,
    PROTOCOL_VERSION,
    Body,
    Header,
    Kind,
    SignedLetter,
)

SIGNATURE_DOMAIN = b"assent/letter/v1\x00"
"""Stands before the letter's bytes under every signature, so that it can be taken for nothing else."""

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, TypeError, OverflowError)

_MOST_KEPT_BYTES = 4096
"""The largest letter whose signature's check is remembered."""

S = TypeVar("S")


class BadLetter(Exception):
    """A letter that cannot be used, with a stable code; `text` says more, without the letter's content."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Identity(Protocol):
    """An Ed25519 identity key that signs letters; the secret half stays inside."""

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `message`."""


class _Frame(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    header: Header
    body: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter whose form and signature are good, with the bytes that were signed."""

    header: Header
    body: Body
    signed: SignedLetter


_encoder = msgspec.msgpack.Encoder()
_frames = msgspec.msgpack.Decoder(_Frame)
_bodies = {kind: msgspec.msgpack.Decoder(rule.body) for kind, rule in KINDS.items()}


def encode(value: msgspec.Struct) -> bytes:
    """The one encoding of a struct: MessagePack with positional arrays."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[S]) -> S:
    """A struct from its one encoding; ValueError for any other bytes."""
    try:
        value = msgspec.msgpack.decode(data, type=kind)
    except _MALFORMED as error:
        raise ValueError(f"not a {kind.__name__}: {type(error).__name__}") from None
    if _encoder.encode(value) != data:
        raise ValueError(f"not the one encoding of a {kind.__name__}")
    return value


def seal_letter(header: Header, body: Body, identity: Identity) -> SignedLetter:
    """Write and sign a letter; ValueError when it is larger than its kind may be, before anything is sent."""
    letter = _encoder.encode([header, body])
    cap = KINDS[header.kind].cap
    if len(letter) > cap:
        raise ValueError(f"a {header.kind.name} of {len(letter)} bytes is over its cap of {cap}")
    return SignedLetter(letter, identity.sign(SIGNATURE_DOMAIN + letter))


def verify_signature(public: bytes, letter: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is the holder's of `public` (32 bytes) under exactly these letter bytes."""
    if len(signature) != 64 or len(public) != 32:
        return False
    check = _is_genuine_kept if len(letter) <= _MOST_KEPT_BYTES else _is_genuine
    return check(public, letter, signature)


def _is_genuine(public: bytes, letter: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + SIGNATURE_DOMAIN + letter, public)
    except (BadSignatureError, ValueError):
        return False
    return True


# A letter is looked at as it comes, and again wherever it is to prove something: exactly the same three, byte for byte.
_is_genuine_kept = lru_cache(maxsize=256)(_is_genuine)


def forget_checked() -> None:
    """Forget which signatures were checked: for a measurement in which several parties share one process."""
    _is_genuine_kept.cache_clear()


def open_letter(letter: bytes, signature: bytes, sender: bytes) -> Letter:
    """Verify and decode a letter said to be from `sender` (an identity key, 32 bytes).

    Raises:
        BadLetter: oversize, signature, form, version or sender; nothing of the letter was acted upon.
    """
    if len(letter) > MAX_LETTER_BYTES:
        raise BadLetter("letter-oversize", f"{len(letter)} bytes")
    if not verify_signature(sender, letter, signature):
        raise BadLetter("letter-signature", "the signature is not the sender's")
    opened = _decode(letter, signature)
    if opened.header.sender != sender:
        raise BadLetter("letter-sender", "the header names another sender than the signature")
    return opened


def header_of(letter: bytes) -> Header:
    """What a letter claims of itself; BadLetter when it is none. Nothing is checked but its form."""
    if len(letter) > MAX_LETTER_BYTES:
        raise BadLetter("letter-oversize", f"{len(letter)} bytes")
    try:
        return _frames.decode(letter).header
    except _MALFORMED:
        raise BadLetter("letter-form", "not a letter") from None


def open_inner(inner: SignedLetter, *kinds: Kind) -> Letter:
    """Open a letter of one of these kinds found inside another; the caller checks whose it should be."""
    wanted = " or ".join(kind.name for kind in kinds)
    if len(inner.letter) > max(KINDS[kind].cap for kind in kinds):
        raise BadLetter("letter-oversize", f"an inner {wanted} of {len(inner.letter)} bytes")
    opened = _decode(inner.letter, inner.signature)
    if opened.header.kind not in kinds:
        raise BadLetter("letter-kind", f"expected an inner {wanted}")
    if not verify_signature(opened.header.sender, inner.letter, inner.signature):
        raise BadLetter("letter-signature", "the inner signature is not the sender's")
    return opened


def _decode(letter: bytes, signature: bytes) -> Letter:
    try:
        frame = _frames.decode(letter)
    except _MALFORMED:
        raise BadLetter("letter-form", "not a letter") from None
    header = frame.header
    if header.version != PROTOCOL_VERSION:
        raise BadLetter(
            "letter-version", f"protocol {header.version}, and this program speaks {PROTOCOL_VERSION}"
        )
    if len(letter) > KINDS[header.kind].cap:
        raise BadLetter("letter-oversize", f"a {header.kind.name} of {len(letter)} bytes")
    try:
        body: Body = _bodies[header.kind].decode(frame.body)
    except _MALFORMED:
        raise BadLetter("letter-form", f"not a {header.kind.name}") from None
    if _encoder.encode([header, body]) != letter:
        raise BadLetter("letter-form", "not in canonical form")
    return Letter(header, body, SignedLetter(letter, signature))


class Mouth:
    """Writes the letters of one identity: fills the header, counts the sequence of this boot id."""

    def __init__(self, identity: Identity, cluster_id: bytes, boot_id: bytes) -> None:
        self._identity = identity
        self._cluster_id = cluster_id
        self.boot_id = boot_id
        self._sequence = 0

    @property
    def public(self) -> bytes:
        """The identity key its letters are signed with, 32 bytes."""
        return self._identity.public

    def say(
        self,
        kind: Kind,
        addressee: bytes,
        body: Body,
        *,
        expires_at_ms: int,
        wallet_id: bytes = NO_ID,
        request_id: bytes = NO_ID,
        session_id: bytes = NO_ID,
    ) -> SignedLetter:
        """A signed letter with the next sequence number; ValueError when it is over its cap."""
        self._sequence += 1
        header = Header(
            version=PROTOCOL_VERSION,
            kind=kind,
            cluster_id=self._cluster_id,
            wallet_id=wallet_id,
            request_id=request_id,
            session_id=session_id,
            sender=self._identity.public,
            addressee=addressee,
            boot_id=self.boot_id,
            sequence=self._sequence,
            expires_at_ms=expires_at_ms,
        )
        return seal_letter(header, body, self._identity)


IDEMPOTENT = frozenset({Kind.REQUEST, Kind.KEYGEN_REQUEST, Kind.PERSON_SAYS, Kind.DRILL_REQUEST})
"""Bound by their ids: the very same letter may come again, by another way, after others, or to another coordinator,
and changes nothing."""


@dataclass(slots=True)
class Ear:
    """Checks the header's sense for one listener: cluster, addressee, expiry, and no sequence heard twice."""

    cluster_id: bytes
    public: bytes
    peers: frozenset[bytes]
    _heard: dict[bytes, dict[bytes, int]]

    MAX_BOOTS = 8

    @classmethod
    def of(cls, cluster_id: bytes, public: bytes, peers: Iterable[bytes] = ()) -> Ear:
        """An ear for letters of this cluster to this identity key.

        Args:
            peers: to whom a letter that is bound by its ids may have been written instead.
        """
        return cls(cluster_id, public, frozenset(peers), {})

    def check(self, header: Header, wall_ms: int) -> None:
        """Raises BadLetter: another cluster, another addressee, expired, or a sequence that was heard before."""
        if header.cluster_id != self.cluster_id:
            raise BadLetter("letter-cluster", "it is about another cluster")
        is_bound = header.kind in IDEMPOTENT
        if header.addressee != self.public and not (is_bound and header.addressee in self.peers):
            raise BadLetter("letter-addressee", "it is for somebody else")
        if header.expires_at_ms < wall_ms:
            raise BadLetter("letter-expired", "it expired before it arrived; compare the clocks")
        if is_bound:
            return
        boots = self._heard.setdefault(header.sender, {})
        if header.sequence <= boots.get(header.boot_id, 0):
            raise BadLetter("letter-repeated", "its sequence number was heard before")
        boots.pop(header.boot_id, None)
        boots[header.boot_id] = header.sequence
        while len(boots) > self.MAX_BOOTS:
            boots.pop(next(iter(boots)))
