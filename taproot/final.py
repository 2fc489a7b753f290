"""Signatures in, a transaction out that has been verified whole: a finaliser's "ok" is not a proof.

The transaction is put together from the PSBT, read back from its bytes, and compared with what was asked for; each
signature is verified by BIP 340 under the key in the script it spends.
"""

import wallycore
from btclib.script import Witness
from btclib.tx import Tx
from btclib_wallet.psbt import Psbt, extract_tx

from curve import schnorr_verify
from taproot.reading import double_sha256, read_spend
from taproot.refusals import PsbtRefused, faults_refused
from taproot.sighash import signing_tasks
from taproot.spend import SIGHASH_DEFAULT, FinalTransaction, SigningTask, Spend
from taproot.wallet import PublicWallet


def finalise(
    psbt: bytes,
    wallet: PublicWallet,
    signatures: tuple[bytes, ...],
    *,
    next_receive: int = 0,
    next_change: int = 0,
) -> FinalTransaction:
    """Finish a PSBT with one 64-byte BIP 340 signature per input, in order.

    Args:
        next_receive, next_change: as for `read_spend`.

    Returns:
        The transaction, verified whole, and the finalised PSBT.

    Raises:
        PsbtRefused: what `read_spend` and `signing_tasks` refuse, "wrong-signature" or "wrong-final".
        ValueError: not one signature per input.
    """
    spend = read_spend(psbt, wallet, next_receive=next_receive, next_change=next_change)
    return finish(psbt, spend, signing_tasks(psbt, spend, wallet), signatures)


def finish(
    psbt: bytes, spend: Spend, tasks: tuple[SigningTask, ...], signatures: tuple[bytes, ...]
) -> FinalTransaction:
    """Finish a PSBT that has been read: as `finalise`, for whoever kept what reading it gave.

    Args:
        spend: what `read_spend` gave for exactly these bytes.
        tasks: what `signing_tasks` gave for them.
    """
    witnesses = _witnesses(spend, signatures)
    with faults_refused("wrong-final", "psbt", "it cannot be finished"):
        # The rules of `read_spend` held for these very bytes; what comes out is verified below.
        final_psbt, tx = _put_together(Psbt.parse(psbt, check_validity=False), witnesses)
        _verify(tx, spend, tasks)
    return FinalTransaction(tx=tx, txid=spend.txid, psbt=final_psbt)


def finish_transaction(spend: Spend, tasks: tuple[SigningTask, ...], signatures: tuple[bytes, ...]) -> bytes:
    """The transaction alone, verified whole: as `finish`, for whoever needs no PSBT and so need not read it again.

    Raises:
        PsbtRefused: "wrong-signature" or "wrong-final".
        ValueError: not one signature per input.
    """
    witnesses = _witnesses(spend, signatures)
    with faults_refused("wrong-final", "transaction", "it cannot be finished"):
        # Whether it is valid is asked below, of the bytes as they come out.
        unsigned = Tx.parse(spend.unsigned_tx, check_validity=False)
        for one, witness in zip(unsigned.vin, witnesses, strict=True):
            one.script_witness = Witness([witness])
        tx = bytes(unsigned.serialize(include_witness=True, check_validity=False))
        _verify(tx, spend, tasks)
    return tx


def _witnesses(spend: Spend, signatures: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(signatures) != len(spend.inputs):
        raise ValueError(f"{len(spend.inputs)} signatures are needed, not {len(signatures)}")
    return tuple(
        _witness(coin.sighash_type, signature)
        for coin, signature in zip(spend.inputs, signatures, strict=True)
    )


def _witness(sighash_type: int, signature: bytes) -> bytes:
    """The one witness item of a key path spend: SIGHASH_DEFAULT is the absence of a byte (BIP 341)."""
    return signature if sighash_type == SIGHASH_DEFAULT else signature + bytes([sighash_type])


def _put_together(psbt: Psbt, witnesses: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """The finalised PSBT and the extracted transaction (BIP 174, finalizer and extractor)."""
    for one, witness in zip(psbt.inputs, witnesses, strict=True):
        one.final_script_witness = Witness([witness])
        # A finalizer leaves the UTXO, the final witness and what it does not know.
        one.taproot_hd_key_paths = {}
        one.taproot_internal_key = b""
        one.hd_key_paths = {}
        one.sig_hash_type = None
    if psbt.tx_modifiable is not None:
        psbt.tx_modifiable = 0
    # Scripts and fee are not the library's to judge: we verify below, and the fee was policy's matter.
    tx = extract_tx(psbt, check_validity=False, verify_scripts=False, max_fee_rate=None)
    return bytes(psbt.serialize()), bytes(tx.serialize(include_witness=True, check_validity=False))


def _verify(tx: bytes, spend: Spend, tasks: tuple[SigningTask, ...]) -> None:
    """Verify a transaction as it will be broadcast, from its bytes.

    Raises:
        PsbtRefused: "wrong-final" or "wrong-signature".
    """
    read = Tx.parse(tx)  # which asserts that it is valid
    stripped = bytes(read.serialize(include_witness=False, check_validity=False))
    second = wallycore.tx_from_bytes(tx, wallycore.WALLY_TX_FLAG_USE_WITNESS)
    same = stripped == spend.unsigned_tx and double_sha256(stripped) == spend.txid
    if not same or bytes(wallycore.tx_get_txid(second)) != spend.txid:
        raise PsbtRefused("wrong-final", "transaction", "it is not the one that was signed")
    vsize = (3 * len(stripped) + len(tx) + 3) // 4  # BIP 141
    if bytes(read.serialize(include_witness=True, check_validity=False)) != tx or vsize != spend.signed_vsize:
        raise PsbtRefused("wrong-final", "transaction", "it reads back differently")
    for index, (one, coin, task) in enumerate(zip(read.vin, spend.inputs, tasks, strict=True)):
        stack = one.script_witness.stack
        if len(stack) != 1 or stack[0] != _witness(coin.sighash_type, stack[0][:64]):
            raise PsbtRefused("wrong-final", f"input {index}", "its witness is not one signature")
        if not schnorr_verify(coin.script_pubkey[2:], task.sighash, stack[0][:64]):
            raise PsbtRefused("wrong-signature", f"input {index}", "its signature does not verify")
