"""The wallet's addresses, descriptor and search, against two libraries' own derivation from the descriptor."""

from __future__ import annotations

import tracemalloc
from time import perf_counter

import pytest
import wallycore
from btclib_wallet import descriptors
from lone_signer import LoneSigner

from curve import Point, TweakContext
from taproot import (
    Network,
    PublicWallet,
    WalletPath,
    address_to_script,
    script_to_address,
    script_type,
    wallet_chain_code,
)
from taproot.wallet import MOST_SEARCHED, output_script

PREFIX = {
    Network.MAINNET: "bc1p",
    Network.TESTNET4: "tb1p",
    Network.SIGNET: "tb1p",
    Network.REGTEST: "bcrt1p",
}
WALLY = {
    Network.MAINNET: wallycore.WALLY_NETWORK_BITCOIN_MAINNET,
    Network.TESTNET4: wallycore.WALLY_NETWORK_BITCOIN_TESTNET,
    Network.SIGNET: wallycore.WALLY_NETWORK_BITCOIN_TESTNET,
    Network.REGTEST: wallycore.WALLY_NETWORK_BITCOIN_REGTEST,
}


@pytest.mark.parametrize("network", list(Network))
@pytest.mark.parametrize("label", ["even", "odd one", "another"])
def test_two_libraries_derive_our_addresses_from_our_descriptor(network: Network, label: str) -> None:
    wallet = LoneSigner(label, network).wallet
    text = wallet.descriptor()
    by_btclib = [descriptors.parse(one, network.value) for one in descriptors.multipath_descriptors(text)]
    by_wally = wallycore.descriptor_parse(text, None, WALLY[network], 0)
    assert len(by_btclib) == wallycore.descriptor_get_num_paths(by_wally) == 2
    for branch in (0, 1):
        ours = [wallet.address(WalletPath(branch, i)) for i in range(20)]
        assert all(one.startswith(PREFIX[network]) for one in ours)
        assert ours == [by_btclib[branch].address(i) for i in range(20)]
        assert ours == [wallycore.descriptor_to_address(by_wally, 0, branch, i, 0) for i in range(20)]
        single = descriptors.parse(wallet.descriptor(branch=branch), network.value)
        assert ours == [single.address(i) for i in range(20)]


def test_the_descriptor_says_who_it_is() -> None:
    wallet = LoneSigner("descriptor", Network.MAINNET).wallet
    text = wallet.descriptor()
    assert text.startswith(f"tr([{wallet.fingerprint.hex()}]xpub661MyMwAqRbc")
    body, checksum = text.split("#")
    assert body.endswith("/<0;1>/*)")
    assert wallet.descriptor(checksum=False) == body
    assert wallycore.descriptor_get_checksum(
        wallycore.descriptor_parse(body, None, WALLY[Network.MAINNET], 0), 0
    ) == (checksum)
    assert "[" not in wallet.descriptor(origin=False)
    key = wallycore.bip32_key_from_base58(wallet.xpub)
    assert wallycore.bip32_key_get_fingerprint(key) == wallet.fingerprint
    assert wallycore.bip32_key_get_depth(key) == 0
    assert wallycore.bip32_key_get_pub_key(key) == wallet.key.key.public_key
    assert wallycore.bip32_key_get_chain_code(key) == wallet.key.key.chain_code


@pytest.mark.parametrize("label", ["even", "odd one", "another", "fourth"])
def test_the_tweaks_lead_from_the_threshold_key_to_the_script(label: str) -> None:
    wallet = LoneSigner(label).wallet
    start = TweakContext.start(Point.from_bytes(wallet.key.key.public_key))
    for path in (WalletPath(0, 0), WalletPath(1, 0), WalletPath(1, 19), WalletPath(0, (1 << 31) - 1)):
        tweaks = wallet.tweaks(path)
        assert [tweak.is_xonly for tweak in tweaks] == [False, False, True]
        output_key = start.apply_all(tweaks).xonly()
        assert wallet.script(path) == b"\x51\x20" + output_key == b"\x51\x20" + wallet.output_key(path)
        assert start.apply_all(tweaks[:2]).xonly() == wallet.internal_key(path)


def test_the_search_ends_with_the_gap() -> None:
    wallet = LoneSigner("gap", gap_limit=5).wallet
    last, beyond = (wallet.script(WalletPath(1, i)) for i in (4, 5))
    assert wallet.find(last) == WalletPath(1, 4)
    assert wallet.find(beyond) is None
    assert wallet.find(beyond, next_receive=9) is None
    assert wallet.find(beyond, next_change=1) == WalletPath(1, 5)
    # What an earlier, wider search has seen is still beyond a narrower one.
    assert wallet.find(beyond) is None
    assert wallet.find(bytes(34)) is None
    assert wallet.find(b"\x00\x14" + bytes(20)) is None


def test_whoever_moves_the_gap_ahead_costs_neither_memory_nor_time() -> None:
    """A client may ask for one spend to itself after another, each a whole gap further."""
    wallet = LoneSigner("ratchet", gap_limit=1_000).wallet
    stranger = output_script(bytes(32))
    tracemalloc.start()
    for next_change in range(0, 7_000, 1_000):
        assert wallet.find(stranger, next_change=next_change) is None
    started = perf_counter()
    assert wallet.find(stranger, next_change=50_000_000) is None
    assert perf_counter() - started < 5
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 32 << 20
    near, old = WalletPath(1, 50_000_000), WalletPath(1, 50_000_000 - MOST_SEARCHED)
    assert wallet.find(wallet.script(near), next_change=50_000_000) == near
    assert wallet.find(wallet.script(old), next_change=50_000_000) is None


