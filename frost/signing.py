"""The second round of BIP 445 0.12.1: partial signatures, their verification, and their aggregation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from curve import Point, Scalar, SecretScalar, Tweak, TweakContext, tagged_hash
from frost.errors import InvalidContributionError
from frost.keys import SignerSet
from frost.nonces import SecNonce, aggregate, read_aggnonce, read_pubnonce

_ONE = Scalar(1)


@dataclass(frozen=True, slots=True)
class SessionContext:
    """Everything public about one signature: the checked signer set, aggregate nonce, tweaks and message.

    The threshold key and shares in `signers` come from one's own key generation, never from a coordinator.
    """

    signers: SignerSet
    aggnonce: bytes
    tweaks: tuple[Tweak, ...]
    msg: bytes


class SessionValues(NamedTuple):
    """What the algorithms need from a session (*GetSessionValues*).

    Attributes:
        Q: the x-only tweaked threshold public key (32 bytes), under which the signature will verify.
        negate_shares: whether g · gacc = -1, so that every share counts negatively.
        tweak_share: g · tacc, the part of the secret key that the tweaks add.
        b: the nonce coefficient.
        R: the final nonce.
        e: the challenge.
    """

    signers: SignerSet
    Q: bytes
    negate_shares: bool
    tweak_share: Scalar
    b: Scalar
    R: Point
    e: Scalar

    def weight(self, signer_id: int) -> Scalar:
        """e · λ · g · gacc: how often this signer's share counts in the signature. Raises ValueError."""
        weight = self.e * self.signers.interpolating_value(signer_id)
        return -weight if self.negate_shares else weight


def get_session_values(session_ctx: SessionContext) -> SessionValues:
    """Derive a session's values (*GetSessionValues*).

    Raises:
        ValueError: a tweak is out of range or gives infinity.
        InvalidContributionError: the aggregate nonce is invalid (blames the coordinator).
    """
    tweak_ctx = session_ctx.signers.tweaked(session_ctx.tweaks)
    return derive_values(session_ctx.signers, tweak_ctx, read_aggnonce(session_ctx.aggnonce), session_ctx.msg)


def derive_values(
    signers: SignerSet, tweak_ctx: TweakContext, aggnonce: tuple[Point, Point], msg: bytes
) -> SessionValues:
    """The same from parsed parts; `tweak_ctx` must come from `signers.tweaked`."""
    R1, R2 = aggnonce
    Q = tweak_ctx.xonly()
    nonces = R1.to_bytes_with_infinity() + R2.to_bytes_with_infinity()
    b = Scalar.from_bytes_reduced(tagged_hash("BIP0445/noncecoef", signers.serialized, nonces, Q, msg))
    R = R1 + b * R2
    if R.is_infinity:
        # Somebody cheated. Signing goes on with G, so that verifying the partial signatures shows who
        # (BIP 445, Dealing with Infinity in Nonce Aggregation).
        R = Point.GENERATOR
    e = Scalar.from_bytes_reduced(tagged_hash("BIP0340/challenge", R.xonly(), Q, msg))
    if not b or not e:  # never seen
        raise ValueError("a hash is zero modulo the group order")
    return SessionValues(signers, Q, tweak_ctx.negates_secret(), tweak_ctx.secret_offset(), b, R, e)


def sign(
    secnonce: SecNonce,
    secshare: SecretScalar,
    signer_id: int,
    session_ctx: SessionContext,
    *,
    self_check: bool = True,
) -> bytes:
    """Make one signer's partial signature, 32 bytes (*Sign*). Spends the nonce, whatever comes of it.

    Args:
        self_check: verify the result before it leaves, so that a computing fault cannot leak the share. Costs
            as much again; only benchmarks switch it off.

    Raises:
        ValueError: the signer or its share does not belong to the session, or a tweak is out of range.
        SessionStateError: the nonce has been used before.
        InvalidContributionError: the aggregate nonce is invalid (blames the coordinator).
    """
    try:
        values = get_session_values(session_ctx)
        if session_ctx.signers.pubshares is not None and secshare.point() != values.signers.pubshare(
            signer_id
        ):
            raise ValueError("the secret share does not match the signer's public share")
        check = values if self_check else None
        return sign_with_values(secnonce, secshare, signer_id, values, check=check)
    finally:
        secnonce.wipe()


