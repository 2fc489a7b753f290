"""Illegal arguments and a broken library raise; nothing ends the process."""

from collections.abc import Iterator

import pytest

from curve import IllegalCall, InternalFault, Point, SecretScalar, blind
from curve import context as c


@pytest.fixture
def mended() -> Iterator[None]:
    """Undo the lasting mark of a broken library."""
    yield
    c._broken.clear()


def test_a_zeroed_secnonce_raises() -> None:
    """The default context would abort() here."""
    keypair = c.ffi.new("secp256k1_keypair *")
    c.require(c.lib.secp256k1_keypair_create(c.context, keypair, b"\x01" * 32))
    returned = c.lib.secp256k1_musig_partial_sign(
        c.context,
        c.ffi.new("secp256k1_musig_partial_sig *"),
        c.ffi.new("secp256k1_musig_secnonce *"),
        keypair,
        c.ffi.new("secp256k1_musig_keyagg_cache *"),
        c.ffi.new("secp256k1_musig_session *"),
    )
    with pytest.raises(IllegalCall):
        c.succeeded(returned)
    assert Point.GENERATOR - Point.GENERATOR == Point.INFINITY, "the context works on"


def test_a_zeroed_point_raises_once() -> None:
    with pytest.raises(IllegalCall):
        Point(c.ffi.new(c.PUBKEY)).to_bytes()
    with pytest.raises(IllegalCall):
        -Point(c.ffi.new(c.PUBKEY))
    assert (-Point.GENERATOR).to_bytes()[1:] == Point.GENERATOR.xonly()


def test_a_failure_on_checked_values_is_a_fault() -> None:
    with pytest.raises(InternalFault):
        c.require(0)


@pytest.mark.usefixtures("mended")
def test_a_broken_library_stays_broken() -> None:
    c._on_broken(c.ffi.new("char[]", b"bit flip"), c.ffi.NULL)
    for _ in range(2):
        with pytest.raises(InternalFault, match="bit flip"):
            SecretScalar.from_bytes(b"\x01" * 32)


def test_blinding_changes_no_result() -> None:
    before = SecretScalar.from_bytes(b"\x05" * 32).point()
    blind(b"\x99" * 32)
    assert SecretScalar.from_bytes(b"\x05" * 32).point() == before
    with pytest.raises(ValueError, match="32"):
        blind(b"short")
