"""Attacks on the complaints of the library: one thread's fault must be raised there, and nowhere else."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from curve import IllegalCall
from curve import context as c


def illegal() -> int:
    """A call that the library complains about, not yet looked at."""
    zeroed = c.ffi.new(c.PUBKEY)
    out, size = c.ffi.new(c.BYTES33), c.ffi.new(c.SIZE, 33)
    return int(c.lib.secp256k1_ec_pubkey_serialize(c.context, out, size, zeroed, c.COMPRESSED))


def test_a_complaint_is_raised_in_its_own_thread() -> None:
    """Elsewhere it would blame an innocent, and here a failed sum would pass for the point at infinity."""
    with ThreadPoolExecutor(1) as pool:
        returned = pool.submit(illegal).result()
        assert c.succeeded(1)
        with pytest.raises(IllegalCall):
            pool.submit(c.succeeded, returned).result()
        assert pool.submit(c.succeeded, 1).result()
