"""BIP 445's algorithms: nonces that serve once, thresholds that hold, and blame that hits the right one."""

import copy
import pickle
import random
from itertools import combinations

import pytest
from frost_dealer import Dealt, deal
from hypothesis import given, settings
from hypothesis import strategies as st

from curve import N, Point, Scalar, SecretScalar, Tweak, schnorr_verify
from frost import (
    InvalidContributionError,
    SecNonce,
    SessionContext,
    SessionStateError,
    SignerSet,
    derive_pubshare_at,
    deterministic_sign,
    get_session_values,
    nonce_agg,
    nonce_gen,
    partial_sig_agg,
    partial_sig_verify,
    sign,
    validate_session_params,
)

MSG = b"a message"
byte_strings = st.binary(min_size=32, max_size=32)
tweak_lists = st.lists(st.tuples(st.integers(0, N // 2), st.booleans()), max_size=4)


def rand(seed: object) -> bytes:
    return random.Random(f"{seed}").randbytes(32)


def nonces(ids: list[int], seed: object) -> list[SecNonce]:
    return [nonce_gen(rand((seed, i)))[0] for i in ids]


def run(dealt: Dealt, ids: list[int], tweaks: tuple[Tweak, ...], msg: bytes, seed: object) -> bytes:
    """The whole protocol by honest hands; the signature is checked."""
    signers = dealt.key.signers(ids)
    secnonces = nonces(ids, seed)
    aggnonce = nonce_agg([secnonce.pubnonce for secnonce in secnonces], ids)
    context = SessionContext(signers=signers, aggnonce=aggnonce, tweaks=tweaks, msg=msg)
    psigs = [
        sign(secnonce, dealt.shares[i].secshare, i, context)
        for i, secnonce in zip(ids, secnonces, strict=True)
    ]
    sig = partial_sig_agg(psigs, context)
    assert schnorr_verify(signers.tweaked(tweaks).xonly(), msg, sig)
    return sig


# who can sign


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 2), (2, 2), (2, 3), (3, 5), (5, 5)])
def test_every_subset_of_t_or_more_signs(t: int, n: int) -> None:
    dealt = deal(t, n, f"{t} of {n}")
    for u in range(t, n + 1):
        for ids in combinations(range(n), u):
            run(dealt, list(ids), (), MSG, ids)


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(10)), st.integers(7, 10))
def test_some_subsets_of_7_of_10(order: list[int], u: int) -> None:
    run(deal(7, 10, "seven"), list(order[:u]), (), MSG, (order, u))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2), byte_strings, tweak_lists, st.binary(max_size=100))
def test_any_tweaks_and_any_message(out: int, seed: bytes, steps: list[tuple[int, bool]], msg: bytes) -> None:
    dealt = deal(2, 3, seed.hex())
    tweaks = tuple(Tweak(tweak=value.to_bytes(32), is_xonly=is_xonly) for value, is_xonly in steps)
    run(dealt, [i for i in range(3) if i != out], tweaks, msg, seed)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(2, 3), (3, 5)]), st.integers(0, 99), st.data())
def test_fewer_than_t_never_sign(size: tuple[int, int], seed: int, data: st.DataObject) -> None:
    """Neither by asking, nor by pretending that the threshold is lower."""
    t, n = size
    dealt = deal(t, n, seed)
    ids = data.draw(st.permutations(range(n)))[: t - 1]
    with pytest.raises(ValueError):
        dealt.key.signers(ids)
    pubshares = [dealt.info.pubshares[i] or b"" for i in ids]
    with pytest.raises(ValueError, match="do not match"):
        validate_session_params(n=n, t=t - 1, ids=ids, pubshares=pubshares, thresh_pk=dealt.info.thresh_pk)
    # Without public shares nothing can tell them; their signature is worth nothing.
    signers = validate_session_params(n=n, t=t - 1, ids=ids, pubshares=None, thresh_pk=dealt.info.thresh_pk)
    secnonces = nonces(ids, seed)
    aggnonce = nonce_agg([secnonce.pubnonce for secnonce in secnonces])
    context = SessionContext(signers=signers, aggnonce=aggnonce, tweaks=(), msg=MSG)
    psigs = [
        sign(nonce, dealt.shares[i].secshare, i, context) for i, nonce in zip(ids, secnonces, strict=True)
    ]
    sig = partial_sig_agg(psigs, context)
    assert not schnorr_verify(dealt.key.thresh_pk.xonly(), MSG, sig)


