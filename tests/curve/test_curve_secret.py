"""Secrets: arithmetic against public scalars, wiping, and everything a secret refuses to do."""

import copy
import gc
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curve import N, Point, Scalar, SecretBytes, SecretScalar, tagged_hash
from curve.context import ffi
from curve.secret import _reduce

ROOT = Path(__file__).resolve().parents[2]
numbers = st.one_of(st.integers(1, 5), st.integers(N - 5, N - 1), st.integers(1, N - 1))


def secret(value: int) -> SecretScalar:
    return SecretScalar.from_bytes(value.to_bytes(32))


@given(numbers, numbers)
def test_arithmetic_agrees_with_public_scalars(a: int, b: int) -> None:
    assert secret(a).expose() == a.to_bytes(32)
    assert secret(a).point() == Scalar(a) * Point.GENERATOR
    assert secret(a).negate().expose() == (-Scalar(a)).to_bytes()
    product = (Scalar(a) * Scalar(b)).to_bytes()
    assert secret(a).mul(secret(b)).expose() == secret(a).mul(Scalar(b)).expose() == product
    if (a + b) % N:
        total = Scalar(a + b).to_bytes()
        assert secret(a).add(secret(b)).expose() == secret(a).add(Scalar(b)).expose() == total
        assert secret(a).expose() == a.to_bytes(32), "an operand has changed"


@given(numbers, numbers, numbers, numbers)
def test_weighted_sum(a: int, b: int, v: int, w: int) -> None:
    expected = Scalar(a * v + b * w)
    terms = ((Scalar(v), secret(a)), (Scalar(w), secret(b)))
    if expected:
        assert SecretScalar.weighted_sum(*terms).expose() == expected.to_bytes()
    else:
        with pytest.raises(ValueError, match="zero"):
            SecretScalar.weighted_sum(*terms)


def test_no_operation_gives_zero() -> None:
    with pytest.raises(ValueError, match="zero"):
        secret(5).add(Scalar(-5))
    with pytest.raises(ValueError, match="zero"):
        secret(5).add(secret(N - 5))
    with pytest.raises(ValueError, match="zero"):
        secret(5).mul(Scalar(0))
    with pytest.raises(ValueError, match="zero"):
        SecretScalar.weighted_sum((Scalar(0), secret(5)))
    with pytest.raises(ValueError, match="zero"):
        SecretScalar.weighted_sum()


@pytest.mark.parametrize("data", [bytes(32), N.to_bytes(32), b"\xff" * 32, bytes(31), b"\x01" * 33])
def test_only_1_to_n_minus_1_is_a_secret(data: bytes) -> None:
    with pytest.raises(ValueError):
        SecretScalar.from_bytes(data)


@given(st.one_of(st.integers(N - 3, N + 3), st.integers(0, 2**256 - 1), st.integers(N, 2**256 - 1)))
def test_reduction(value: int) -> None:
    if value % N:
        assert SecretScalar.from_bytes_reduced(value.to_bytes(32)).expose() == (value % N).to_bytes(32)
    else:
        with pytest.raises(ValueError, match="zero"):
            SecretScalar.from_bytes_reduced(value.to_bytes(32))
    buffer = ffi.new("unsigned char[32]", value.to_bytes(32))
    assert _reduce(buffer) is (value % N != 0)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_derive_is_the_tagged_hash(a: bytes, b: bytes) -> None:
    own = secret(9)
    expected = tagged_hash("Assent/test", a, own.expose(), b)
    assert SecretScalar.derive("Assent/test", a, own, SecretBytes(b)).expose() == expected
    first, second = SecretScalar.derive_pair("Assent/test", SecretBytes(a), b)
    assert first.expose() == tagged_hash("Assent/test", a, b, b"\x00")
    assert second.expose() == tagged_hash("Assent/test", a, b, b"\x01")


def test_tagged_hash_is_bip340s() -> None:
    prefix = sha256(b"tag").digest()
    assert tagged_hash("tag", b"ab", b"c") == sha256(prefix + prefix + b"abc").digest()
    assert tagged_hash("tag", b"ab", b"c") == tagged_hash("tag", b"abc")


def test_masked() -> None:
    mask = bytes(range(32))
    masked = secret(N - 1).masked(mask)
    expected = bytes(x ^ y for x, y in zip((N - 1).to_bytes(32), mask, strict=True))
    assert bytes(ffi.buffer(masked._live(), 32)) == expected
    with pytest.raises(ValueError, match="32"):
        secret(1).masked(bytes(31))


def test_ecdh() -> None:
    a, b = secret(1234567), secret(N - 99)
    shared = Scalar(1234567) * b.point()
    expected = sha256(shared.to_bytes()).digest()
    for agreed in (a.ecdh(b.point()), b.ecdh(a.point())):
        assert ffi.buffer(agreed._live())[:] == expected
    with pytest.raises(ValueError, match="infinity"):
        a.ecdh(Point.INFINITY)


def test_a_wiped_secret_is_gone() -> None:
    gone = secret(77)
    buffer = gone._buffer
    gone.point()
    gone.wipe()
    gone.wipe()
    assert bytes(ffi.buffer(buffer)) == bytes(32)
    assert gone.is_wiped
    live = secret(1)
    for use in (
        gone.expose,
        gone.point,
        gone.negate,
        lambda: gone.add(live),
        lambda: gone.mul(live),
        lambda: live.add(gone),
        lambda: live.mul(gone),
        lambda: gone.ecdh(Point.GENERATOR),
        lambda: gone.masked(bytes(32)),
        lambda: SecretScalar.derive("t", gone),
        lambda: SecretScalar.weighted_sum((Scalar(1), gone)),
    ):
        with pytest.raises(ValueError, match="wiped"):
            use()


def test_a_dropped_secret_is_wiped() -> None:
    dropped = secret(77)
    scratch = SecretBytes(b"seventy-seven")
    buffers = (dropped._buffer, scratch._buffer)
    del dropped, scratch
    gc.collect()
    assert [bytes(ffi.buffer(buffer)).strip(b"\x00") for buffer in buffers] == [b"", b""]


@pytest.mark.parametrize("held", [secret(77), SecretBytes(b"M" * 32)], ids=["scalar", "bytes"])
def test_a_secret_does_not_show_or_travel(held: SecretScalar | SecretBytes) -> None:
    for text in (repr(held), str(held), f"{held}"):
        assert "…" in text
        assert "4d" not in text
        assert "77" not in text
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copier(held)


def test_a_secret_is_not_compared_or_hashed() -> None:
    with pytest.raises(TypeError):
        secret(1) == secret(1)  # noqa: B015
    with pytest.raises(TypeError):
        hash(secret(1))


def test_secrets_that_outlive_the_interpreter_are_silent() -> None:
    """At exit, modules are taken apart before the objects they hold."""
    program = (
        "import sys, curve\n"
        "sys.kept = [curve.SecretScalar.from_bytes(b'\\x01' * 32), curve.SecretBytes(b'secret')]\n"
        "sys.kept.append(sys.kept)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (ended.returncode, ended.stderr) == (0, "")
