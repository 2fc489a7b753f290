"""Reads BIP 341's wallet-test-vectors.json: output keys, addresses, key path sighashes and signatures."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from psbt_mutations import WITNESS_UTXO, Draft, Input, Output, sized

from curve import Point, SecretScalar, TweakContext, schnorr_sign, schnorr_verify
from taproot import Network, address_to_script, script_to_address, script_type
from taproot.sighash import btclib_sighashes, wally_sighashes
from taproot.wallet import output_script, tap_tweak

Cases = list[tuple[str, Callable[[], None]]]


def cases(path: str, text: str) -> Cases | None:
    """One case per output and one per signed input. Script trees themselves are not ours: roots are given."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(data, dict) or not {"scriptPubKey", "keyPathSpending"} <= data.keys():
        return None
    found: Cases = []
    for i, one in enumerate(data["scriptPubKey"]):
        found.append((f"scriptPubKey {i}", partial(_check_output, one)))
    for i, spending in enumerate(data["keyPathSpending"]):
        for one in spending["inputSpending"]:
            name = f"keyPathSpending {i} input {one['given']['txinIndex']}"
            found.append((name, partial(_check_input, spending, one)))
    return found


def _check_output(case: dict[str, Any]) -> None:
    internal_key = Point.from_xonly(bytes.fromhex(case["given"]["internalPubkey"]))
    root = bytes.fromhex(case["intermediary"]["merkleRoot"] or "")
    tweak = tap_tweak(internal_key, root)
    assert tweak.tweak.hex() == case["intermediary"]["tweak"], "tweak differs"
    output_key = TweakContext.start(internal_key).apply(tweak).xonly()
    assert output_key.hex() == case["intermediary"]["tweakedPubkey"], "output key differs"
    script = output_script(output_key)
    assert script.hex() == case["expected"]["scriptPubKey"], "script differs"
    assert script_type(script) == "p2tr"
    address = case["expected"]["bip350Address"]
    assert script_to_address(script, Network.MAINNET) == address, "address differs"
    assert address_to_script(address, Network.MAINNET) == script, "address reads back differently"


def _check_input(spending: dict[str, Any], case: dict[str, Any]) -> None:
    given, intermediary = case["given"], case["intermediary"]
    index, sighash_type = given["txinIndex"], given["hashType"]
    unsigned_tx = bytes.fromhex(spending["given"]["rawUnsignedTx"])
    coins = [(c["amountSats"], bytes.fromhex(c["scriptPubKey"])) for c in spending["given"]["utxosSpent"]]
    (sighash,) = btclib_sighashes(unsigned_tx, coins, {index: sighash_type})
    assert sighash.hex() == intermediary["sigHash"], "btclib's sighash differs"
    (second,) = wally_sighashes(_psbt(unsigned_tx, coins, {index: sighash_type}), [index])
    assert second == sighash, "wally's sighash differs"
    _check_signature(case, sighash, coins[index][1])


def _check_signature(case: dict[str, Any], sighash: bytes, script: bytes) -> None:
    given, intermediary = case["given"], case["intermediary"]
    secret = SecretScalar.from_bytes(bytes.fromhex(given["internalPrivkey"]))
    start = secret.point()
    assert start.xonly().hex() == intermediary["internalPubkey"], "internal key differs"
    tweaked = TweakContext.start(start).apply(tap_tweak(start, bytes.fromhex(given["merkleRoot"] or "")))
    assert output_script(tweaked.xonly()) == script, "output key differs"
    signing = secret.mul(tweaked.gacc).add(tweaked.tacc)
    signature = schnorr_sign(signing, sighash, bytes(32))
    suffix = bytes([given["hashType"]]) if given["hashType"] else b""
    assert [(signature + suffix).hex()] == case["expected"]["witness"], "signature differs"
    assert schnorr_verify(script[2:], sighash, signature), "signature does not verify"


def _psbt(unsigned_tx: bytes, coins: list[tuple[int, bytes]], sighash_types: dict[int, int]) -> bytes:
    """A version 0 PSBT around a given transaction, with every coin as a witness UTXO."""
    fields = [{WITNESS_UTXO: amount.to_bytes(8, "little") + sized(script)} for amount, script in coins]
    for index, sighash_type in sighash_types.items():
        fields[index][b"\x03"] = sighash_type.to_bytes(4, "little")
    told = _take_apart(unsigned_tx)
    for one, own in zip(told.inputs, fields, strict=True):
        one.fields = own
    return told.write()


def _take_apart(tx: bytes) -> Draft:
    count, at, inputs = tx[4], 5, []
    for _ in range(count):
        assert tx[at + 36] == 0, "an input carries a script"
        inputs.append(Input(tx[at : at + 36], tx[at + 37 : at + 41], {}))
        at += 41
    outputs, count = [], tx[at]
    at += 1
    for _ in range(count):
        size = tx[at + 8]
        outputs.append(Output(int.from_bytes(tx[at : at + 8], "little"), tx[at + 9 : at + 9 + size], {}))
        at += 9 + size
    told = Draft(0, tx[:4], tx[at:], {}, inputs, outputs)
    assert len(told.locktime) == 4
    return told
