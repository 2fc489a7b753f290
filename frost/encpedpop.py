"""EncPedPop: SimplPedPop with encrypted shares, so that an untrusted coordinator may carry and sum them.

Each share is encrypted by adding a pad that only its sender and receiver can derive. The coordinator adds
up what is addressed to one participant; the participant subtracts the sum of the pads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from curve import Point, Scalar, SecretScalar
from frost.dkg_errors import (
    FaultyCoordinatorError,
    FaultyParticipantOrCoordinatorError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from frost.dkg_messages import CoordinatorInvestigationMsg, CoordinatorMsg1, ParticipantMsg1
from frost.simplpedpop import (
    assemble_sum_coms,
    check_contributions,
    participant_step1,
    verify_secshare,
)
from frost.vss import BIP_TAG, VSSCommitment, sum_scalars

# Encryption


def serialize_enc_context(t: int, enckeys: Sequence[bytes]) -> bytes:
    """What every pad is bound to: the threshold and all participants' keys."""
    return t.to_bytes(4) + b"".join(enckeys)


def _ecdh_pad(
    seckey: SecretScalar, their_pubkey: Point, *, sender: bytes, receiver: bytes, context: bytes
) -> SecretScalar:
    shared = seckey.ecdh(their_pubkey)
    pad = SecretScalar.derive(BIP_TAG + "encpedpop ecdh", shared, sender, receiver, context)
    shared.wipe()
    return pad


def _self_pad(symkey: SecretScalar, nonce: bytes, context: bytes) -> SecretScalar:
    # A pad for ourselves saves the ECDH. It is also the one addend that nobody else can know or choose.
    return SecretScalar.derive(BIP_TAG + "encaps_multi self_pad", symkey, nonce, context)


def _encaps_multi(
    secnonce: SecretScalar,
    deckey: SecretScalar,
    enckeys: Sequence[bytes],
    context: bytes,
    participant_id: int,
) -> tuple[SecretScalar, ...]:
    # The "Hashed ElGamal" multi-recipient KEM of Pinto, Poettering and Schuldt (AsiaCCS 2014), section 5:
    # the receiver's index goes into the hash. Here the nonce and the context do, too.
    pubnonce = secnonce.point().to_bytes()
    pads = []
    for i, enckey in enumerate(enckeys):
        indexed = i.to_bytes(4) + context
        if i == participant_id:
            pads.append(_self_pad(deckey, pubnonce, indexed))
        else:
            their = Point.from_bytes(enckey)
            pads.append(_ecdh_pad(secnonce, their, sender=pubnonce, receiver=enckey, context=indexed))
    return tuple(pads)


def decaps_multi(
    deckey: SecretScalar, pubnonces: Sequence[bytes], context: bytes, participant_id: int
) -> tuple[SecretScalar, ...]:
    """Derive the pads of what the senders encrypted to us.

    Raises:
        FaultyParticipantOrCoordinatorError: a sender's encryption nonce is not a point.
    """
    enckey = deckey.point().to_bytes()
    indexed = participant_id.to_bytes(4) + context
    pads = []
    for sender_id, pubnonce in enumerate(pubnonces):
        if sender_id == participant_id:
            pads.append(_self_pad(deckey, pubnonce, indexed))
            continue
        try:
            their = Point.from_bytes(pubnonce)
        except ValueError as e:
            _wipe(pads)
            raise FaultyParticipantOrCoordinatorError(sender_id, "invalid public nonce") from e
        pads.append(_ecdh_pad(deckey, their, sender=pubnonce, receiver=enckey, context=indexed))
    return tuple(pads)


def decrypt_sum(
    sum_ciphertexts: Scalar, pads: Sequence[SecretScalar], participant_id: int
) -> SecretScalar | None:
    """Subtract all pads from a sum of ciphertexts; None if the result is zero.

    Starts from our own pad, which nobody else knows, so that no group of senders can choose theirs to make an
    intermediate sum zero.
    """
    total = pads[participant_id].negate()
    for i, pad in enumerate(pads):
        if i != participant_id:
            minus = pad.negate()
            previous, total = total, total.add(minus)
            minus.wipe()
            previous.wipe()
    result = _add_public(total, sum_ciphertexts)
    total.wipe()
    return result


def _add_public(secret: SecretScalar, public: Scalar) -> SecretScalar | None:
    """secret + public; None if that is zero, which a sender who knows the pad can bring about."""
    try:
        return secret.add(public)
    except ValueError:
        return None


def _wipe(secrets: Sequence[SecretScalar]) -> None:
    for secret in secrets:
        secret.wipe()


# Participant


@dataclass(frozen=True, slots=True)
class ParticipantState:
    """What a participant keeps between the two steps. No secret: the host key derives what step 2 needs."""

    t: int
    enckeys: tuple[bytes, ...]
    participant_id: int
    com_to_secret: Point
    pubnonce: bytes


class InvestigationData:
    """What an investigation needs of a failed step 2: our public share, and the pads, which are secret."""

    __slots__ = ("enc_secshare", "pads", "participant_id", "pubshare")

    def __init__(
        self, *, participant_id: int, pubshare: Point, enc_secshare: Scalar, pads: tuple[SecretScalar, ...]
    ) -> None:
        self.participant_id = participant_id
        self.pubshare = pubshare
        self.enc_secshare = enc_secshare
        self.pads = pads

    def wipe(self) -> None:
        """Forget the pads."""
        _wipe(self.pads)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __repr__(self) -> str:
        return "InvestigationData(…)"


