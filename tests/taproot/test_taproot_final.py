"""Signing tasks are agreed by two libraries, and nothing leaves the finaliser that does not verify."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import wallycore
from btclib.tx import Tx
from btclib_wallet.psbt import Psbt
from conformance import bip328, bip341
from lone_signer import LoneSigner
from psbt_mutations import WITNESS_UTXO, draft
from vector_files import official, parameters, skip_without_official

import taproot.sighash
from curve import schnorr_verify
from taproot import (
    Payment,
    PsbtRefused,
    Spend,
    WalletPath,
    build_psbt,
    finalise,
    finish_transaction,
    read_spend,
    signing_tasks,
)

SIGNER = LoneSigner("final")
WALLET = SIGNER.wallet


def example(version: int, sighash_type: int | None = None) -> tuple[bytes, Spend]:
    psbt = build_psbt(
        WALLET,
        coins=SIGNER.coins(3),
        payments=[Payment(bytes.fromhex("0014" + "22" * 20), 120_000)],
        fee_sats=2_000,
        change=WalletPath(1, 0),
        psbt_version=version,
        sighash_type=sighash_type,  # type: ignore[arg-type]
    )
    return psbt, read_spend(psbt, WALLET)


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("sighash_type", [None, 0, 1])
def test_signatures_become_a_transaction(version: int, sighash_type: int | None) -> None:
    psbt, spend = example(version, sighash_type)
    tasks = signing_tasks(psbt, spend, WALLET)
    assert [task.index for task in tasks] == [0, 1, 2]
    assert {(task.sighash_type, task.leaf) for task in tasks} == {(sighash_type or 0, None)}
    signatures = SIGNER.sign(tasks)
    final = finalise(psbt, WALLET, signatures)
    assert final.tx == finish_transaction(spend, tasks, signatures)
    assert final.txid == spend.txid
    tx = Tx.parse(final.tx)
    assert final.txid_hex == bytes(tx.id).hex()
    for one, coin, task in zip(tx.vin, spend.inputs, tasks, strict=True):
        (witness,) = one.script_witness.stack
        assert len(witness) == (65 if sighash_type else 64)
        assert schnorr_verify(coin.script_pubkey[2:], task.sighash, witness[:64])
    done = Psbt.parse(final.psbt)
    assert done.version == version
    assert all(one.final_script_witness.stack and one.witness_utxo for one in done.inputs)
    again = wallycore.psbt_from_bytes(final.psbt, wallycore.WALLY_PSBT_PARSE_FLAG_STRICT)
    extracted = wallycore.psbt_extract(again, wallycore.WALLY_PSBT_EXTRACT_FINAL)
    assert bytes(wallycore.tx_to_bytes(extracted, wallycore.WALLY_TX_FLAG_USE_WITNESS)) == final.tx
    with pytest.raises(PsbtRefused, match="already-signed"):
        read_spend(final.psbt, WALLET)


@pytest.mark.parametrize("at", [0, 31, 32, 63])
def test_a_wrong_signature_is_refused(at: int) -> None:
    psbt, spend = example(0)
    signatures = list(SIGNER.sign(signing_tasks(psbt, spend, WALLET)))
    bad = bytearray(signatures[1][0])
    bad[at] ^= 1
    signatures[1] = (bytes(bad),)
    with pytest.raises(PsbtRefused) as refused:
        finalise(psbt, WALLET, tuple(signatures))
    assert (refused.value.code, refused.value.where) == ("wrong-signature", "input 1")
    with pytest.raises(PsbtRefused) as refused:
        finish_transaction(spend, signing_tasks(psbt, spend, WALLET), tuple(signatures))
    assert (refused.value.code, refused.value.where) == ("wrong-signature", "input 1")


def test_signatures_in_another_order_or_number_are_refused() -> None:
    psbt, spend = example(2)
    tasks = signing_tasks(psbt, spend, WALLET)
    one, two, three = SIGNER.sign(tasks)
    for finished in (
        lambda signatures: finalise(psbt, WALLET, signatures),
        lambda signatures: finish_transaction(spend, tasks, signatures),
    ):
        with pytest.raises(PsbtRefused, match="wrong-signature"):
            finished((two, one, three))
        with pytest.raises(ValueError, match="3 signatures"):
            finished((one, two))
        for odd in (b"", one[0][:63], one[0] + b"\x00", one[0] + b"\x01"):
            with pytest.raises(PsbtRefused):
                finished(((odd,), two, three))


def test_tasks_bind_the_spend_to_the_bytes() -> None:
    """A spend that was not read from these bytes cannot be signed: the libraries disagree."""
    psbt, spend = example(0)
    told = draft(psbt)
    told.outputs[0].amount -= 1
    with pytest.raises(PsbtRefused, match="sighash-disagreement"):
        signing_tasks(told.write(), spend, WALLET)
    told = draft(psbt)
    value = told.inputs[2].fields[WITNESS_UTXO]
    told.inputs[2].fields = {WITNESS_UTXO: (7).to_bytes(8, "little") + value[8:]}
    with pytest.raises(PsbtRefused, match="sighash-disagreement"):
        signing_tasks(told.write(), spend, WALLET)
    coin = dataclasses.replace(spend.inputs[0], sighash_type=1)
    other = dataclasses.replace(spend, inputs=(coin, *spend.inputs[1:]))
    with pytest.raises(PsbtRefused, match="sighash-disagreement"):
        signing_tasks(psbt, other, WALLET)


def test_one_library_alone_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    psbt, spend = example(0)
    honest = taproot.sighash.wally_sighashes(psbt, range(3))
    for lie in ((honest[0], honest[1], bytes(32)), (honest[1], honest[0], honest[2])):
        monkeypatch.setattr(taproot.sighash, "wally_sighashes", lambda *_, lie=lie: lie)
        with pytest.raises(PsbtRefused, match="sighash-disagreement"):
            signing_tasks(psbt, spend, WALLET)


def test_tweaks_that_lead_elsewhere_are_refused() -> None:
    psbt, spend = example(0)
    coin = dataclasses.replace(spend.inputs[0], path=WalletPath(0, 1))
    with pytest.raises(PsbtRefused, match="output-key"):
        signing_tasks(psbt, dataclasses.replace(spend, inputs=(coin, *spend.inputs[1:])), WALLET)
    coin = dataclasses.replace(spend.inputs[0], path=None)
    with pytest.raises(PsbtRefused, match="foreign-input"):
        signing_tasks(psbt, dataclasses.replace(spend, inputs=(coin, *spend.inputs[1:])), WALLET)


@skip_without_official("bip341")
@pytest.mark.parametrize("run", parameters(bip341.cases, official("bip341")))
def test_bip341_vectors(run: Callable[[], None]) -> None:
    run()


@skip_without_official("bip328")
@pytest.mark.parametrize("run", parameters(bip328.cases, official("bip328")))
def test_bip328_vectors(run: Callable[[], None]) -> None:
    run()


def test_without_the_c_back_end_nothing_starts() -> None:
    program = "import taproot; taproot.require_c_backend()"
    for name, expected in (("", 0), ("1", 1)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "ECC_NO_LIBSECP256K1": name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr
        if expected:
            assert "BackendMissing: btclib is not using libsecp256k1" in done.stderr
