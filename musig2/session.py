"""One signature as two small machines: nonces, then partial signatures, then their sum.

The shape is that of `frost.session`: a signer opens a session (its nonce exists), sees everybody's nonces once and
signs once; a coordinator opens one with everybody's nonces, collects partial signatures and closes with a checked
BIP 340 signature or with names. Signers are named by their place in the aggregate key.

    SignerSession.open ── pubnonce ──▶ CoordinatorSession.open
           .sign       ◀── all pubnonces ──
                       ── psig ──────▶        .add … .aggregate ──▶ signature
"""

from __future__ import annotations

from collections.abc import Sequence

from curve import (
    MusigSession,
    PubNonce,
    SecretNonce,
    Tweak,
    is_partial_signature,
    musig_nonce_agg,
    schnorr_verify,
)
from musig2.errors import InvalidContributionError, ProtocolError, SessionStateError
from musig2.keys import AggregateKey, KeyShare


class SignerSession:
    """One signer's part in one signature. Opened, it holds a fresh nonce; `sign` or `wipe` ends it.

    Key and message may be told at once or only when signing: in a tree of quorums they depend on who signs, which
    is known after the nonces. A nonce that was bound to either signs nothing else.
    """

    __slots__ = ("_bound", "_secnonce", "_share", "pubnonce")

    def __init__(self, share: KeyShare, secnonce: SecretNonce, bound: _Bound) -> None:
        """For `open`: a session around a nonce that nothing else holds."""
        self._share = share
        self._secnonce = secnonce
        self._bound = bound
        self.pubnonce = secnonce.pubnonce

    @classmethod
    def open(
        cls,
        share: KeyShare,
        *,
        rand: bytes,
        extra_in: bytes | None = None,
        key: AggregateKey | None = None,
        tweaks: Sequence[Tweak] = (),
        msg: bytes | None = None,
    ) -> SignerSession:
        """Commit to signing once (*NonceGen*): afterwards `pubnonce` (66 bytes) may be sent.

        Args:
            rand: 32 fresh, uniformly random bytes, never used before.
            extra_in: 32 bytes likely to differ between sessions, mixed into the nonce.
            key: what will be signed with, if that is known, under `tweaks`.
            msg: what will be signed (32 bytes), if that is known.

        Raises:
            ValueError: a length is wrong, or a tweak is out of range.
        """
        bound = None if key is None else (key, tuple(tweaks))
        secnonce = SecretNonce.generate(
            rand,
            share.secret,
            share.point,
            key=None if key is None else key.tweaked(tweaks),
            msg=msg,
            extra_in=extra_in,
        )
        return cls(share, secnonce, _Bound(bound, msg))

    @property
    def is_spent(self) -> bool:
        """Whether the nonce is gone, so that this session can no longer sign."""
        return self._secnonce.is_spent

    def sign(
        self,
        key: AggregateKey,
        pubnonces: Sequence[bytes],
        *,
        tweaks: Sequence[Tweak],
        msg: bytes,
        self_check: bool = True,
    ) -> bytes:
        """Sign once, with these signers' public nonces in the order of the key (32 bytes).

        The nonce is spent by the call, whatever comes of it; a second call finds nothing to sign with.

        Args:
            self_check: verify the partial signature before it leaves, against fault attacks.

        Raises:
            SessionStateError: the nonce has been spent.
            ValueError: this signer is not in the key exactly once, nonces do not match it, a length or tweak is
                wrong, or the nonce was bound to another key or message.
            InvalidContributionError: a pubnonce is invalid (names its signer).
            ProtocolError: this signer's own nonce was altered on the way (blames the coordinator).
        """
        if self.is_spent:
            raise SessionStateError("this session has already signed or was wiped")
        try:
            self._bound.check(key, tuple(tweaks), msg)
            _check_count(key, pubnonces)
            place = self._place(key)
            if pubnonces[place] != self.pubnonce:
                raise ProtocolError("this signer's own pubnonce was altered", coordinator=True)
            parsed = _read_all(pubnonces)
            session = MusigSession(key.tweaked(tweaks), musig_nonce_agg(parsed), msg)
            psig = session.sign(self._secnonce, self._share.secret)
            if self_check and not session.verify(psig, parsed[place], self._share.point):
                raise RuntimeError("this signer's own partial signature is wrong: faulty hardware?")
            return psig
        finally:
            self._secnonce.wipe()

    def _place(self, key: AggregateKey) -> int:
        if key.pubkeys.count(self._share.pubkey) != 1:
            raise ValueError("this signer does not stand in the aggregate key exactly once")
        return key.pubkeys.index(self._share.pubkey)

    def wipe(self) -> None:
        """Give up without signing and destroy the nonce. Safe to repeat."""
        self._secnonce.wipe()

    def __repr__(self) -> str:
        return f"SignerSession({self._share.pubkey.hex()}, {'spent' if self.is_spent else 'committed'})"