def encpedpop_step1(
    deckey: SecretScalar, enckeys: tuple[bytes, ...], t: int, participant_id: int, random: bytes
) -> tuple[ParticipantState, ParticipantMsg1]:
    """Deal shares and encrypt them to the other participants' keys (`encpedpop.participant_step1`).

    The encryption nonce is derived from the seed of the shares, so that the same pads never meet different
    shares.
    """
    context = serialize_enc_context(t, enckeys)
    simpl_seed = SecretScalar.derive(BIP_TAG + "encpedpop seed", deckey, random, context)
    aux_rand = SecretScalar.derive(BIP_TAG + "simplpedpop aux", simpl_seed)
    secnonce = SecretScalar.derive(BIP_TAG + "encpedpop secnonce", simpl_seed)
    pubnonce = secnonce.point().to_bytes()

    dealt = participant_step1(simpl_seed, t, len(enckeys), participant_id, aux_rand.expose())
    pads = _encaps_multi(secnonce, deckey, enckeys, context, participant_id)
    enc_shares = []
    for share, pad in zip(dealt.partial_secshares, pads, strict=True):
        ciphertext = share.add(pad)
        enc_shares.append(Scalar.from_bytes(ciphertext.expose()))  # public from here on
    _wipe((simpl_seed, aux_rand, secnonce, *dealt.partial_secshares, *pads))

    state = ParticipantState(t, enckeys, participant_id, dealt.com.commitment_to_secret(), pubnonce)
    return state, ParticipantMsg1(dealt.com, dealt.pop, pubnonce, tuple(enc_shares))


def encpedpop_step2(
    state: ParticipantState, deckey: SecretScalar, cmsg: CoordinatorMsg1
) -> tuple[SecretScalar, VSSCommitment]:
    """Check the coordinator's message; returns our share (without Taproot tweak) and the summed commitment.

    Raises:
        FaultyCoordinatorError, FaultyParticipantOrCoordinatorError: see `chilldkg.participant_step2`.
        UnknownFaultyParticipantOrCoordinatorError: the share does not fit; with the data to investigate.
    """
    i = state.participant_id
    if cmsg.pubnonces[i] != state.pubnonce:
        raise FaultyCoordinatorError("replied with wrong pubnonce")
    context = serialize_enc_context(state.t, state.enckeys)
    pads = decaps_multi(deckey, cmsg.pubnonces, context, i)
    try:
        check_contributions(cmsg.coms_to_secrets, cmsg.pops, i, state.com_to_secret)
    except Exception:
        _wipe(pads)
        raise

    sum_coms = assemble_sum_coms(cmsg.coms_to_secrets, cmsg.sum_coms_to_nonconst_terms)
    pubshare = sum_coms.pubshare(i)
    secshare = decrypt_sum(cmsg.enc_secshares[i], pads, i)
    if not verify_secshare(secshare, pubshare):
        if secshare is not None:
            secshare.wipe()
        raise UnknownFaultyParticipantOrCoordinatorError(
            InvestigationData(
                participant_id=i, pubshare=pubshare, enc_secshare=cmsg.enc_secshares[i], pads=pads
            ),
            "received invalid secshare; participant_investigate may determine a faulty party",
        )
    _wipe(pads)
    if secshare is None:  # it fits, so our public share is infinity
        raise UnknownFaultyParticipantOrCoordinatorError(None, "our share is zero")
    return secshare, sum_coms


def encpedpop_investigate(data: InvestigationData, cinv: CoordinatorInvestigationMsg) -> NoReturn:
    """Find who is to blame for an invalid share (`encpedpop.participant_investigate`).

    Raises:
        FaultyCoordinatorError: the investigation message contradicts the coordinator's first message, or
            our own.
        FaultyParticipantOrCoordinatorError: a participant's share does not fit its commitment.
    """
    if Point.sum(cinv.partial_pubshares) != data.pubshare:
        raise FaultyCoordinatorError("sum of partial pubshares not equal to pubshare")
    # The pads are the same on both sides, so comparing ciphertexts compares the shares.
    if sum_scalars(cinv.enc_partial_secshares) != data.enc_secshare:
        raise FaultyCoordinatorError("sum of encrypted partial secshares not equal to encrypted secshare")
    for i, (enc_share, pad, pubshare) in enumerate(
        zip(cinv.enc_partial_secshares, data.pads, cinv.partial_pubshares, strict=True)
    ):
        minus = pad.negate()
        share = _add_public(minus, enc_share)
        fits = verify_secshare(share, pubshare)
        for used in (minus, share):
            if used is not None:
                used.wipe()
        if not fits:
            if i != data.participant_id:
                raise FaultyParticipantOrCoordinatorError(i, "invalid partial secshare")
            # We are not faulty, so the coordinator must be.
            raise FaultyCoordinatorError("fiddled with the share from me to myself")
    # Each partial share fits its public share and both sums are right, so the whole share fits: it did not,
    # before.
    raise AssertionError("the share that was found invalid is valid")
