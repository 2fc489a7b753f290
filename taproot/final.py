"""Signatures in, a transaction out that has been verified whole: a finaliser's "ok" is not a proof.

The transaction is put together from the PSBT, read back from its bytes, and compared with what was asked for; each
signature is verified by BIP 340 under the key in the script it spends.
"""

from collections.abc import Sequence

import wallycore
from btclib.script import Witness
from btclib.tx import Tx
from btclib_wallet.psbt import Psbt, extract_tx

from curve import schnorr_verify
from taproot.leaves import Leaf
from taproot.reading import double_sha256, read_spend
from taproot.refusals import PsbtRefused, faults_refused
from taproot.sighash import signing_tasks
from taproot.spend import SIGHASH_DEFAULT, FinalTransaction, SigningTask, Spend, SpendInput
from taproot.wallet import PublicWallet

Signatures = Sequence[Sequence[bytes]]
"""For each input its signatures (64 bytes): one, or one place for each key of a leaf, empty where it does not sign."""


def finalise(
    psbt: bytes,
    wallet: PublicWallet,
    signatures: Signatures,
    *,
    leaf: Leaf | None = None,
    next_receive: int = 0,
    next_change: int = 0,
) -> FinalTransaction:
    """Finish a PSBT with the BIP 340 signatures (64 bytes each) of every input, in order.

    Args:
        signatures: for each input one signature; for a leaf of several keys one for each key in the order of the
            script, empty where that key does not sign.
        leaf: the registered leaf by which all inputs are spent; None for the key path.
        next_receive, next_change: as for `read_spend`.

    Returns:
        The transaction, verified whole, and the finalised PSBT.

    Raises:
        PsbtRefused: what `read_spend` and `signing_tasks` refuse, "wrong-signature" or "wrong-final".
        ValueError: not as many signatures as are needed.
    """
    recovery = leaf if leaf in wallet.recovery_leaves else None
    spend = read_spend(psbt, wallet, next_receive=next_receive, next_change=next_change, leaf=recovery)
    return finish(psbt, spend, signing_tasks(psbt, spend, wallet, leaf), signatures)


def finish(
    psbt: bytes, spend: Spend, tasks: tuple[SigningTask, ...], signatures: Signatures
) -> FinalTransaction:
    """Finish a PSBT that has been read: as `finalise`, for whoever kept what reading it gave.

    Args:
        spend: what `read_spend` gave for exactly these bytes.
        tasks: what `signing_tasks` gave for them.
    """
    witnesses = _witnesses(spend, tasks, signatures)
    with faults_refused("wrong-final", "psbt", "it cannot be finished"):
        # The rules of `read_spend` held for these very bytes; what comes out is verified below.
        final_psbt, tx = _put_together(Psbt.parse(psbt, check_validity=False), witnesses)
        _verify(tx, spend, tasks)
    return FinalTransaction(tx=tx, txid=spend.txid, psbt=final_psbt)


def finish_transaction(spend: Spend, tasks: tuple[SigningTask, ...], signatures: Signatures) -> bytes:
    """The transaction alone, verified whole: as `finish`, for whoever needs no PSBT and so need not read it again.

    Raises:
        PsbtRefused: "wrong-signature" or "wrong-final".
        ValueError: not as many signatures as are needed.
    """
    witnesses = _witnesses(spend, tasks, signatures)
    with faults_refused("wrong-final", "transaction", "it cannot be finished"):
        # Whether it is valid is asked below, of the bytes as they come out.
        unsigned = Tx.parse(spend.unsigned_tx, check_validity=False)
        for one, witness in zip(unsigned.vin, witnesses, strict=True):
            one.script_witness = Witness(list(witness))
        tx = bytes(unsigned.serialize(include_witness=True, check_validity=False))
        _verify(tx, spend, tasks)
    return tx


