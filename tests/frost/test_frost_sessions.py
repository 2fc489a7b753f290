"""What FROST's sessions owe beyond every scheme's (tests/test_sessions.py): shared signer sets, public shares."""

import random
from collections.abc import Mapping

import pytest
from frost_dealer import Dealt, deal

from curve import N, Point, Tweak, schnorr_verify
from frost import (
    CoordinatorSession,
    InvalidContributionError,
    SessionStateError,
    SignerSession,
    nonce_gen,
    validate_session_params,
)

MSG = b"\x11" * 32
TWEAKS = (Tweak(tweak=b"\x01" * 32, is_xonly=False), Tweak(tweak=b"\x02" * 32, is_xonly=True))


def open_all(dealt: Dealt, ids: list[int], seed: object, msg: bytes = MSG) -> dict[int, SignerSession]:
    rng = random.Random(f"{seed}")
    return {
        i: SignerSession.open(dealt.shares[i], tweaks=TWEAKS, msg=msg, rand=rng.randbytes(32)) for i in ids
    }


def pubnonces(sessions: Mapping[int, SignerSession]) -> dict[int, bytes]:
    return {i: session.pubnonce for i, session in sessions.items()}


def coordinator(dealt: Dealt, nonces: Mapping[int, bytes], msg: bytes = MSG) -> CoordinatorSession:
    signers = dealt.key.signers(sorted(nonces))
    return CoordinatorSession.open(signers, tweaks=TWEAKS, msg=msg, pubnonces=nonces)


def test_many_inputs_share_one_signer_set() -> None:
    dealt = deal(2, 3, "inputs")
    signers = dealt.key.signers([2, 0])
    for number in range(20):
        msg = number.to_bytes(32)
        sessions = open_all(dealt, [0, 2], number, msg)
        nonces = pubnonces(sessions)
        boss = CoordinatorSession.open(signers, tweaks=TWEAKS, msg=msg, pubnonces=nonces)
        assert list(boss.missing) == [0, 2]
        for i, session in sessions.items():
            boss.add(i, session.sign(signers, nonces))
        assert not boss.missing
        sig = boss.aggregate()
        assert schnorr_verify(signers.tweaked(TWEAKS).xonly(), msg, sig)
        assert boss.aggregate() == sig, "the same question gets the same answer"


def test_a_signer_refuses_what_does_not_fit_and_the_nonce_is_gone() -> None:
    dealt, foreign = deal(2, 3, "fit"), deal(2, 3, "foreign")
    good = pubnonces(open_all(dealt, [0, 1, 2], 1))
    bare = validate_session_params(
        n=3, t=1, ids=[0, 1], pubshares=None, thresh_pk=dealt.info.thresh_pk
    )  # another t
    swapped = validate_session_params(  # a consistent set of shares on another polynomial
        n=3,
        t=2,
        ids=[0, 1],
        pubshares=_other_shares(dealt),
        thresh_pk=dealt.info.thresh_pk,
    )
    cases = [
        (foreign.key.signers([0, 1]), {0: good[0], 1: good[1]}, "another key"),
        (dealt.key.signers([1, 2]), {1: good[1], 2: good[2]}, "not in the signer set"),
        (dealt.key.signers([0, 1]), {0: good[0]}, "exactly one"),
        (dealt.key.signers([0, 1]), good, "exactly one"),
        (bare, {0: good[0], 1: good[1]}, "another key"),
        (swapped, {0: good[0], 1: good[1]}, "other public shares"),
    ]
    for signers, nonces, text in cases:
        session = open_all(dealt, [0], 1)[0]
        with pytest.raises(ValueError, match=text):
            session.sign(signers, nonces)
        assert session.is_spent


def _other_shares(dealt: Dealt) -> list[bytes]:
    """Shares 0 and 1 moved so that they still give the threshold key: 2·P0 - P1 stays."""
    P0, P1 = dealt.shares[0].pubshare, dealt.shares[1].pubshare
    G = Point.GENERATOR
    return [(P0 + G).to_bytes(), (P1 + G + G).to_bytes()]


def test_the_coordinator_keeps_its_turns() -> None:
    dealt = deal(2, 3, "turns")
    sessions = open_all(dealt, [0, 1], 5)
    nonces = pubnonces(sessions)
    boss = coordinator(dealt, nonces)
    psig = sessions[0].sign(boss.signers, nonces)
    with pytest.raises(SessionStateError):
        boss.aggregate()
    with pytest.raises(SessionStateError):
        boss.verify(0)
    with pytest.raises(ValueError, match="not in"):
        boss.add(2, psig)
    boss.add(0, psig)
    boss.add(0, psig)
    for bad in (bytes(32), N.to_bytes(32), psig[1:]):
        with pytest.raises(InvalidContributionError) as caught:
            boss.add(0, bad)
        assert caught.value.culprits == (0,)
    assert boss.verify(0)
    assert list(boss.missing) == [1]
    assert repr(boss) == "CoordinatorSession(signers (0, 1), missing (1,))"


def test_without_public_shares_nobody_is_named() -> None:
    dealt = deal(2, 3, "bare")
    sessions = open_all(dealt, [0, 1], 6)
    nonces = pubnonces(sessions)
    signers = validate_session_params(n=3, t=2, ids=[0, 1], pubshares=None, thresh_pk=dealt.info.thresh_pk)
    boss = CoordinatorSession.open(signers, tweaks=TWEAKS, msg=MSG, pubnonces=nonces)
    boss.add(0, sessions[0].sign(signers, nonces))
    boss.add(1, bytes(32))
    with pytest.raises(ValueError, match="no public shares"):
        boss.aggregate()


def test_opening_is_refused() -> None:
    dealt = deal(2, 3, "opening")
    bad = (Tweak(tweak=N.to_bytes(32), is_xonly=True),)
    with pytest.raises(ValueError):
        SignerSession.open(dealt.shares[0], tweaks=bad, msg=MSG, rand=bytes(32))
    with pytest.raises(ValueError):
        SignerSession.open(dealt.shares[0], tweaks=(), msg=MSG, rand=bytes(31))
    with pytest.raises(ValueError, match="exactly one"):
        CoordinatorSession.open(dealt.key.signers([0, 1]), tweaks=(), msg=MSG, pubnonces={})


def test_two_sessions_never_share_a_nonce() -> None:
    dealt = deal(2, 3, "apart")
    same = {
        SignerSession.open(dealt.shares[i], tweaks=TWEAKS, msg=msg, rand=bytes(32), extra_in=extra).pubnonce
        for i in (0, 1)
        for msg in (MSG, b"other")
        for extra in (None, b"request 1", b"request 2")
    }
    assert len(same) == 12, "even with a broken source of randomness"


def test_a_secret_nonce_gives_its_numbers_out_once() -> None:
    """Whoever holds it: every session stands on this."""
    used, wiped = (nonce_gen(bytes([i]) * 32)[0] for i in (5, 6))
    for half in used.take():
        half.wipe()
    wiped.wipe()
    for spent in (used, wiped):
        assert spent.is_spent
        with pytest.raises(SessionStateError):
            spent.take()
