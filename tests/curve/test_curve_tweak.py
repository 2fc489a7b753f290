"""Tweaks keep track of the secret key; BIP 32 derivation agrees with an independent library."""

import pytest
import wallycore
from hypothesis import assume, given
from hypothesis import strategies as st

from curve import N, Point, Scalar, Tweak, TweakContext, bip32_tweak

# BIP 32, test vector 2, chain m.
XPUB = (
    "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRU"
    "apSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
)

tweaks = st.lists(st.tuples(st.integers(0, N - 1), st.booleans()), max_size=5)


@given(st.integers(1, N - 1), tweaks)
def test_the_accumulators_give_the_secret_key(d: int, steps: list[tuple[int, bool]]) -> None:
    context = TweakContext.start(Scalar(d) * Point.GENERATOR)
    for value, is_xonly in steps:
        start = context.Q
        base = -start if is_xonly and not start.has_even_y() else start
        assume(base != Scalar(-value) * Point.GENERATOR)  # Hypothesis does find infinity
        context = context.apply(Tweak(tweak=value.to_bytes(32), is_xonly=is_xonly))
        assert base + Scalar(value) * Point.GENERATOR == context.Q
    assert (context.gacc * Scalar(d) + context.tacc) * Point.GENERATOR == context.Q
    sign = Scalar(-1 if context.negates_secret() else 1)
    even = (sign * Scalar(d) + context.secret_offset()) * Point.GENERATOR
    assert even.has_even_y()
    assert even.xonly() == context.xonly() == context.plain()[1:]


def test_tweaks_are_refused() -> None:
    context = TweakContext.start(Point.GENERATOR)
    for bad in (N.to_bytes(32), bytes(31), b""):
        with pytest.raises(ValueError):
            context.apply(Tweak(tweak=bad, is_xonly=True))
    with pytest.raises(ValueError, match="infinity"):
        context.apply(Tweak(tweak=(N - 1).to_bytes(32), is_xonly=False))
    with pytest.raises(ValueError, match="infinity"):
        TweakContext.start(Point.INFINITY)


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4))
def test_bip32_agrees_with_libwally(path: list[int]) -> None:
    parent = wallycore.bip32_key_from_base58(XPUB)
    point = start = Point.from_bytes(bytes(wallycore.bip32_key_get_pub_key(parent)))
    chain_code = bytes(wallycore.bip32_key_get_chain_code(parent))
    steps = []
    for index in path:
        tweak, point, chain_code = bip32_tweak(point, chain_code, index)
        steps.append(tweak)
    flags = wallycore.BIP32_FLAG_KEY_PUBLIC
    child = wallycore.bip32_key_from_parent_path(parent, path, flags)
    assert point.to_bytes() == bytes(wallycore.bip32_key_get_pub_key(child))
    assert chain_code == bytes(wallycore.bip32_key_get_chain_code(child))
    assert point == TweakContext.start(start).apply_all(steps).Q


def test_bip32_refuses_what_a_public_key_cannot_derive() -> None:
    for index in (-1, 1 << 31):
        with pytest.raises(ValueError, match="unhardened"):
            bip32_tweak(Point.GENERATOR, bytes(32), index)
    with pytest.raises(ValueError, match="chain code"):
        bip32_tweak(Point.GENERATOR, bytes(31), 0)