def _witnesses(
    spend: Spend, tasks: tuple[SigningTask, ...], signatures: Signatures
) -> tuple[tuple[bytes, ...], ...]:
    if not len(signatures) == len(tasks) == len(spend.inputs):
        raise ValueError(f"{len(spend.inputs)} signatures are needed, not {len(signatures)}")
    return tuple(_witness(task, several) for task, several in zip(tasks, signatures, strict=True))


def _witness(task: SigningTask, signatures: Sequence[bytes]) -> tuple[bytes, ...]:
    """The witness of one input: its signatures and, by a leaf, script and control block (BIP 341)."""
    keys, needed = (1, 1) if task.leaf is None else (len(task.leaf.keys), task.leaf.needed)
    if len(signatures) != keys or sum(1 for one in signatures if one) != needed:
        text = f"it needs {needed} signatures, in the places of its {keys} keys"
        raise PsbtRefused("wrong-final", f"input {task.index}", text)
    items = tuple(_item(task.sighash_type, signature) for signature in signatures)
    if task.leaf is None:
        return items
    # The last item is on top of the stack, where the first key of the script looks for its signature.
    return (*reversed(items), task.leaf.script, task.leaf.control_block)


def _item(sighash_type: int, signature: bytes) -> bytes:
    """One signature as a witness item: SIGHASH_DEFAULT is the absence of a byte; nothing stays nothing (BIP 342)."""
    return (
        signature if sighash_type == SIGHASH_DEFAULT or not signature else signature + bytes([sighash_type])
    )


def _put_together(psbt: Psbt, witnesses: tuple[tuple[bytes, ...], ...]) -> tuple[bytes, bytes]:
    """The finalised PSBT and the extracted transaction (BIP 174, finalizer and extractor)."""
    for one, witness in zip(psbt.inputs, witnesses, strict=True):
        one.final_script_witness = Witness(list(witness))
        # A finalizer leaves the UTXO, the final witness and what it does not know.
        one.taproot_hd_key_paths = {}
        one.taproot_internal_key = b""
        one.hd_key_paths = {}
        one.sig_hash_type = None
        one.taproot_leaf_scripts, one.taproot_merkle_root, one.taproot_script_spend_signatures = {}, b"", {}
        one.musig2_participant_pub_keys, one.musig2_pub_nonces, one.musig2_partial_sigs = {}, {}, {}
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
    same = bytes(read.serialize(include_witness=True, check_validity=False)) == tx
    if not same or not spend.signed_vsize <= vsize <= spend.most_vsize:
        raise PsbtRefused("wrong-final", "transaction", "it reads back differently")
    for one, coin, task in zip(read.vin, spend.inputs, tasks, strict=True):
        _verify_input(tuple(one.script_witness.stack), coin, task)


def _verify_input(stack: tuple[bytes, ...], coin: SpendInput, task: SigningTask) -> None:
    where = f"input {task.index}"
    keys: tuple[bytes, ...] = (coin.script_pubkey[2:],)
    items = stack
    if task.leaf is not None:
        if stack[-2:] != (task.leaf.script, task.leaf.control_block):
            raise PsbtRefused("wrong-final", where, "its witness does not end with the leaf and its proof")
        keys, items = task.leaf.keys, tuple(reversed(stack[:-2]))
    if len(items) != len(keys):
        raise PsbtRefused("wrong-final", where, "its witness is not one signature for each key")
    signed = 0
    for key, item in zip(keys, items, strict=True):
        if item == b"" and task.leaf is not None:
            continue
        if item != _item(task.sighash_type, item[:64]):
            raise PsbtRefused("wrong-final", where, "an item of its witness is no signature")
        if not schnorr_verify(key, task.sighash, item[:64]):
            raise PsbtRefused("wrong-signature", where, "its signature does not verify")
        signed += 1
    if signed != (1 if task.leaf is None else task.leaf.needed):
        raise PsbtRefused("wrong-final", where, "it is not signed by as many keys as are needed")
