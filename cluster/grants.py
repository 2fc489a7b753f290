"""Grants at a node: its owner signs one, the record keeps the exact bytes, and every start checks the signature again.

Making one needs the owner's passphrase, which opens the seed that holds the identity key. Ending one is tightening:
it needs no proof and holds at once. How much of a grant is used stands in the book (`policy.granting`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from cluster.codec import decode, encode
from cluster.journal import GrantKept, GrantRevoked
from cluster.messages import Bytes32, Millis
from cluster.record_body import Body
from curve import tagged_hash
from policy import Grant

__all__ = ["GRANT_DOMAIN", "MAX_AHEAD_MS", "MAX_LIVE", "GrantBody", "Grants", "sign_grant"]

GRANT_DOMAIN = b"assent/grant/v1\x00"
"""Stands before a grant's bytes under its signature, so that it can be taken for nothing else."""

MAX_LIVE = 1_000
"""The most grants a node keeps that have neither run out nor been ended."""

MAX_AHEAD_MS = 3 * 366 * 86_400_000
"""How far ahead a grant's date may lie: three years."""

MAX_AGE_MS = 10 * 60_000
"""How far the time of making may lie from the clock of the node that takes it: both are one machine's."""


class GrantBody(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What an owner signs: up to so much of a wallet to a script, until then, in so many spends at most."""

    wallet_id: Bytes32
    script: Annotated[bytes, Meta(min_length=1, max_length=10_000)]
    sum_sats: Annotated[int, Meta(ge=1, le=21 * 10**14)]
    until_ms: Millis
    payments: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    must_sign: Annotated[str, Meta(max_length=31, pattern=r"^[a-z0-9-]*\Z")]
    made_at_ms: Millis
    nonce: Bytes32


@dataclass(frozen=True, slots=True)
class Kept:
    """A grant in force: of which wallet, and what it says."""

    wallet_id: bytes
    grant: Grant


def sign_grant(body: GrantBody, sign: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    """The exact bytes of a grant, and the signature of the node's identity key."""
    exact = encode(body)
    return exact, sign(GRANT_DOMAIN + exact)


class Grants:
    """The grants that a node goes by, in the order in which they were made."""

    def __init__(self, owner: bytes) -> None:
        """`owner` is the node's identity key (32 bytes): only what it signed counts."""
        self._owner = owner
        self._kept: dict[bytes, Kept] = {}
        self._known: set[bytes] = set()

    def of(self, wallet_id: bytes) -> tuple[Grant, ...]:
        """Those of a wallet that were not ended, whether they have run out or not."""
        return tuple(kept.grant for kept in self._kept.values() if kept.wallet_id == wallet_id)

    def find(self, grant_id: bytes) -> Kept:
        """The grant of this id; ValueError when there is none in force."""
        kept = self._kept.get(grant_id)
        if kept is None:
            raise ValueError(
                "this grant was ended before"
                if grant_id in self._known
                else "no grant of that id is known here"
            )
        return kept

    @property
    def all(self) -> tuple[Kept, ...]:
        """Every grant that was not ended."""
        return tuple(self._kept.values())

    # Records.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take a record into account; ValueError for a grant that this node's owner did not sign, or not like this."""
        match entry:
            case GrantKept(grant=exact, signature=signature):
                kept = self._read(exact, signature)
                if kept.wallet_id != wallet_id or kept.grant.id in self._known:
                    raise ValueError("the grant is another wallet's, or stands here twice")
                self._kept[kept.grant.id] = kept
                self._known.add(kept.grant.id)
            case GrantRevoked(grant_id=grant_id):
                if self.find(grant_id).wallet_id != wallet_id:
                    raise ValueError("the grant that ends is another wallet's")
                del self._kept[grant_id]
            case _:
                pass

    def check_new(
        self, exact: bytes, signature: bytes, roles: Callable[[bytes], tuple[str, ...]], now_ms: int
    ) -> Kept:
        """A grant that may be taken now; ValueError, with one sentence, for any other.

        `roles` gives the roles of a wallet's nodes, none where there is no such wallet here.
        """
        kept = self._read(exact, signature)
        grant, members = kept.grant, roles(kept.wallet_id)
        if grant.id in self._known:
            raise ValueError("this grant is known here already")
        if not members:
            raise ValueError("no such wallet exists here")
        if grant.must_sign and members.count(grant.must_sign) != 1:
            raise ValueError(f"not one node alone has the role {grant.must_sign} that must sign")
        if not now_ms < grant.until_ms <= now_ms + MAX_AHEAD_MS:
            raise ValueError("its date is over already, or more than three years ahead")
        if abs(grant.made_at_ms - now_ms) > MAX_AGE_MS:
            raise ValueError("it was not made just now; compare the clocks")
        if sum(other.grant.until_ms > now_ms for other in self._kept.values()) >= MAX_LIVE:
            raise ValueError(f"there are {MAX_LIVE} grants in force already; end one first")
        return kept

    def _read(self, exact: bytes, signature: bytes) -> Kept:
        try:
            VerifyKey(self._owner).verify(GRANT_DOMAIN + exact, signature)
        except (BadSignatureError, ValueError):
            raise ValueError("the grant is not signed by this node's owner") from None
        body = decode(exact, GrantBody)
        grant = Grant(
            id=tagged_hash("assent/grant", exact),
            script=body.script,
            sum_sats=body.sum_sats,
            until_ms=body.until_ms,
            payments=body.payments,
            must_sign=body.must_sign,
            made_at_ms=body.made_at_ms,
        )
        return Kept(body.wallet_id, grant)