def test_a_search_answers_alike_whatever_was_searched_before() -> None:
    """A node that starts again reads its old requests anew, and must understand them as it did."""
    used, fresh = LoneSigner("alike", gap_limit=1_000).wallet, LoneSigner("alike", gap_limit=1_000).wallet
    for next_change in (0, 3_000, 4_001, 9_000):
        used.find(output_script(bytes(32)), next_change=next_change)
    for index in (0, 4_999, 5_000, 5_001, 9_999, 10_000):
        script = fresh.script(WalletPath(1, index))
        assert used.find(script, next_change=9_000) == fresh.find(script, next_change=9_000)


def test_another_wallet_derives_nothing_of_ours() -> None:
    one = LoneSigner("one").wallet
    other_code = PublicWallet.of_key(one.network, one.key.key.public_key, bytes(32), 20)
    for path in (WalletPath(0, 0), WalletPath(1, 3)):
        assert other_code.find(one.script(path)) is None
    assert one == PublicWallet.of_key(one.network, one.key.key.public_key, one.key.key.chain_code, 20)
    assert one != other_code


@pytest.mark.parametrize(
    "path", [WalletPath(2, 0), WalletPath(-1, 0), WalletPath(0, -1), WalletPath(0, 1 << 31)]
)
def test_paths_outside_the_wallet_are_refused(path: WalletPath) -> None:
    with pytest.raises(ValueError):
        LoneSigner().wallet.script(path)


def test_wrong_keys_are_refused() -> None:
    good = LoneSigner().wallet
    for key, code, gap in (
        (b"\x02" + bytes(32), good.key.key.chain_code, 20),
        (good.key.key.public_key[1:], good.key.key.chain_code, 20),
        (good.key.key.public_key, bytes(31), 20),
        (good.key.key.public_key, good.key.key.chain_code, 0),
    ):
        with pytest.raises(ValueError):
            PublicWallet.of_key(Network.REGTEST, key, code, gap)
    with pytest.raises(ValueError):
        wallet_chain_code(bytes(32), b"")
    assert wallet_chain_code(good.key.key.public_key, b"a") != wallet_chain_code(
        good.key.key.public_key, b"b"
    )


SCRIPTS = {
    "p2pkh": ("76a914" + "11" * 20 + "88ac", "1"),
    "p2sh": ("a914" + "11" * 20 + "87", "3"),
    "p2wpkh": ("0014" + "11" * 20, "bc1q"),
    "p2wsh": ("0020" + "11" * 32, "bc1q"),
    "p2tr": ("5120" + "11" * 32, "bc1p"),
    "p2a": ("51024e73", "bc1p"),
    "witness_unknown": ("5210" + "11" * 16, "bc1z"),
    "p2pk": ("21" + "02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" + "ac", None),
    "nulldata": ("6a", None),
    "nonstandard": ("51", None),
}


@pytest.mark.parametrize("kind", list(SCRIPTS))
def test_scripts_have_types_and_addresses(kind: str) -> None:
    script, start = bytes.fromhex(SCRIPTS[kind][0]), SCRIPTS[kind][1]
    assert script_type(script) == kind
    address = script_to_address(script, Network.MAINNET)
    if start is None or address is None:
        assert address is start
        return
    assert address.startswith(start)
    assert address_to_script(address, Network.MAINNET) == script
    for other in (Network.TESTNET4, Network.SIGNET, Network.REGTEST):
        with pytest.raises(ValueError):
            address_to_script(address, other)
        there = script_to_address(script, other)
        assert there is not None
        assert address_to_script(there, other) == script
        with pytest.raises(ValueError):
            address_to_script(there, Network.MAINNET)


def test_scripts_of_any_length_have_a_type() -> None:
    for script in (b"", b"\x6a\x4c\xff", b"\x6a" + bytes(9_000), bytes(9_000), b"\x51\x29" + bytes(41)):
        assert script_type(script)
        script_to_address(script, Network.MAINNET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "bc1",
        "bc1p",
        "1",
        "x" * 5000,
        "bc1q\x1b[2J",
        "\u202ebc1q",
        "tb1pé",
        "BC1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        address_to_script(text, Network.MAINNET)


def test_capitals_as_in_qr_codes_are_read() -> None:
    address = script_to_address(bytes.fromhex("0014" + "11" * 20), Network.MAINNET)
    assert address is not None
    assert address_to_script(f" {address.upper()}\n", Network.MAINNET) == bytes.fromhex("0014" + "11" * 20)


def test_looking_ahead_changes_nothing_but_the_time() -> None:
    wallet = LoneSigner().wallet
    ahead, plain = (
        PublicWallet.of_key(wallet.network, wallet.key.key.public_key, wallet.key.key.chain_code, gap_limit=8)
        for _ in range(2)
    )
    assert ahead.look_ahead(10)
    assert ahead.look_ahead(5)
    assert not ahead.look_ahead(5)
    assert not ahead.look_ahead(5)
    scripts = [wallet.script(WalletPath(branch, index)) for branch in (0, 1) for index in range(10)]
    assert [ahead.find(script) for script in scripts] == [plain.find(script) for script in scripts]
    assert ahead.look_ahead(1, next_receive=2)
    assert not ahead.look_ahead(1, next_receive=2)
    assert [ahead.find(script) for script in scripts] == [plain.find(script) for script in scripts]
    assert ahead.find(scripts[9], next_receive=2) == WalletPath(0, 9)