def test_the_order_of_signers_means_nothing() -> None:
    dealt = deal(2, 3, "order")
    secnonces = {i: nonces([i], "order")[0].pubnonce for i in (0, 2)}
    values = []
    for ids in ([0, 2], [2, 0]):
        aggnonce = nonce_agg([secnonces[i] for i in ids], ids)
        context = SessionContext(signers=dealt.key.signers(ids), aggnonce=aggnonce, tweaks=(), msg=MSG)
        values.append(get_session_values(context)[1:])
    assert values[0] == values[1]


# nonces


def session(dealt: Dealt, ids: list[int], pubnonces: list[bytes]) -> SessionContext:
    return SessionContext(
        signers=dealt.key.signers(ids), aggnonce=nonce_agg(pubnonces, ids), tweaks=(), msg=MSG
    )


def test_a_nonce_serves_once() -> None:
    dealt = deal(2, 3, "once")
    own, other = nonces([0, 1], "once")
    context = session(dealt, [0, 1], [own.pubnonce, other.pubnonce])
    sign(own, dealt.shares[0].secshare, 0, context)
    assert own.is_spent
    with pytest.raises(SessionStateError):
        sign(own, dealt.shares[0].secshare, 0, context)
    other.wipe()
    other.wipe()
    with pytest.raises(SessionStateError):
        sign(other, dealt.shares[1].secshare, 1, context)


@pytest.mark.parametrize("slip", ["aggnonce", "share", "signer", "tweak"])
def test_a_nonce_is_spent_even_by_a_call_that_fails(slip: str) -> None:
    dealt = deal(2, 3, "spent")
    own, other = nonces([0, 1], "spent")
    good = session(dealt, [0, 1], [own.pubnonce, other.pubnonce])
    context = {
        "aggnonce": SessionContext(good.signers, b"\x04" * 66, (), MSG),
        "tweak": SessionContext(good.signers, good.aggnonce, (Tweak(N.to_bytes(32), is_xonly=True),), MSG),
    }.get(slip, good)
    share = dealt.shares[2 if slip == "share" else 0].secshare
    with pytest.raises((ValueError, InvalidContributionError)):
        sign(own, share, 2 if slip == "signer" else 0, context)
    with pytest.raises(SessionStateError):
        sign(own, dealt.shares[0].secshare, 0, good)


def test_both_halves_are_wiped_by_signing() -> None:
    dealt = deal(1, 1, "halves")
    k1, k2 = SecretScalar.from_bytes(b"\x01" * 32), SecretScalar.from_bytes(b"\x02" * 32)
    secnonce = SecNonce(k1, k2)
    sign(secnonce, dealt.shares[0].secshare, 0, session(dealt, [0], [secnonce.pubnonce]))
    assert k1.is_wiped
    assert k2.is_wiped


def test_a_nonce_does_not_show_or_travel() -> None:
    secnonce, _ = nonce_gen(b"\x55" * 32)
    for text in (repr(secnonce), str(secnonce)):
        assert text == "SecNonce(…)"
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copier(secnonce)
    secnonce.wipe()
    assert repr(secnonce) == "SecNonce(spent)"


@pytest.mark.parametrize("data", [bytes(64), b"\x01" * 32 + bytes(32), bytes(32) + b"\x01" * 32, bytes(63)])
def test_a_wiped_secnonce_is_not_read_back(data: bytes) -> None:
    with pytest.raises(ValueError):
        SecNonce.from_bytes(data)


