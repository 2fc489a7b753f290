"""Addresses and output scripts, each checked against its network."""

from functools import lru_cache

from btclib.exceptions import BTClibTypeError, BTClibValueError
from btclib.script import script_pub_key as btclib_script

from taproot.spend import Network

_OP_RETURN = 0x6A
_PAY_TO_ANCHOR = bytes.fromhex("51024e73")
_LONGEST_ADDRESS = 100
_LONGEST_KEPT = 42
"""The longest script whose description is kept: that of a witness program, so that memory stays small."""


def script_type(script: bytes) -> str:
    """The kind of an output script; `SpendOutput` lists them."""
    if script[:1] == bytes([_OP_RETURN]):
        return "nulldata"
    if script == _PAY_TO_ANCHOR:
        return "p2a"
    kind = btclib_script.type_and_payload(script)[0]
    return "nonstandard" if kind == "unknown" else kind


def script_to_address(script: bytes, network: Network) -> str | None:
    """The address of an output script on a network, or None if it has none."""
    if script[:1] == bytes([_OP_RETURN]):
        return None
    return btclib_script.address(script, network.value) or None


def describe_script(script: bytes, network: Network) -> tuple[str, str | None]:
    """`script_type` and `script_to_address` in one; for short scripts remembered, since most are paid again."""
    return _remembered(script, network) if len(script) <= _LONGEST_KEPT else _described(script, network)


def _described(script: bytes, network: Network) -> tuple[str, str | None]:
    return script_type(script), script_to_address(script, network)


_remembered = lru_cache(maxsize=4096)(_described)


def address_to_script(address: str, network: Network) -> bytes:
    """The output script an address stands for.

    Raises:
        ValueError: not an address, or one of another network. (Test networks other than regtest share their
            addresses; nobody can tell them apart.)
    """
    text = address.strip()
    if len(text) > _LONGEST_ADDRESS or not (text.isascii() and text.isprintable()):
        raise ValueError("that is not a Bitcoin address")
    try:
        script = bytes(btclib_script.ScriptPubKey.from_address(text).script)
    except (BTClibValueError, BTClibTypeError, ValueError) as fault:
        raise ValueError(f"that is not a Bitcoin address: {fault}") from fault
    # Written again for our network it must be the same text; bech32 may come in capitals, as in QR codes.
    if script_to_address(script, network) not in (text, text.lower()):
        raise ValueError(f"that address is not one of {network.value}")
    return script