def sign_with_values(
    secnonce: SecNonce,
    secshare: SecretScalar,
    signer_id: int,
    values: SessionValues,
    *,
    check: SessionValues | None,
) -> bytes:
    """*Sign* for a share that is known to be this signer's. Spends the nonce. Raises as `sign` does.

    Args:
        check: what the result is verified against before it leaves: `values` themselves for a fresh nonce,
            the same computed once more for a deterministic one.
    """
    k1, k2 = secnonce.take()
    try:
        weight = values.weight(signer_id)
        sign, b = (_ONE, values.b) if values.R.has_even_y() else (-_ONE, -values.b)
        # From here on it is public.
        psig = SecretScalar.weighted_sum((sign, k1), (b, k2), (weight, secshare)).expose()
    finally:
        k1.wipe()
        k2.wipe()
    # The public halves of nonce and share were computed earlier: a bit that has flipped since then in either
    # secret shows here.
    if check is not None and not equation_holds(
        Scalar.from_bytes(psig), secnonce.points, secshare.point(), signer_id, check
    ):
        raise RuntimeError("the partial signature failed its own check and was destroyed: faulty hardware?")
    return psig


def deterministic_sign(
    secshare: SecretScalar,
    signer_id: int,
    aggothernonce: bytes | None,
    signers: SignerSet,
    tweaks: Sequence[Tweak],
    msg: bytes,
    aux_rand: bytes | None = None,
    *,
    self_check: bool = True,
) -> tuple[bytes, bytes]:
    """Sign in one trip and without state, after all others have committed (*DeterministicSign*).

    At most one signer of a session may sign so.

    Args:
        aggothernonce: `nonce_agg` over **all** other signers' public nonces; None exactly if there are none.
        aux_rand: 32 random bytes, or None where there is no randomness at all.

    Returns:
        (pubnonce, psig).

    Raises:
        ValueError: as for `sign`; or `aggothernonce` is missing, superfluous or not 66 bytes.
        InvalidContributionError: `aggothernonce` is invalid (blames the coordinator).
    """
    if (aggothernonce is None) != (len(signers.ids) == 1):
        raise ValueError("aggothernonce must be there exactly if there are other signers")
    if aggothernonce is not None and len(aggothernonce) != 66:
        raise ValueError("aggothernonce must be 66 bytes")
    if aux_rand is not None and len(aux_rand) != 32:
        raise ValueError("aux_rand must be 32 bytes")
    tweak_ctx = signers.tweaked(tweaks)
    if signers.pubshares is not None and secshare.point() != signers.pubshare(signer_id):
        raise ValueError("the secret share does not match the signer's public share")
    others = _read_aggothernonce(aggothernonce)
    secnonce = _deterministic_nonce(
        secshare, signer_id, aggothernonce or b"", signers, tweak_ctx, msg, aux_rand
    )
    values = derive_values(signers, tweak_ctx, aggregate([secnonce.points, *others]), msg)
    check = None
    if self_check:
        # Here a fault in any *public* value is fatal too: a second partial signature with the same nonce and
        # another b, e or λ gives the share away. So all of them are computed twice.
        fresh = replace(signers)
        points = aggregate([secnonce.points, *_read_aggothernonce(aggothernonce)])
        check = derive_values(fresh, fresh.tweaked(tweaks), points, msg)
    psig = sign_with_values(secnonce, secshare, signer_id, values, check=check)
    return secnonce.pubnonce, psig