def test_every_argument_changes_the_nonce() -> None:
    dealt = deal(2, 3, "arguments")
    share = dealt.shares[0]
    everything = {
        "secshare": share.secshare,
        "signer_id": 0,
        "pubshare": share.pubshare.to_bytes(),
        "thresh_pk_xonly": dealt.key.thresh_pk.xonly(),
        "msg": b"",
        "extra_in": b"x",
    }
    variants = [everything, *({k: v for k, v in everything.items() if k != name} for name in everything)]
    pubnonces = {nonce_gen(bytes(32), **variant)[1] for variant in variants}  # type: ignore[arg-type]
    assert len(pubnonces) == len(variants)
    assert nonce_gen(bytes(32))[1] == nonce_gen(bytes(32), extra_in=b"")[1], "absent equals empty by spec"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rand": bytes(31)},
        {"signer_id": -1},
        {"signer_id": 128},
        {"pubshare": bytes(32)},
        {"thresh_pk_xonly": bytes(33)},
    ],
)
def test_nonce_gen_refuses_wrong_lengths(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        nonce_gen(**({"rand": bytes(32)} | wrong))  # type: ignore[arg-type]


def test_nonce_agg_names_the_first_culprit_by_id() -> None:
    good = nonce_gen(bytes(32))[1]
    for bad in (good[:65], bytes(66), good[:33] + b"\x02" + b"\xff" * 32, b"\x04" + good[1:]):
        with pytest.raises(InvalidContributionError) as caught:
            nonce_agg([good, bad, bad], [7, 3, 5])
        assert (caught.value.culprits, caught.value.contrib) == ((3,), "pubnonce")
        assert not caught.value.coordinator
    with pytest.raises(ValueError):
        nonce_agg([])
    with pytest.raises(ValueError):
        nonce_agg([good], [1, 2])


def test_nonces_that_cancel_still_find_the_culprit() -> None:
    """BIP 445, Dealing with Infinity in Nonce Aggregation."""
    dealt = deal(2, 3, "cancel")
    (own,) = nonces([0], "cancel")
    halves = (-Point.from_bytes(own.pubnonce[:33]), -Point.from_bytes(own.pubnonce[33:]))
    cancelling = halves[0].to_bytes() + halves[1].to_bytes()
    pubnonces = [own.pubnonce, cancelling]
    context = session(dealt, [0, 1], pubnonces)
    assert context.aggnonce == bytes(66)
    assert get_session_values(context).R == Point.GENERATOR
    psig = sign(own, dealt.shares[0].secshare, 0, context)
    signers = context.signers
    assert partial_sig_verify(psig, pubnonces, signers, (), MSG, 0)
    assert not partial_sig_verify(psig, pubnonces, signers, (), MSG, 1)


# partial signatures


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255), st.integers(1, 255))
def test_an_altered_psig_is_refused(position: int, flip: int) -> None:
    dealt = deal(2, 3, "altered")
    own, other = nonces([0, 1], "altered")
    pubnonces = [own.pubnonce, other.pubnonce]
    context = session(dealt, [0, 1], pubnonces)
    psig = bytearray(sign(own, dealt.shares[0].secshare, 0, context))
    assert partial_sig_verify(bytes(psig), pubnonces, context.signers, (), MSG, 0)
    psig[position % 32] ^= flip
    assert not partial_sig_verify(bytes(psig), pubnonces, context.signers, (), MSG, 0)


def test_a_psig_is_bound_to_everything() -> None:
    dealt = deal(2, 3, "bound")
    own, other, third = nonces([0, 1, 2], "bound")
    pubnonces = [own.pubnonce, other.pubnonce]
    signers = dealt.key.signers([0, 1])
    psig = sign(own, dealt.shares[0].secshare, 0, session(dealt, [0, 1], pubnonces))
    tweak = (Tweak(tweak=b"\x01" * 32, is_xonly=True),)
    assert partial_sig_verify(psig, pubnonces, signers, (), MSG, 0)
    assert not partial_sig_verify(psig, pubnonces, signers, (), MSG + b"!", 0)
    assert not partial_sig_verify(psig, pubnonces, signers, tweak, MSG, 0)
    assert not partial_sig_verify(psig, pubnonces, signers, (), MSG, 1)
    assert not partial_sig_verify(psig, [own.pubnonce, third.pubnonce], signers, (), MSG, 0)
    assert not partial_sig_verify(psig, pubnonces, dealt.key.signers([0, 2]), (), MSG, 0)
    assert not partial_sig_verify(psig + b"\x00", pubnonces, signers, (), MSG, 0)


def test_partial_sig_agg_names_a_number_too_large() -> None:
    dealt = deal(2, 3, "large")
    own, other = nonces([2, 1], "large")
    context = session(dealt, [2, 1], [own.pubnonce, other.pubnonce])
    psig = sign(own, dealt.shares[2].secshare, 2, context)
    with pytest.raises(InvalidContributionError) as caught:
        partial_sig_agg([psig, N.to_bytes(32)], context)
    assert caught.value.culprits == (1,)
    with pytest.raises(ValueError, match="each signer"):
        partial_sig_agg([psig], context)


def test_a_fault_in_the_share_never_leaves() -> None:
    """A bit that flips in memory after key generation: the self-check holds the partial signature back."""
    dealt = deal(2, 3, "fault")
    own, other = nonces([0, 1], "fault")
    context = session(dealt, [0, 1], [own.pubnonce, other.pubnonce])
    secshare = dealt.shares[0].secshare
    secshare._buffer[31] ^= 1
    with pytest.raises(RuntimeError, match="faulty"):
        sign(own, secshare, 0, context)


