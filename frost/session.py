"""One signature as two small machines: nonces, then partial signatures, then their sum.

A signer opens a session (its nonce exists), sees everybody's nonces once and signs once. A coordinator opens
one with everybody's nonces, collects partial signatures and closes with a checked BIP 340 signature or with
names. The cluster runs one pair per input; what depends only on the signer set is in `SignerSet` and shared.

    SignerSession.open ── pubnonce ──▶ CoordinatorSession.open
           .sign       ◀── all pubnonces ──
                       ── psig ──────▶        .add … .aggregate ──▶ signature
"""

from collections.abc import Mapping, Sequence

from curve import Point, Scalar, Tweak, TweakContext, schnorr_verify
from frost.errors import InvalidContributionError, ProtocolError, SessionStateError
from frost.keys import KeyShare, SignerSet
from frost.nonces import SecNonce, aggregate, nonce_gen, read_pubnonce
from frost.signing import add_up, derive_values, equation_holds, read_psig, sign_with_values


class SignerSession:
    """One signer's part in one signature. Opened, it holds a fresh nonce; `sign` or `wipe` ends it."""

    __slots__ = ("_msg", "_secnonce", "_share", "_tweak_ctx", "pubnonce")

    def __init__(self, share: KeyShare, tweak_ctx: TweakContext, msg: bytes, secnonce: SecNonce) -> None:
        """For `open`: a session around a nonce that nothing else holds."""
        self._share = share
        self._tweak_ctx = tweak_ctx
        self._msg = msg
        self._secnonce = secnonce
        self.pubnonce = secnonce.pubnonce

    @classmethod
    def open(
        cls,
        share: KeyShare,
        *,
        tweaks: Sequence[Tweak],
        msg: bytes,
        rand: bytes,
        extra_in: bytes | None = None,
    ) -> "SignerSession":
        """Commit to signing `msg` under the tweaked key: afterwards `pubnonce` (66 bytes) may be sent.

        Args:
            rand: 32 fresh, uniformly random bytes, never used before.
            extra_in: anything likely to differ between sessions, such as a request id; mixed into the nonce.

        Raises:
            ValueError: a tweak is out of range, or `rand` is not 32 bytes.
        """
        tweak_ctx = TweakContext.start(share.key.thresh_pk).apply_all(tweaks)
        secnonce, _ = nonce_gen(
            rand,
            secshare=share.secshare,
            signer_id=share.signer_id,
            pubshare=share.pubshare.to_bytes(),
            thresh_pk_xonly=tweak_ctx.xonly(),
            msg=msg,
            extra_in=extra_in,
        )
        return cls(share, tweak_ctx, msg, secnonce)

    @property
    def is_spent(self) -> bool:
        """Whether the nonce is gone, so that this session can no longer sign."""
        return self._secnonce.is_spent

    def sign(self, signers: SignerSet, pubnonces: Mapping[int, bytes], *, self_check: bool = True) -> bytes:
        """Sign once, with these signers and their public nonces (32 bytes).

        The nonce is spent by the call, whatever comes of it; a second call finds nothing to sign with.

        Args:
            pubnonces: exactly one per signer, by id, each as its signer signed it (an error names that signer
                for certain only then). This signer's own must be the one it gave out.
            self_check: as in `frost.sign`.

        Raises:
            SessionStateError: the nonce has been spent.
            ValueError: the signer set is of another key, this signer is not in it, or nonces do not match it.
            InvalidContributionError: a pubnonce is invalid (names its signer).
            ProtocolError: this signer's own nonce was altered on the way (blames the coordinator).
        """
        if self.is_spent:
            raise SessionStateError("this session has already signed or was wiped")
        share, secnonce = self._share, self._secnonce
        try:
            self._check_signers(signers)
            _check_nonces(signers, pubnonces)
            if pubnonces[share.signer_id] != self.pubnonce:
                raise ProtocolError("this signer's own pubnonce was altered", coordinator=True)
            own = secnonce.points
            points = [own if i == share.signer_id else read_pubnonce(pubnonces[i], i) for i in signers.ids]
            values = derive_values(signers, self._tweak_ctx, aggregate(points), self._msg)
            check = values if self_check else None
            return sign_with_values(secnonce, share.secshare, share.signer_id, values, check=check)
        finally:
            secnonce.wipe()

    def wipe(self) -> None:
        """Give up without signing and destroy the nonce. Safe to repeat."""
        self._secnonce.wipe()

    def _check_signers(self, signers: SignerSet) -> None:
        key, signer_id = self._share.key, self._share.signer_id
        if (signers.thresh_pk, signers.n, signers.t) != (key.thresh_pk, key.n, key.t):
            raise ValueError("the signer set belongs to another key")
        if signer_id not in signers.ids:
            raise ValueError("this signer is not in the signer set")
        if signers.pubshares is None:
            return
        if signers.pubshares != tuple([key.pubshares[i] for i in signers.ids]):
            raise ValueError("the signer set holds other public shares than the key")

    def __repr__(self) -> str:
        state = "spent" if self.is_spent else "committed"
        return f"SignerSession(signer {self._share.signer_id}, {state})"


