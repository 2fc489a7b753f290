"""What MuSig2's sessions owe beyond the other schemes': late binding, and a buffer that is zero after use."""

from __future__ import annotations

import pytest

from curve import MusigSession, N, SecretNonce, SecretScalar, Tweak, tagged_hash
from curve.context import ffi
from musig2 import (
    AggregateKey,
    InvalidContributionError,
    KeyShare,
    SessionStateError,
    SignerSession,
    key_sort,
)

MSG = b"\x11" * 32


def share(i: int) -> KeyShare:
    return KeyShare(SecretScalar.from_bytes(tagged_hash("test/musig2", bytes([i]))))


SHARES = [share(i) for i in range(4)]
KEY = AggregateKey.of([one.pubkey for one in SHARES[:2]])
OTHER = AggregateKey.of([one.pubkey for one in SHARES[:3]])


def test_one_that_was_bound_to_nothing_signs_with_any_key() -> None:
    """In a tree of quorums nobody knows beforehand who signs."""
    for key in (KEY, OTHER):
        sessions = [SignerSession.open(one, rand=b"\x05" * 32) for one in SHARES[: len(key.pubkeys)]]
        nonces = [session.pubnonce for session in sessions]
        assert sessions[0].sign(key, nonces, tweaks=(), msg=MSG)


@pytest.mark.parametrize("what", ["key", "order", "tweaks", "message"])
def test_what_was_bound_signs_nothing_else(what: str) -> None:
    tweak = (Tweak(b"\x01" * 32, is_xonly=True),)
    session = SignerSession.open(SHARES[0], rand=b"\x06" * 32, key=KEY, tweaks=tweak, msg=MSG)
    swapped = AggregateKey.of(KEY.pubkeys[::-1])
    key = {"key": OTHER, "order": swapped}.get(what, KEY)
    other = SignerSession.open(SHARES[1], rand=b"\x07" * 32).pubnonce
    nonces = [session.pubnonce if pubkey == SHARES[0].pubkey else other for pubkey in key.pubkeys]
    with pytest.raises(ValueError, match="made for another"):
        session.sign(
            key, nonces, tweaks=() if what == "tweaks" else tweak, msg=bytes(32) if what == "message" else MSG
        )
    assert session.is_spent


def test_a_faulty_partial_signature_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two different ones under one nonce give the key away, so each is verified by its maker first."""
    sign = MusigSession.sign

    def faulty(session: MusigSession, secnonce: SecretNonce, secret: SecretScalar) -> bytes:
        psig = sign(session, secnonce, secret)
        return psig[:-1] + bytes([psig[-1] ^ 1])

    monkeypatch.setattr(MusigSession, "sign", faulty)
    sessions = [SignerSession.open(one, rand=b"\x0a" * 32) for one in SHARES[:2]]
    nonces = [session.pubnonce for session in sessions]
    with pytest.raises(RuntimeError, match="faulty"):
        sessions[0].sign(KEY, nonces, tweaks=(), msg=MSG)
    assert sessions[0].is_spent


@pytest.mark.parametrize("fault", ["used", "wiped", "refused", "wrong key"])
def test_the_secret_nonce_is_zero_afterwards(fault: str) -> None:
    session = SignerSession.open(SHARES[0], rand=b"\x08" * 32)
    buffer = session._secnonce._buffers[0]
    assert any(bytes(ffi.buffer(buffer)))
    other = SignerSession.open(SHARES[1], rand=b"\x09" * 32).pubnonce
    nonces = [session.pubnonce if key == SHARES[0].pubkey else other for key in KEY.pubkeys]
    if fault == "used":
        session.sign(KEY, nonces, tweaks=(), msg=MSG)
    elif fault == "wiped":
        session.wipe()
    elif fault == "refused":
        with pytest.raises(InvalidContributionError):
            session.sign(KEY, [n if n == session.pubnonce else bytes(66) for n in nonces], tweaks=(), msg=MSG)
    else:
        with pytest.raises(ValueError, match="exactly once"):
            session.sign(AggregateKey.of([SHARES[2].pubkey, SHARES[3].pubkey]), nonces, tweaks=(), msg=MSG)
    assert not any(bytes(ffi.buffer(buffer)))
    assert session.is_spent


def test_a_nonce_of_another_key_is_refused_by_the_library_and_ends_nothing() -> None:
    """The C module complains through its callback, which would end the process in its default context."""
    foreign = SecretNonce.generate(b"\x01" * 32, SHARES[1].secret, SHARES[1].point)
    session = SignerSession.open(SHARES[0], rand=b"\x02" * 32)
    session._secnonce = foreign
    session.pubnonce = foreign.pubnonce
    nonces = [foreign.pubnonce] * 2
    with pytest.raises(ValueError):
        session.sign(KEY, nonces, tweaks=(), msg=MSG)
    with pytest.raises(SessionStateError):
        session.sign(KEY, nonces, tweaks=(), msg=MSG)


def test_a_key_that_stands_twice_does_not_sign_for_both() -> None:
    twice = AggregateKey.of([SHARES[0].pubkey] * 2)
    session = SignerSession.open(SHARES[0], rand=b"\x03" * 32)
    with pytest.raises(ValueError, match="exactly once"):
        session.sign(twice, [session.pubnonce] * 2, tweaks=(), msg=MSG)


def test_keys_and_tweaks_that_are_none() -> None:
    with pytest.raises(ValueError, match="1 to 128"):
        AggregateKey.of([])
    with pytest.raises(InvalidContributionError) as caught:
        key_sort([SHARES[0].pubkey, bytes(33)])
    assert caught.value.culprits == (1,)
    for tweak in (N.to_bytes(32), b"\x01" * 31):
        with pytest.raises(ValueError, match="tweak"):
            KEY.tweaked([Tweak(tweak, is_xonly=False)])
    assert KEY == AggregateKey.of(KEY.pubkeys) != OTHER
    assert len({KEY, AggregateKey.of(KEY.pubkeys)}) == 1
    assert SHARES[0].secret.expose().hex() not in repr(SHARES[0]) + repr(KEY)


def test_a_random_source_that_repeats_itself_is_softened() -> None:
    made = {
        SignerSession.open(one, rand=b"\x04" * 32, extra_in=extra, key=key, msg=msg).pubnonce
        for one in SHARES[:2]
        for extra in (None, b"\x01" * 32, b"\x02" * 32)
        for key in (None, KEY)
        for msg in (None, MSG)
    }
    assert len(made) == 24
    with pytest.raises(ValueError):
        SignerSession.open(SHARES[0], rand=bytes(32))  # all zero: a broken source