# deterministic signing


def deterministic(dealt: Dealt, signers: SignerSet, tweaks: tuple[Tweak, ...], aux: bytes | None) -> None:
    *others, last = signers.ids
    secnonces = nonces(others, (signers.ids, aux))
    aggothernonce = nonce_agg([nonce.pubnonce for nonce in secnonces], others) if others else None
    share = dealt.shares[last].secshare
    pubnonce, psig = deterministic_sign(share, last, aggothernonce, signers, tweaks, MSG, aux)
    assert deterministic_sign(share, last, aggothernonce, signers, tweaks, MSG, aux) == (pubnonce, psig)
    pubnonces = [*(nonce.pubnonce for nonce in secnonces), pubnonce]
    context = SessionContext(signers, nonce_agg(pubnonces, signers.ids), tweaks, MSG)
    psigs = [
        sign(nonce, dealt.shares[i].secshare, i, context) for i, nonce in zip(others, secnonces, strict=True)
    ]
    assert partial_sig_verify(psig, pubnonces, signers, tweaks, MSG, last)
    sig = partial_sig_agg([*psigs, psig], context)
    assert schnorr_verify(signers.tweaked(tweaks).xonly(), MSG, sig)


@pytest.mark.parametrize(("t", "n"), [(1, 1), (2, 3), (3, 5)])
@pytest.mark.parametrize("aux", [None, b"\x77" * 32])
@pytest.mark.parametrize("value", [None, *range(1, 7)])
def test_deterministic_sign(t: int, n: int, aux: bytes | None, value: int | None) -> None:
    dealt = deal(t, n, "deterministic")
    tweaks = () if value is None else (Tweak(tweak=value.to_bytes(32), is_xonly=bool(value % 2)),) * 2
    deterministic(dealt, dealt.key.signers(range(n - t, n)), tweaks, aux)


def test_the_deterministic_nonce_commits_to_everything() -> None:
    """Above all to the signer set: without it, three replayed sessions would give the share away."""
    dealt = deal(2, 4, "commits")
    agg = nonce_agg([nonce_gen(b"\x01" * 32)[1]])
    other = nonce_agg([nonce_gen(b"\x02" * 32)[1]])
    share = dealt.shares[0].secshare
    sets = [dealt.key.signers(ids) for ids in ([0, 1], [0, 2], [0, 1, 2])]
    tweak = (Tweak(tweak=b"\x01" * 32, is_xonly=True),)
    seen = {deterministic_sign(share, 0, agg, signers, (), MSG)[0] for signers in sets}
    seen.add(deterministic_sign(share, 0, other, sets[0], (), MSG)[0])
    seen.add(deterministic_sign(share, 0, agg, sets[0], tweak, MSG)[0])
    seen.add(deterministic_sign(share, 0, agg, sets[0], (), b"other")[0])
    seen.add(deterministic_sign(share, 0, agg, sets[0], (), MSG, bytes(32))[0])
    assert len(seen) == 7


def test_deterministic_sign_refuses() -> None:
    dealt = deal(2, 3, "refuses")
    signers = dealt.key.signers([0, 1])
    share = dealt.shares[0].secshare
    agg = nonce_agg([nonce_gen(b"\x01" * 32)[1]])
    slips: list[tuple[int, bytes | None, bytes | None]] = [
        (0, None, None),
        (0, agg[:65], None),
        (0, agg, bytes(31)),
        (1, agg, None),
        (2, agg, None),
    ]
    for signer_id, aggothernonce, aux_rand in slips:
        with pytest.raises(ValueError):
            deterministic_sign(share, signer_id, aggothernonce, signers, (), MSG, aux_rand)
    for bad in (bytes(66), b"\x04" + agg[1:]):
        with pytest.raises(InvalidContributionError) as caught:
            deterministic_sign(share, 0, bad, signers, (), MSG)
        assert caught.value.coordinator
        assert (caught.value.culprits, caught.value.contrib) == ((), "aggothernonce")


def test_a_dealt_key_is_what_it_claims() -> None:
    """The dealer of these tests, against plain integers."""
    dealt = deal(2, 3, "claims")
    first, second = (int.from_bytes(secshare) for secshare in dealt.secshares[:2])
    assert Scalar(2 * first - second) * Point.GENERATOR == dealt.key.thresh_pk
    assert derive_pubshare_at([0], [Point.GENERATOR], 5) == Point.GENERATOR
