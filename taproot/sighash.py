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

from taproot.refusals import PsbtRefused, faults_refused
from taproot.spend import SigningTask, Spend
from taproot.wallet import PublicWallet, output_script


def signing_tasks(psbt: bytes, spend: Spend, wallet: PublicWallet) -> tuple[SigningTask, ...]:
    """The signatures that this spend needs, one per input, in order.

    Args:
        psbt: the bytes that `spend` was read from.

    Raises:
        PsbtRefused: "sighash-disagreement", "sighash-failed", or "output-key".
    """
    sighashes = agreed_sighashes(psbt, spend)
    tasks = []
    for index, (coin, sighash) in enumerate(zip(spend.inputs, sighashes, strict=True)):
        where = f"input {index}"
        if coin.path is None:
            raise PsbtRefused("foreign-input", where, "this wallet does not derive it")
        tweaks = wallet.tweaks(coin.path)
        if output_script(wallet.tweaked(coin.path).xonly()) != coin.script_pubkey:
            raise PsbtRefused("output-key", where, "the tweaks lead to another output key")
        tasks.append(SigningTask(index, sighash, coin.sighash_type, tweaks))
    return tuple(tasks)


def agreed_sighashes(psbt: bytes, spend: Spend) -> tuple[bytes, ...]:
    """The key path sighash (32 bytes) of each input, computed twice.

    Raises:
        PsbtRefused: the two differ, or one of them has no answer.
    """
    with faults_refused("sighash-failed", "psbt", "btclib cannot hash it"):
        first = btclib_sighashes(
            spend.unsigned_tx,
            [(coin.amount_sats, coin.script_pubkey) for coin in spend.inputs],
            {index: coin.sighash_type for index, coin in enumerate(spend.inputs)},
        )
    with faults_refused("sighash-failed", "psbt", "wally cannot hash it"):
        second = wally_sighashes(psbt, range(len(spend.inputs)))
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        if one != other or len(one) != 32:
            raise PsbtRefused(
                "sighash-disagreement", f"input {index}", "two libraries differ on what is to be signed"
            )
    return first


def btclib_sighashes(
    unsigned_tx: bytes, prevouts: Sequence[tuple[int, bytes]], sighash_types: Mapping[int, int]
) -> tuple[bytes, ...]:
    """BIP 341's key path message (32 bytes) of some inputs, by btclib.

    Args:
        prevouts: amount and script of every coin spent.
        sighash_types: for each input index that is asked about, its type; the answers come in that order.
    """
    # Both were found valid when they were read (`read_spend`).
    tx = Tx.parse(unsigned_tx, check_validity=False)
    spent = [TxOut(amount_sats, script, check_validity=False) for amount_sats, script in prevouts]
    # Hashed once for all inputs: the library's per-input helper would do it again for each, which is quadratic.
    precomputed = PrecomputedTxData(tx, spent)
    return tuple(
        bytes(sig_hash.taproot(tx, index, spent, sighash_type, 0, b"", b"", precomputed))
        for index, sighash_type in sighash_types.items()
    )


def wally_sighashes(psbt: bytes, indices: Sequence[int]) -> tuple[bytes, ...]:
    """BIP 341's key path message (32 bytes) of some inputs of a PSBT, read and hashed by wally alone."""
    # The frame has been read before, because wally ignores trailing bytes.
    parsed: Any = wallycore.psbt_from_bytes(psbt, wallycore.WALLY_PSBT_PARSE_FLAG_STRICT)
    wallycore.psbt_signing_cache_enable(parsed, 0)
    tx: Any = wallycore.psbt_extract(parsed, wallycore.WALLY_PSBT_EXTRACT_NON_FINAL)
    return tuple(
        bytes(wallycore.psbt_get_input_signature_hash(parsed, index, tx, None, 0)) for index in indices
    )
