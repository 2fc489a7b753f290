"""Points and public scalars against the group laws and an independent implementation in Python integers."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curve import N, Point, Scalar

P = 2**256 - 2**32 - 977
G, INF = Point.GENERATOR, Point.INFINITY
scalars = st.one_of(st.integers(0, 5), st.integers(N - 5, N - 1), st.integers(0, N - 1)).map(Scalar)


def affine(point: Point) -> tuple[int, int] | None:
    """Decompress in plain integers, without libsecp256k1."""
    if point.is_infinity:
        return None
    data = point.to_bytes()
    x = int.from_bytes(data[1:])
    y = pow(x**3 + 7, (P + 1) // 4, P)
    return x, y if y % 2 == data[0] % 2 else P - y


def add(a: tuple[int, int] | None, b: tuple[int, int] | None) -> tuple[int, int] | None:
    """The chord and tangent rule, from the textbook."""
    if a is None or b is None:
        return b if a is None else a
    (x1, y1), (x2, y2) = a, b
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = 3 * x1 * x1 * pow(2 * y1, -1, P) if a == b else (y2 - y1) * pow(x2 - x1, -1, P)
    x3 = (slope * slope - x1 - x2) % P
    return x3, (slope * (x1 - x3) - y1) % P


@given(scalars, scalars)
def test_addition_agrees_with_the_textbook(a: Scalar, b: Scalar) -> None:
    assert affine(a * G + b * G) == add(affine(a * G), affine(b * G))


@given(scalars, scalars, scalars)
def test_group_laws(a: Scalar, b: Scalar, c: Scalar) -> None:
    A, B = a * G, b * G
    assert A + B == (a + b) * G == B + A
    assert c * (A + B) == c * A + c * B
    assert c * (b * G) == (c * b) * G
    assert (a - b) * G == A - B
    assert A.add_generator_times(b) == A + B
    assert A + -A == INF
    assert Point.sum([A, B, INF, c * G]) == (a + b + c) * G
    assert Point.sum([A, -A, B, -B]).is_infinity


@given(scalars)
def test_encodings_round_trip(a: Scalar) -> None:
    point = a * G
    assert Point.from_bytes_with_infinity(point.to_bytes_with_infinity()) == point
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == point
    assert hash(Point.from_bytes_with_infinity(point.to_bytes_with_infinity())) == hash(point)
    if not point.is_infinity:
        lifted = Point.from_xonly(point.xonly())
        assert lifted.has_even_y()
        assert lifted == (point if point.has_even_y() else -point)
        assert (-point).to_bytes()[1:] == point.to_bytes()[1:]
        assert (-point).has_even_y() is not point.has_even_y()


def test_infinity_is_explicit() -> None:
    assert INF.is_infinity
    assert INF.to_bytes_with_infinity() == bytes(33)
    assert -INF == INF == Point.sum([]) == Scalar(0) * G == Scalar(3) * INF == INF + INF
    assert INF.add_generator_times(Scalar(1)) == G
    for read in (INF.to_bytes, INF.xonly, INF.has_even_y):
        with pytest.raises(ValueError, match="infinity"):
            read()
    with pytest.raises(ValueError, match="not a point"):
        Point.from_bytes(bytes(33))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(32),
        b"\x02" + b"\xff" * 32,  # x exceeds the field
        b"\x02" + (5).to_bytes(32),  # no y exists
        b"\x04" + G.xonly(),
        b"\x04" + G.xonly() + bytes(32),
        b"\x06" + G.xonly() + bytes(32),
        G.to_bytes() + b"\x00",
    ],
)
def test_only_33_bytes_on_the_curve_are_a_point(data: bytes) -> None:
    with pytest.raises(ValueError):
        Point.from_bytes(data)


def test_full_and_hybrid_encodings_are_refused() -> None:
    x, y = affine(G) or (0, 0)
    for tag in (b"\x04", b"\x06", b"\x07"):
        with pytest.raises(ValueError):
            Point.from_bytes(tag + x.to_bytes(32) + y.to_bytes(32))
    with pytest.raises(ValueError):
        Point.from_xonly(G.to_bytes())


def test_scalars() -> None:
    assert Scalar(N) == Scalar(0)
    assert int(Scalar(-1)) == N - 1
    assert Scalar.from_bytes((N - 1).to_bytes(32)) == -Scalar(1)
    assert Scalar.from_bytes_reduced(N.to_bytes(32)) == Scalar(0)
    assert Scalar(7) * Scalar(7).inverse() == Scalar(1)
    assert len({Scalar(1), Scalar(1 + N)}) == 1
    for bad in (N.to_bytes(32), bytes(31), bytes(33)):
        with pytest.raises(ValueError):
            Scalar.from_bytes(bad)
    with pytest.raises(ValueError):
        Scalar.from_bytes_reduced(bytes(31))
    with pytest.raises(ValueError):
        Scalar(0).inverse()
    with pytest.raises(TypeError):
        Scalar(1) * 2  # type: ignore[operator]
    with pytest.raises(TypeError):
        2 * G  # type: ignore[operator]