class CoordinatorSession:
    """The coordinator's part in one signature. Holds nothing secret and needs nobody's trust.

    Attributes:
        aggnonce: the aggregate of all public nonces (66 bytes).
    """

    __slots__ = ("_points", "_psigs", "_signature", "_values", "_msg", "aggnonce", "signers")

    def __init__(
        self,
        signers: SignerSet,
        tweak_ctx: TweakContext,
        msg: bytes,
        points: Mapping[int, tuple[Point, Point]],
    ) -> None:
        """For `open`: a session over parsed nonces."""
        R1, R2 = aggregate(list(points.values()))
        self.signers = signers
        self.aggnonce = R1.to_bytes_with_infinity() + R2.to_bytes_with_infinity()
        self._msg = msg
        self._points = dict(points)
        self._values = derive_values(signers, tweak_ctx, (R1, R2), msg)
        self._psigs: dict[int, Scalar] = {}
        self._signature = b""

    @classmethod
    def open(
        cls, signers: SignerSet, *, tweaks: Sequence[Tweak], msg: bytes, pubnonces: Mapping[int, bytes]
    ) -> "CoordinatorSession":
        """Start with the chosen signers and exactly one public nonce from each, by id.

        Raises:
            InvalidContributionError: a pubnonce is invalid (names its signer; choose another set without it).
            ValueError: the nonces do not match the set, or a tweak is out of range.
        """
        _check_nonces(signers, pubnonces)
        points = {i: read_pubnonce(pubnonces[i], i) for i in signers.ids}
        return cls(signers, signers.tweaked(tweaks), msg, points)

    @property
    def missing(self) -> tuple[int, ...]:
        """Ids of the signers whose partial signature has not come yet, in ascending order."""
        return tuple(sorted(set(self.signers.ids) - set(self._psigs)))

    def add(self, signer_id: int, psig: bytes) -> None:
        """Take a signer's partial signature. The same one twice is fine.

        Raises:
            ValueError: the signer is not in this session.
            InvalidContributionError: not a number below the group order, or another one than before.
        """
        if signer_id not in self.signers.ids:
            raise ValueError(f"signer {signer_id} is not in the signer set")
        s = read_psig(psig, signer_id)
        if self._psigs.setdefault(signer_id, s) != s:
            raise InvalidContributionError("psig", culprits=(signer_id,))

    def verify(self, signer_id: int) -> bool:
        """Whether the partial signature that came from this signer is valid; False convicts it.

        Raises:
            SessionStateError: none came yet.
            ValueError: the signer is not in the set, or the set has no public shares.
        """
        if signer_id not in self._psigs:
            raise SessionStateError(f"no partial signature from signer {signer_id} yet")
        pubshare, pubnonce = self.signers.pubshare(signer_id), self._points[signer_id]
        return equation_holds(self._psigs[signer_id], pubnonce, pubshare, signer_id, self._values)

    def aggregate(self) -> bytes:
        """Close the session: the BIP 340 signature (64 bytes), verified under the tweaked x-only key.

        Only if it does not verify are the partial signatures looked at one by one.

        Raises:
            SessionStateError: partial signatures are missing.
            InvalidContributionError: some are invalid (names every signer who sent one).
            ValueError: the signature is invalid and, without public shares, nobody can be named.
        """
        if self._signature:
            return self._signature
        if self.missing:
            raise SessionStateError(f"partial signatures are missing from signers {self.missing}")
        signature = add_up(self._psigs.values(), self._values)
        if not schnorr_verify(self._values.Q, self._msg, signature):
            culprits = tuple(i for i in self.signers.ids if not self.verify(i))
            if not culprits:
                raise RuntimeError("valid partial signatures gave an invalid signature: faulty hardware?")
            raise InvalidContributionError("psig", culprits=culprits)
        self._signature = signature
        return signature

    def __repr__(self) -> str:
        return f"CoordinatorSession(signers {self.signers.ids}, missing {self.missing})"


def _check_nonces(signers: SignerSet, pubnonces: Mapping[int, bytes]) -> None:
    if pubnonces.keys() != set(signers.ids):
        raise ValueError("there must be exactly one public nonce for each signer of the set")