def _deterministic_nonce(
    secshare: SecretScalar,
    signer_id: int,
    aggothernonce: bytes,
    signers: SignerSet,
    tweak_ctx: TweakContext,
    msg: bytes,
    aux_rand: bytes | None,
) -> SecNonce:
    """The nonce commits to the signer set, or replayed sessions with other sets would give the share away."""
    d = secshare.negate() if tweak_ctx.negates_secret() else secshare
    masked = d if aux_rand is None else d.masked(tagged_hash("BIP0445/aux", aux_rand))
    public = b"".join(
        (
            signer_id.to_bytes(4),
            signers.serialized,
            len(aggothernonce).to_bytes(1),
            aggothernonce,
            tweak_ctx.xonly(),
            len(msg).to_bytes(8),
            msg,
        )
    )
    return SecNonce(*SecretScalar.derive_pair("BIP0445/deterministic/nonce", masked, public))


def _read_aggothernonce(data: bytes | None) -> tuple[tuple[Point, Point], ...]:
    """No half may be infinity here: the spec reads it with the rules for a pubnonce."""
    if data is None:
        return ()
    try:
        return (read_pubnonce(data, 0),)
    except InvalidContributionError:
        raise InvalidContributionError("aggothernonce", coordinator=True) from None


def partial_sig_verify(
    psig: bytes,
    pubnonces: Sequence[bytes],
    signers: SignerSet,
    tweaks: Sequence[Tweak],
    msg: bytes,
    signer_id: int,
) -> bool:
    """Whether a signer's partial signature is valid (*PartialSigVerify*); False convicts that signer.

    Args:
        pubnonces: in the order of `signers.ids`.

    Raises:
        InvalidContributionError: somebody's pubnonce is invalid ("pubnonce", names that signer).
        ValueError: the session has no public shares, the signer is not in it, or a list has the wrong length.
    """
    pubshare = signers.pubshare(signer_id)
    if len(pubnonces) != len(signers.ids):
        raise ValueError("there must be one public nonce for each signer")
    points = [read_pubnonce(data, i) for i, data in zip(signers.ids, pubnonces, strict=True)]
    values = derive_values(signers, signers.tweaked(tweaks), aggregate(points), msg)
    try:
        s = read_psig(psig, signer_id)
    except InvalidContributionError:
        return False
    return equation_holds(s, points[signers.ids.index(signer_id)], pubshare, signer_id, values)


def equation_holds(
    s: Scalar, pubnonce: tuple[Point, Point], pubshare: Point, signer_id: int, values: SessionValues
) -> bool:
    """*PartialSigVerifyInternal* on parsed values: s · G = Re + e · λ · g' · P."""
    R1, R2 = pubnonce
    effective = R1 + values.b * R2
    if not values.R.has_even_y():
        effective = -effective
    return s * Point.GENERATOR == effective + values.weight(signer_id) * pubshare


def partial_sig_agg(psigs: Sequence[bytes], session_ctx: SessionContext) -> bytes:
    """Add up the partial signatures to a BIP 340 signature, 64 bytes (*PartialSigAgg*).

    It is valid if every partial signature is; check it before use.

    Args:
        psigs: in the order of the session's ids.

    Raises:
        InvalidContributionError: a psig is not a number below the group order ("psig", names the first such
            signer), or the aggregate nonce is invalid (blames the coordinator).
        ValueError: the number of psigs is wrong, or a tweak is out of range.
    """
    values = get_session_values(session_ctx)
    ids = session_ctx.signers.ids
    if len(psigs) != len(ids):
        raise ValueError("there must be one partial signature for each signer")
    return add_up([read_psig(psig, i) for i, psig in zip(ids, psigs, strict=True)], values)


def add_up(psigs: Iterable[Scalar], values: SessionValues) -> bytes:
    """*PartialSigAgg* on parsed partial signatures, one from each signer: the signature, not yet checked."""
    s = sum(psigs, start=values.e * values.tweak_share)
    return values.R.xonly() + s.to_bytes()


def read_psig(psig: bytes, signer_id: int) -> Scalar:
    """Parse a partial signature. Raises InvalidContributionError that names the signer."""
    try:
        return Scalar.from_bytes(psig)
    except ValueError:
        raise InvalidContributionError("psig", culprits=(signer_id,)) from None
