"""What is to be signed for each input: BIP 341's message, by two libraries that must agree byte for byte.

btclib hashes the `Spend` that policy judged; wally reads the PSBT's own bytes and hashes those. A fault in either
reader or either hasher therefore ends in a refusal, not in a signature of something else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import wallycore
from btclib.script import sig_hash
from btclib.script.sig_hash import PrecomputedTxData
from btclib.tx import Tx, TxOut

from curve import Point, Tweak, TweakContext
from taproot.leaves import LEAF_VERSION, Leaf, leaf_hash
from taproot.refusals import PsbtRefused, faults_refused
from taproot.spend import SigningTask, Spend, SpendInput, TapLeaf, WalletPath
from taproot.tree import root_of
from taproot.wallet import PublicWallet, output_script, tap_tweak

_LEAF_EXTENSION = b"\x00" + b"\xff" * 4
"""BIP 342: key version 0, and no OP_CODESEPARATOR."""


def signing_tasks(
    psbt: bytes, spend: Spend, wallet: PublicWallet, leaf: Leaf | None = None
) -> tuple[SigningTask, ...]:
    """The signatures that this spend needs, one task per input, in order.

    Args:
        psbt: the bytes that `spend` was read from.
        leaf: the registered leaf by which it is signed; None for the key path.

    Raises:
        PsbtRefused: "sighash-disagreement", "sighash-failed", or "output-key".
    """
    leaves = [_leaf_of(index, coin, wallet, leaf) for index, coin in enumerate(spend.inputs)]
    sighashes = agreed_sighashes(psbt, spend, leaves)
    return tuple(
        _task(index, coin, sighash, wallet, leaf, found)
        for index, (coin, sighash, found) in enumerate(zip(spend.inputs, sighashes, leaves, strict=True))
    )


def _path_of(index: int, coin: SpendInput) -> WalletPath:
    if coin.path is None:
        raise PsbtRefused("foreign-input", f"input {index}", "this wallet does not derive it")
    return coin.path


def _leaf_of(index: int, coin: SpendInput, wallet: PublicWallet, leaf: Leaf | None) -> TapLeaf | None:
    """The leaf at one input, proven under the output key that is spent, as a verifier would (BIP 341)."""
    if leaf is None:
        return None
    found = wallet.leaf_at(_path_of(index, coin), leaf)
    control = found.control_block
    root = root_of(leaf_hash(found.script), control[33:])
    output = TweakContext.start(Point.from_xonly(control[1:33])).apply(
        tap_tweak(Point.from_xonly(control[1:33]), root)
    )
    parity = 0 if output.Q.has_even_y() else 1
    if output_script(output.xonly()) != coin.script_pubkey or control[0] != LEAF_VERSION | parity:
        raise PsbtRefused("output-key", f"input {index}", "the control block leads to another output key")
    return found


def _task(
    index: int,
    coin: SpendInput,
    sighash: bytes,
    wallet: PublicWallet,
    leaf: Leaf | None,
    found: TapLeaf | None,
) -> SigningTask:
    path = _path_of(index, coin)
    if leaf is None or found is None:
        if output_script(wallet.tweaked(path).xonly()) != coin.script_pubkey:
            raise PsbtRefused("output-key", f"input {index}", "the tweaks lead to another output key")
        return SigningTask(index, sighash, coin.sighash_type, wallet.tweaks(path), path)
    tweaks: tuple[Tweak, ...] = ()
    if not leaf.is_multi:
        tweaks = leaf.keys[0].child(path)[1]
        if TweakContext.start(leaf.keys[0].key.point).apply_all(tweaks).xonly() != found.keys[0]:
            raise PsbtRefused(
                "output-key", f"input {index}", "the tweaks lead to another key than the leaf's"
            )
    return SigningTask(index, sighash, coin.sighash_type, tweaks, path, found)


def agreed_sighashes(
    psbt: bytes, spend: Spend, leaves: Sequence[TapLeaf | None] | None = None
) -> tuple[bytes, ...]:
    """The sighash (32 bytes) of each input, computed twice.

    Args:
        leaves: for each input the leaf by which it is spent, or None for the key path (as everywhere by default).

    Raises:
        PsbtRefused: the two differ, or one of them has no answer.
    """
    ways = leaves or [None] * len(spend.inputs)
    with faults_refused("sighash-failed", "psbt", "btclib cannot hash it"):
        first = btclib_sighashes(
            spend.unsigned_tx,
            [(coin.amount_sats, coin.script_pubkey) for coin in spend.inputs],
            {index: coin.sighash_type for index, coin in enumerate(spend.inputs)},
            {index: leaf.hash for index, leaf in enumerate(ways) if leaf is not None},
        )
    with faults_refused("sighash-failed", "psbt", "wally cannot hash it"):
        scripts = {index: leaf.script for index, leaf in enumerate(ways) if leaf is not None}
        second = wally_sighashes(psbt, range(len(spend.inputs)), scripts)
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        if one != other or len(one) != 32:
            raise PsbtRefused(
                "sighash-disagreement", f"input {index}", "two libraries differ on what is to be signed"
            )
    return first


def btclib_sighashes(
    unsigned_tx: bytes,
    prevouts: Sequence[tuple[int, bytes]],
    sighash_types: Mapping[int, int],
    leaf_hashes: Mapping[int, bytes] | None = None,
) -> tuple[bytes, ...]:
    """BIP 341's message (32 bytes) of some inputs, by btclib.

    Args:
        prevouts: amount and script of every coin spent.
        sighash_types: for each input index that is asked about, its type; the answers come in that order.
        leaf_hashes: for inputs spent by a script leaf, its hash (BIP 342).
    """
    # Both were found valid when they were read (`read_spend`).
    tx = Tx.parse(unsigned_tx, check_validity=False)
    spent = [TxOut(amount_sats, script, check_validity=False) for amount_sats, script in prevouts]
    # Hashed once for all inputs: the library's per-input helper would do it again for each, which is quadratic.
    precomputed = PrecomputedTxData(tx, spent)
    by_leaf = leaf_hashes or {}
    return tuple(
        bytes(
            sig_hash.taproot(
                tx,
                index,
                spent,
                sighash_type,
                int(index in by_leaf),
                b"",
                by_leaf[index] + _LEAF_EXTENSION if index in by_leaf else b"",
                precomputed,
            )
        )
        for index, sighash_type in sighash_types.items()
    )


def wally_sighashes(
    psbt: bytes, indices: Sequence[int], scripts: Mapping[int, bytes] | None = None
) -> tuple[bytes, ...]:
    """BIP 341's message (32 bytes) of some inputs of a PSBT, read and hashed by wally alone.

    Args:
        scripts: for inputs spent by a script leaf, the tapscript.
    """
    by_leaf = scripts or {}
    # The frame has been read before, because wally ignores trailing bytes.
    parsed: Any = wallycore.psbt_from_bytes(psbt, wallycore.WALLY_PSBT_PARSE_FLAG_STRICT)
    wallycore.psbt_signing_cache_enable(parsed, 0)
    tx: Any = wallycore.psbt_extract(parsed, wallycore.WALLY_PSBT_EXTRACT_NON_FINAL)
    if not by_leaf:
        return tuple(
            bytes(wallycore.psbt_get_input_signature_hash(parsed, index, tx, None, 0)) for index in indices
        )
    coins = [
        wallycore.psbt_get_input_best_utxo(parsed, i) for i in range(wallycore.psbt_get_num_inputs(parsed))
    ]
    spent = wallycore.map_from_dict({i: wallycore.tx_output_get_script(coin) for i, coin in enumerate(coins)})
    values = [wallycore.tx_output_get_satoshi(coin) for coin in coins]
    return tuple(
        bytes(
            wallycore.tx_get_btc_taproot_signature_hash(
                tx,
                index,
                spent,
                values,
                by_leaf.get(index),
                0,
                wallycore.WALLY_NO_CODESEPARATOR,
                None,
                wallycore.psbt_get_input_sighash(parsed, index),
                0,
            )
        )
        for index in indices
    )
