"""BIP 390's own descriptors: which of them are taken, the scripts they give, and what is refused."""

from __future__ import annotations

import pytest
from btclib_wallet.bip32 import BIP32KeyData
from btclib_wallet.descriptors import add_checksum

from cluster.outputs import aggregate_key
from curve import Point, TweakContext, tagged_hash
from taproot import ExtendedKey, Network, WalletPath, branch_scripts
from taproot.leaves import LEAF_VERSION
from taproot.tree import ScriptTree
from taproot.wallet import output_script, tap_tweak

WIF = "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU74sHUHy8S"
KEYS = (
    "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
    "03dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
    "023590a94e768f8e1815c2f24b4d80a8e3149316c3518ce7b7ad338368d038ca66",
)
XPUBS = (
    "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL",
    "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y",
)
LONE = "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"
OF_KEYS, OF_XPUBS = f"musig({','.join(KEYS)})", f"musig({','.join(XPUBS)})"
RANGED = [
    (
        f"rawtr({OF_XPUBS}/0/*)",
        "9508c08832f3bb9d5e8baf8cb5cfa3669902e2f2da19acea63ff47b93faa9bfc",
        "5ca1102663025a83dd9b5dbc214762c5a6309af00d48167d2d6483808525a298",
        "7dbed1b89c338df6a1ae137f133a19cae6e03d481196ee6f1a5c7d1aeb56b166",
    ),
    (
        f"tr({OF_XPUBS}/0/*,pk({LONE}))",
        "1d377b637b5c73f670f5c8a96a2c0bb0d1a682a1fca6aba91fe673501a189782",
        "8950c83b117a6c208d5205ffefcf75b187b32512eb7f0d8577db8d9102833036",
        "a49a477c61df73691b77fcd563a80a15ea67bb9c75470310ce5c0f25918db60d",
    ),
    (
        f"tr({LONE},pk({OF_XPUBS}/0/*))",
        "68983d461174afc90c26f3b2821d8a9ced9534586a756763b68371a404635cc8",
        "368e2d864115181bdc8bb5dc8684be8d0760d5c33315570d71a21afce4afd43e",
        "97a1e6270b33ad85744677418bae5f59ea9136027223bc6e282c47c167b471d5",
    ),
]
FIXED = [f"rawtr(musig({WIF},{KEYS[1]},{KEYS[2]}))", f"tr({OF_KEYS})"]
"""The other two valid ones: one with a private key, both of a single address. They are no wallets here."""
INVALID = [
    f"pk({OF_KEYS})",
    f"pkh({OF_KEYS})",
    f"wpkh({OF_KEYS})",
    f"combo({OF_KEYS})",
    f"sh(wpkh({OF_KEYS}))",
    f"sh(wsh(pk({OF_KEYS})))",
    f"wsh({OF_KEYS})",
    f"sh({OF_KEYS})",
    f"tr({OF_KEYS}/0/0)",
    f"tr(musig({XPUBS[0]}/*,{XPUBS[1]})/0/*)",
    f"tr({OF_XPUBS}/0h/*)",
    f"tr({OF_XPUBS}/0/*h)",
]


def own_scripts(which: int) -> tuple[bytes, ...]:
    """The same scripts by our own aggregation, derivation and tree."""
    keys = [BIP32KeyData.b58decode(xpub) for xpub in XPUBS]
    aggregate = aggregate_key(tuple(ExtendedKey(key.key, key.chain_code) for key in keys))
    lone = Point.from_xonly(bytes.fromhex(LONE))
    found = []
    for index in range(3):
        child, _ = aggregate.child(WalletPath(0, index))
        if which == 0:
            found.append(output_script(child.xonly()))
            continue
        internal, in_leaf = (child, lone) if which == 1 else (lone, child)
        root = ScriptTree([leaf_hash(b"\x20" + in_leaf.xonly() + b"\xac")]).root
        found.append(output_script(TweakContext.start(internal).apply(tap_tweak(internal, root)).Q.xonly()))
    return tuple(found)


def leaf_hash(script: bytes) -> bytes:
    return tagged_hash("TapLeaf", bytes([LEAF_VERSION, len(script)]) + script)


@pytest.mark.parametrize("which", range(3))
def test_the_scripts_of_a_range_by_the_library_and_by_ours(which: int) -> None:
    text, *outputs = RANGED[which]
    expected = tuple(output_script(bytes.fromhex(output)) for output in outputs)
    assert branch_scripts(add_checksum(text), range(3), Network.MAINNET) == (expected,)
    assert own_scripts(which) == expected


def test_the_aggregate_of_plain_keys() -> None:
    """The keys of the fixed one, sorted and aggregated: its output is the BIP's."""
    aggregate = aggregate_key(tuple(ExtendedKey(bytes.fromhex(key), bytes(32)) for key in KEYS)).key.point
    output = TweakContext.start(aggregate).apply(tap_tweak(aggregate)).Q.xonly()
    assert output.hex() == "79e6c3e628c9bfbce91de6b7fb28e2aec7713d377cf260ab599dcbc40e542312"
    assert aggregate.xonly().hex() == "789d937bade6673538f3e28d8368dda4d0512f94da44cf477a505716d26a1575"


@pytest.mark.parametrize(("text", "why"), list(zip(FIXED, ("private key", "no range"), strict=True)))
def test_what_is_valid_but_no_wallet(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        branch_scripts(add_checksum(text), range(1), Network.MAINNET)


@pytest.mark.parametrize("text", INVALID)
def test_what_is_invalid_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        branch_scripts(add_checksum(text), range(1), Network.MAINNET)
