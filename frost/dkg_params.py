"""Who takes part in a key generation: host keys, session parameters, and their hash for people to compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from curve import Point, SecretScalar, tagged_hash
from frost.dkg_errors import (
    DuplicateHostPubkeyError,
    HostSeckeyError,
    InvalidHostPubkeyError,
    ThresholdOrCountError,
)
from frost.keys import MAX_PARTICIPANTS
from frost.vss import BIP_TAG

HostSeckey = bytes | bytearray | SecretScalar
"""A participant's long-term secret key: 32 bytes, or (better) a secret scalar that is never copied out."""


def host_secret(hostseckey: HostSeckey) -> SecretScalar:
    """A host secret key as a secret scalar.

    Raises:
        ValueError: it does not have 32 bytes, or has been wiped.
        HostSeckeyError: it is zero or not below the group order.
    """
    if isinstance(hostseckey, SecretScalar):
        if hostseckey.is_wiped:
            raise ValueError("this host secret key has been wiped")
        return hostseckey
    if len(hostseckey) != 32:
        raise ValueError("a host secret key has 32 bytes")
    try:
        return SecretScalar.from_bytes(hostseckey)
    except ValueError:
        raise HostSeckeyError("host secret key is zero or out of range") from None


def hostpubkey_gen(hostseckey: HostSeckey) -> bytes:
    """The host public key (33 bytes) of a host secret key: the participant's identity in key generations.

    Raises:
        ValueError: the key does not have 32 bytes.
        HostSeckeyError: it is zero or not below the group order.
    """
    return host_secret(hostseckey).point().to_bytes()


@dataclass(frozen=True, slots=True, init=False)
class SessionParams:
    """The common parameters of a session, valid by construction.

    Every participant must have *authentic* host public keys of all the others before the session: the
    roster sees to it.

    Attributes:
        hostpubkeys: the participants' host public keys (33 bytes each); the place is the participant's id.
        t: how many participants it takes to sign.
    """

    hostpubkeys: tuple[bytes, ...]
    t: int

    def __init__(self, hostpubkeys: Iterable[bytes], t: int) -> None:
        """Check the parameters (`params_validate`).

        Raises:
            ThresholdOrCountError: not 1 <= t <= n <= 128.
            InvalidHostPubkeyError: a key is not a compressed public key; names the participant.
            DuplicateHostPubkeyError: two participants have the same key; names both.
        """
        keys = tuple(bytes(key) for key in hostpubkeys)
        if not 1 <= t <= len(keys) <= MAX_PARTICIPANTS:
            raise ThresholdOrCountError(f"not 1 <= t <= n <= {MAX_PARTICIPANTS}: t = {t}, n = {len(keys)}")
        for i, key in enumerate(keys):
            try:
                Point.from_bytes(key)
            except ValueError as e:
                raise InvalidHostPubkeyError(i) from e
        seen: dict[bytes, int] = {}
        for i, key in enumerate(keys):
            if key in seen:
                raise DuplicateHostPubkeyError(seen[key], i)
            seen[key] = i
        object.__setattr__(self, "hostpubkeys", keys)
        object.__setattr__(self, "t", t)

    @property
    def n(self) -> int:
        """The number of participants."""
        return len(self.hostpubkeys)

    def participant_id(self, hostpubkey: bytes) -> int:
        """Whose key this is. Raises HostSeckeyError if it is nobody's."""
        try:
            return self.hostpubkeys.index(hostpubkey)
        except ValueError:
            raise HostSeckeyError("host secret key does not match any host public key") from None


def params_hash(params: SessionParams) -> bytes:
    """A hash of the session parameters (32 bytes), for comparison out of band."""
    return tagged_hash(BIP_TAG + "params_hash", params.t.to_bytes(4), *params.hostpubkeys)
