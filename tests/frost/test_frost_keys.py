"""Key material: what is checked once, so that sessions need not check it again."""

from itertools import combinations

import pytest
from frost_dealer import deal

from curve import Point, Scalar, SecretScalar
from frost import (
    KeyShare,
    ThresholdInfo,
    derive_pubshare_at,
    make_tweaks,
    validate_session_params,
    validate_threshold_info,
)


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5)])
def test_every_chosen_set_reproduces_the_key(t: int, n: int) -> None:
    dealt = deal(t, n, 1)
    for u in range(t, n + 1):
        for ids in combinations(range(n), u):
            signers = dealt.key.signers(ids)
            total = Point.sum(signers.interpolating_value(i) * signers.pubshare(i) for i in ids)
            assert total == dealt.key.thresh_pk
            alone = validate_session_params(
                n=n,
                t=t,
                ids=ids,
                pubshares=[dealt.info.pubshares[i] or b"" for i in ids],
                thresh_pk=dealt.info.thresh_pk,
            )
            assert alone == signers


def test_any_share_follows_from_t_others() -> None:
    dealt = deal(3, 5, 2)
    points = [Point.from_bytes(share or b"") for share in dealt.info.pubshares]
    assert derive_pubshare_at([4, 1, 2], [points[4], points[1], points[2]], 0) == points[0]
    assert derive_pubshare_at([0, 1, 2], points[:3], -1) == dealt.key.thresh_pk


def test_absent_public_shares() -> None:
    dealt = deal(2, 3, 3)
    first, _, third = dealt.info.pubshares
    key = validate_threshold_info(ThresholdInfo(2, dealt.info.thresh_pk, (first, None, third)))
    assert key.signers([2, 0]).ids == (2, 0)
    with pytest.raises(ValueError, match="unknown"):
        key.signers([0, 1])
    with pytest.raises(ValueError, match="match"):
        KeyShare(key=key, signer_id=1, secshare=dealt.shares[1].secshare)


@pytest.mark.parametrize("wrong", range(4))
def test_a_wrong_public_share_is_found_wherever_it_stands(wrong: int) -> None:
    dealt = deal(2, 4, 4)
    pubshares = list(dealt.info.pubshares)
    pubshares[wrong] = (Scalar(wrong + 2) * Point.GENERATOR).to_bytes()
    with pytest.raises(ValueError, match="public shares"):
        validate_threshold_info(ThresholdInfo(2, dealt.info.thresh_pk, tuple(pubshares)))


def test_at_most_128_participants() -> None:
    dealt = deal(2, 128, 5)
    assert dealt.key.signers([0, 127]).interpolating_value(127)
    with pytest.raises(ValueError, match="128"):
        validate_threshold_info(
            ThresholdInfo(2, dealt.info.thresh_pk, (*dealt.info.pubshares, dealt.info.pubshares[0]))
        )
    with pytest.raises(ValueError, match="128"):
        validate_session_params(n=129, t=2, ids=[0, 1], pubshares=None, thresh_pk=dealt.info.thresh_pk)


@pytest.mark.parametrize("ids", [[], [0], [0, 0], [0, 3], [-1, 0], [0, 1, 2, 0]])
def test_bad_signer_sets(ids: list[int]) -> None:
    dealt = deal(2, 3, 6)
    with pytest.raises(ValueError):
        dealt.key.signers(ids)
    with pytest.raises(ValueError):
        validate_session_params(n=3, t=2, ids=ids, pubshares=None, thresh_pk=dealt.info.thresh_pk)


def test_questions_a_signer_set_cannot_answer() -> None:
    dealt = deal(2, 3, 7)
    signers = dealt.key.signers([0, 2])
    for ask in (signers.pubshare, signers.interpolating_value):
        with pytest.raises(ValueError, match="not in"):
            ask(1)
    bare = validate_session_params(n=3, t=2, ids=[0, 2], pubshares=None, thresh_pk=dealt.info.thresh_pk)
    with pytest.raises(ValueError, match="no public shares"):
        bare.pubshare(0)
    with pytest.raises(ValueError, match="each id"):
        validate_session_params(n=3, t=2, ids=[0, 2], pubshares=[], thresh_pk=dealt.info.thresh_pk)


def test_a_key_share_proves_itself() -> None:
    dealt = deal(2, 3, 8)
    assert dealt.shares[1].pubshare.to_bytes() == dealt.info.pubshares[1]
    for signer_id in (0, -1, 3):
        with pytest.raises(ValueError):
            KeyShare(key=dealt.key, signer_id=signer_id, secshare=dealt.shares[1].secshare)
    assert dealt.secshares[1].hex() not in repr(dealt.shares[1])
    with pytest.raises(ValueError):
        KeyShare(key=dealt.key, signer_id=0, secshare=SecretScalar.from_bytes(bytes(31) + b"\x01"))


def test_tweak_lists_pair_up() -> None:
    assert [t.is_xonly for t in make_tweaks([bytes(32), bytes(32)], [True, False])] == [True, False]
    with pytest.raises(ValueError, match="each tweak"):
        make_tweaks([bytes(32)], [])