class _Bound:
    """What a nonce was made for, as far as that was known."""

    __slots__ = ("_key", "_msg")

    def __init__(self, key: tuple[AggregateKey, tuple[Tweak, ...]] | None, msg: bytes | None) -> None:
        self._key = key
        self._msg = msg

    def check(self, key: AggregateKey, tweaks: tuple[Tweak, ...], msg: bytes) -> None:
        """Raises ValueError when something else is to be signed."""
        if self._key is not None and self._key != (key, tweaks):
            raise ValueError("the nonce was made for another key")
        if self._msg is not None and self._msg != msg:
            raise ValueError("the nonce was made for another message")


class CoordinatorSession:
    """The coordinator's part in one signature. Holds nothing secret and needs nobody's trust.

    Attributes:
        key: the aggregate key, untweaked.
        aggnonce: the aggregate of all public nonces (66 bytes).
    """

    __slots__ = ("_msg", "_pubnonces", "_psigs", "_session", "_signature", "_xonly", "aggnonce", "key")

    def __init__(
        self, key: AggregateKey, pubnonces: tuple[PubNonce, ...], tweaks: Sequence[Tweak], msg: bytes
    ) -> None:
        """For `open`: a session over parsed nonces."""
        tweaked = key.tweaked(tweaks)
        self.key = key
        self.aggnonce = musig_nonce_agg(pubnonces)
        self._session = MusigSession(tweaked, self.aggnonce, msg)
        self._xonly = tweaked.point.xonly()
        self._msg = msg
        self._pubnonces = pubnonces
        self._psigs: dict[int, bytes] = {}
        self._signature = b""

    @classmethod
    def open(
        cls, key: AggregateKey, *, tweaks: Sequence[Tweak], msg: bytes, pubnonces: Sequence[bytes]
    ) -> CoordinatorSession:
        """Start with exactly one public nonce from each signer, in the order of the key.

        Raises:
            InvalidContributionError: a pubnonce is invalid (names its signer).
            ValueError: the nonces do not match the key, or a length or tweak is wrong.
        """
        _check_count(key, pubnonces)
        return cls(key, _read_all(pubnonces), tweaks, msg)

    @property
    def missing(self) -> tuple[int, ...]:
        """Places of the signers whose partial signature has not come yet, in ascending order."""
        return tuple(place for place in range(len(self.key.pubkeys)) if place not in self._psigs)

    def add(self, place: int, psig: bytes) -> None:
        """Take a signer's partial signature. The same one twice is fine.

        Raises:
            ValueError: there is no such signer.
            InvalidContributionError: not a number below the group order, or another one than before.
        """
        if not 0 <= place < len(self.key.pubkeys):
            raise ValueError(f"the key has no signer {place}")
        if not is_partial_signature(psig) or self._psigs.setdefault(place, psig) != psig:
            raise InvalidContributionError("psig", culprits=(place,))

    def verify(self, place: int) -> bool:
        """Whether the partial signature that came from this signer is valid; False convicts it.

        Raises:
            SessionStateError: none came yet.
        """
        if place not in self._psigs:
            raise SessionStateError(f"no partial signature from signer {place} yet")
        return self._session.verify(self._psigs[place], self._pubnonces[place], self.key.points[place])

    def aggregate(self) -> bytes:
        """Close the session: the BIP 340 signature (64 bytes), verified under the tweaked x-only key.

        Only if it does not verify are the partial signatures looked at one by one.

        Raises:
            SessionStateError: partial signatures are missing.
            InvalidContributionError: some are invalid (names every signer who sent one).
        """
        if self._signature:
            return self._signature
        if self.missing:
            raise SessionStateError(f"partial signatures are missing from signers {self.missing}")
        signature = self._session.aggregate([self._psigs[place] for place in sorted(self._psigs)])
        if not schnorr_verify(self._xonly, self._msg, signature):
            culprits = tuple(place for place in self._psigs if not self.verify(place))
            if not culprits:
                raise RuntimeError("valid partial signatures gave an invalid signature: faulty hardware?")
            raise InvalidContributionError("psig", culprits=culprits)
        self._signature = signature
        return signature

    def __repr__(self) -> str:
        return f"CoordinatorSession({self.key!r}, missing {self.missing})"


def read_pubnonce(data: bytes, place: int = 0) -> PubNonce:
    """Parse one public nonce. Raises InvalidContributionError that names the signer."""
    try:
        return PubNonce(data)
    except ValueError:
        raise InvalidContributionError("pubnonce", culprits=(place,)) from None


def nonce_agg(pubnonces: Sequence[bytes]) -> bytes:
    """Aggregate the signers' public nonces into 66 bytes (*NonceAgg*).

    Raises:
        InvalidContributionError: a pubnonce is invalid (names the first such signer).
        ValueError: there are none.
    """
    return musig_nonce_agg(_read_all(pubnonces))


def _read_all(pubnonces: Sequence[bytes]) -> tuple[PubNonce, ...]:
    return tuple(read_pubnonce(data, place) for place, data in enumerate(pubnonces))


def _check_count(key: AggregateKey, pubnonces: Sequence[bytes]) -> None:
    if len(pubnonces) != len(key.pubkeys):
        raise ValueError("there must be exactly one public nonce for each signer of the key")
