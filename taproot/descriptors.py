"""Output descriptors of others (BIP 380): the scripts of a range, for those who pay to somebody's watched wallet."""

from __future__ import annotations

from btclib_wallet.descriptors import parse, strip_checksum

from taproot.spend import Network

MAX_DESCRIPTOR_CHARS = 1_500
"""No descriptor is longer than this."""


def descriptor_scripts(text: str, first: int, last: int, network: Network) -> tuple[bytes, ...]:
    """The output scripts of a descriptor's indexes from `first` to `last`, both included.

    Args:
        text: a descriptor with its checksum, public keys only, ranged (`/*`).
        first: the first index, from 0.
        last: the last index.
        network: of which its keys must be.

    Raises:
        ValueError: it has no checksum or a wrong one, holds private keys, has no range, or cannot be read.
    """
    if len(text) > MAX_DESCRIPTOR_CHARS or not text.isascii():
        raise ValueError("it is too long, or not plain text")
    if "prv" in text:
        raise ValueError("it holds a private key")
    if "#" not in text:
        raise ValueError("it has no checksum (`#...` at its end)")
    try:
        strip_checksum(text)
        descriptor = parse(text, network.value)
        if not descriptor.is_ranged:
            raise ValueError("it has no range (`/*`)")
        return tuple(bytes(descriptor.script_pub_key(i).script) for i in range(first, last + 1))
    except ValueError:
        raise
    except Exception as fault:
        raise ValueError(f"it cannot be read ({type(fault).__name__})") from None
