"""What a good PSBT says is read rightly, from either version, with and without hints."""

from __future__ import annotations

import dataclasses
from base64 import b64encode

import pytest
import wallycore
from lone_signer import LoneSigner
from psbt_mutations import OUT_TAP_DERIVATION, TAP_DERIVATION, draft

from taproot import (
    CHANGE,
    RECEIVE,
    Coin,
    Network,
    OutPoint,
    Payment,
    PsbtRefused,
    Spend,
    WalletPath,
    build_psbt,
    decode_psbt,
    finalise,
    read_spend,
    require_c_backend,
    signing_tasks,
)

SIGNER = LoneSigner("reading")
WALLET = SIGNER.wallet
OTHER = LoneSigner("somebody else").wallet
TO_OTHER = OTHER.address(WalletPath(0, 3))


def example(version: int = 0, sighash_type: int | None = None) -> bytes:
    return build_psbt(
        WALLET,
        coins=SIGNER.coins(3),
        payments=[Payment.to_address(TO_OTHER, 120_000, Network.REGTEST), Payment(b"\x6a\x01x", 0)],
        fee_sats=2_003,
        change=WalletPath(CHANGE, 4),
        psbt_version=version,
        locktime=500,
        sighash_type=sighash_type,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("sighash_type", [None, 0, 1])
def test_a_spend_is_read(version: int, sighash_type: int | None) -> None:
    require_c_backend()
    psbt = example(version, sighash_type)
    spend = read_spend(psbt, WALLET)
    assert (spend.network, spend.version, spend.locktime) == (Network.REGTEST, 2, 500)
    assert spend.psbt_version == version
    assert not spend.has_annex
    assert [coin.path for coin in spend.inputs] == [WalletPath(0, 0), WalletPath(1, 1), WalletPath(0, 2)]
    assert [coin.amount_sats for coin in spend.inputs] == [100_000, 100_001, 100_002]
    assert {(coin.sequence, coin.sighash_type) for coin in spend.inputs} == {(0xFFFFFFFD, sighash_type or 0)}
    assert [coin.outpoint for coin in spend.inputs] == [coin.outpoint for coin in SIGNER.coins(3)]
    paid, note, change = spend.outputs
    assert (paid.address, paid.script_type, paid.path, paid.claims_wallet) == (TO_OTHER, "p2tr", None, False)
    assert (note.address, note.script_type, note.amount_sats) == (None, "nulldata", 0)
    assert (change.path, change.claims_wallet) == (WalletPath(CHANGE, 4), True)
    assert (spend.input_sats, spend.sent_sats, spend.change_sats, spend.fee_sats) == (
        300_003,
        120_000,
        178_000,
        2_003,
    )
    assert spend.outputs_to_others == (paid, note)
    assert spend.change_outputs == (change,)
    tx = wallycore.tx_from_bytes(spend.unsigned_tx, 0)
    assert bytes(wallycore.tx_get_txid(tx)) == spend.txid


def test_both_versions_say_the_same() -> None:
    zero, two = read_spend(example(0), WALLET), read_spend(example(2), WALLET)
    assert dataclasses.replace(zero, psbt_version=2) == two
    assert signing_tasks(example(0), zero, WALLET) == signing_tasks(example(2), two, WALLET)


@pytest.mark.parametrize("version", [0, 2])
def test_without_hints_the_wallet_finds_its_own(version: int) -> None:
    bare = draft(example(version))
    for one in bare.inputs:
        one.fields = {key: value for key, value in one.fields.items() if key[0] in (0, 1)}
    for output in bare.outputs:
        output.fields = {}
    spend = read_spend(bare.write(), WALLET)
    hinted = read_spend(example(version), WALLET)
    assert spend.inputs == hinted.inputs
    assert [output.path for output in spend.outputs] == [output.path for output in hinted.outputs]
    assert not any(output.claims_wallet for output in spend.outputs)


def test_a_hint_of_a_stranger_is_not_a_hint() -> None:
    told = draft(example())
    for one, kind in ((told.inputs[0], TAP_DERIVATION), (told.outputs[2], OUT_TAP_DERIVATION)):
        for key in [key for key in one.fields if key[0] == kind]:
            one.fields[key] = one.fields[key][:1] + b"\xde\xad\xbe\xef" + one.fields[key][5:]
    spend = read_spend(told.write(), WALLET)
    assert spend.inputs == read_spend(example(), WALLET).inputs
    assert spend.outputs[2].path == WalletPath(CHANGE, 4)


def at(path: WalletPath, *, change: WalletPath) -> bytes:
    coin = Coin(OutPoint(b"\x05" * 32, 1), 50_000, path)
    payments = [Payment(OTHER.script(WalletPath(0, 0)), 20_000)]
    return build_psbt(WALLET, coins=[coin], payments=payments, fee_sats=500, change=change)


def test_the_gap_moves_with_the_next_index() -> None:
    psbt = at(WalletPath(RECEIVE, 20), change=WalletPath(CHANGE, 0))
    with pytest.raises(PsbtRefused, match="input-beyond-gap"):
        read_spend(psbt, WALLET)
    assert read_spend(psbt, WALLET, next_receive=1).inputs[0].path == WalletPath(RECEIVE, 20)
    psbt = at(WalletPath(RECEIVE, 0), change=WalletPath(CHANGE, 25))
    with pytest.raises(PsbtRefused, match="change-beyond-gap"):
        read_spend(psbt, WALLET, next_receive=10, next_change=5)
    assert read_spend(psbt, WALLET, next_change=6).change_sats == 29_500


def test_a_psbt_of_another_wallet_is_refused() -> None:
    with pytest.raises(PsbtRefused) as refused:
        read_spend(example(), OTHER)
    assert refused.value.code == "foreign-input"
    assert refused.value.where == "input 0"


def test_the_size_is_that_of_the_signed_transaction() -> None:
    for sighash_type in (None, 1):
        psbt = example(2, sighash_type)
        spend = read_spend(psbt, WALLET)
        final = finalise(psbt, WALLET, SIGNER.sign(signing_tasks(psbt, spend, WALLET)))
        tx = wallycore.tx_from_bytes(final.tx, wallycore.WALLY_TX_FLAG_USE_WITNESS)
        assert wallycore.tx_get_vsize(tx) == spend.signed_vsize


def test_two_hundred_and_fifty_inputs_are_read_and_one_more_is_not() -> None:
    def psbt_with(inputs: int) -> bytes:
        return build_psbt(
            WALLET,
            coins=SIGNER.coins(inputs),
            payments=[],
            fee_sats=10_000,
            change=WalletPath(CHANGE, 0),
        )

    spend = read_spend(psbt_with(250), WALLET)
    tasks = signing_tasks(psbt_with(250), spend, WALLET)
    assert len({task.sighash for task in tasks}) == 250
    with pytest.raises(PsbtRefused, match="too-large"):
        read_spend(psbt_with(251), WALLET)


@pytest.mark.parametrize(
    ("payments", "fee_sats", "change", "text"),
    [
        ([Payment(b"\x6a", 200_000)], 0, None, "short"),
        ([Payment(b"\x6a", 90_000)], 500, None, "no change address"),
        ([Payment(b"\x6a", 99_400)], 500, WalletPath(1, 0), "dust"),
        ([Payment(b"\x6a", -1)], 500, WalletPath(1, 0), "out of range"),
        ([Payment(b"\x6a", 5)], -500, WalletPath(1, 0), "out of range"),
    ],
)
def test_what_does_not_add_up_is_not_built(
    payments: list[Payment], fee_sats: int, change: WalletPath | None, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        build_psbt(WALLET, coins=SIGNER.coins(1), payments=payments, fee_sats=fee_sats, change=change)


def test_without_change_nothing_is_left_over() -> None:
    psbt = build_psbt(WALLET, coins=SIGNER.coins(1), payments=[Payment(b"\x6a", 99_000)], fee_sats=1_000)
    spend: Spend = read_spend(psbt, WALLET)
    assert (spend.fee_sats, len(spend.outputs)) == (1_000, 1)


def test_a_file_holds_bytes_or_base64() -> None:
    psbt = example()
    text = b64encode(psbt)
    for data in (psbt, text, text + b"\n", text[:60] + b"\r\n" + text[60:]):
        assert decode_psbt(data) == psbt
    for data in (b"", b"hello", text[:-1], text + b"\x1b", b"\xff" * 50, psbt.hex().encode()):
        with pytest.raises(PsbtRefused, match="malformed"):
            decode_psbt(data)
    with pytest.raises(PsbtRefused, match="too-large"):
        decode_psbt(b"A" * (2 << 20))
