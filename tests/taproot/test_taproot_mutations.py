"""A PSBT that was broken or lies meets a typed refusal, fast, whatever was done to it."""

from __future__ import annotations

import tracemalloc
from hashlib import sha256
from time import perf_counter

import pytest
from lone_signer import LoneSigner
from psbt_mutations import Mutation, compact, draft, random_mutations, structured_mutations

from taproot import (
    REFUSALS,
    OutPoint,
    Payment,
    PsbtRefused,
    Spend,
    WalletPath,
    build_psbt,
    finalise,
    read_spend,
    signing_tasks,
)

SIGNER = LoneSigner("mutations")
WALLET = SIGNER.wallet
TO_OTHERS = (Payment(bytes.fromhex("0014") + bytes(range(20)), 60_000), Payment(b"\x6a\x02hi", 0))


def good_psbt(version: int, *, inputs: int = 3, with_previous: bool = True) -> bytes:
    return build_psbt(
        WALLET,
        coins=SIGNER.coins(inputs, with_previous=with_previous),
        payments=TO_OTHERS,
        fee_sats=1_500,
        change=WalletPath(1, 7),
        psbt_version=version,
        sighash_type=1 if version else None,
    )


MUTATIONS = [(version, one) for version in (0, 2) for one in structured_mutations(good_psbt(version), WALLET)]


@pytest.mark.parametrize(("version", "mutation"), MUTATIONS, ids=[f"v{v} {m.name}" for v, m in MUTATIONS])
def test_each_lie_is_refused_by_its_name(version: int, mutation: Mutation) -> None:
    assert mutation.psbt != good_psbt(version)
    started = perf_counter()
    with pytest.raises(PsbtRefused) as refused:
        read_spend(mutation.psbt, WALLET)
    assert refused.value.code in mutation.codes, str(refused.value)
    assert refused.value.code in REFUSALS
    assert perf_counter() - started < 2
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def outcome(psbt: bytes) -> Spend | str:
    """The spend, having checked that it can be signed, or the code of the refusal. Anything else is a crash."""
    try:
        spend = read_spend(psbt, WALLET)
        tasks = signing_tasks(psbt, spend, WALLET)
    except PsbtRefused as refused:
        assert refused.code in REFUSALS
        return refused.code
    assert len(tasks) == len(spend.inputs)
    assert spend.input_sats == spend.sent_sats + spend.change_sats + spend.fee_sats
    return spend


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("with_previous", [True, False])
def test_random_mutations_never_crash(version: int, with_previous: bool) -> None:
    psbt = good_psbt(version, inputs=2, with_previous=with_previous)
    original = read_spend(psbt, WALLET)
    seen: dict[str, int] = {}
    tracemalloc.start()
    for mutated in random_mutations(psbt, seed=version + 10 * with_previous, count=2_500):
        result = outcome(mutated)
        if isinstance(result, Spend) and with_previous:
            # Amounts are vouched for by the previous transactions: only the transaction itself can differ.
            assert {(c.outpoint, c.amount_sats) for c in result.inputs} <= {
                (c.outpoint, c.amount_sats) for c in original.inputs
            }
        seen[result if isinstance(result, str) else "read"] = 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20
    assert {"malformed", "read"} <= set(seen), seen


def committed(spend: Spend) -> tuple[object, ...]:
    """What a Taproot signature over all inputs and outputs commits to."""
    coins = tuple((coin.amount_sats, coin.script_pubkey, coin.sighash_type) for coin in spend.inputs)
    return (spend.unsigned_tx, coins)


def test_what_can_still_be_read_says_what_the_signature_commits_to() -> None:
    """A signature for a mutated PSBT is good for the facts that were read, and for no others."""
    psbt = good_psbt(0, inputs=1, with_previous=False)
    original = read_spend(psbt, WALLET)
    signed = 0
    for mutated in random_mutations(psbt, seed=77, count=1_500):
        result = outcome(mutated)
        if isinstance(result, str) or committed(result) == committed(original):
            continue
        signed += 1
        final = finalise(mutated, WALLET, SIGNER.sign(signing_tasks(mutated, result, WALLET)))
        assert final.txid == result.txid
        with pytest.raises(PsbtRefused):
            finalise(psbt, WALLET, SIGNER.sign(signing_tasks(mutated, result, WALLET)))
    assert signed > 10


@pytest.mark.parametrize(
    "filling",
    [
        b"\xfc\x05musig" + bytes(20),  # proprietary
        b"\x1a" + bytes.fromhex("02" + "11" * 32),  # MuSig2 participants, points to parse
        b"\x16" + bytes(32),  # derivations
        b"\x15\xc0" + bytes(32),  # leaf scripts
        b"\x02" + bytes.fromhex("02" + "11" * 32),  # partial signatures
    ],
    ids=["proprietary", "musig2", "derivations", "leaves", "partial signatures"],
)
def test_the_largest_psbt_is_read_or_refused_in_time(filling: bytes) -> None:
    """512 KiB of one kind of field in one input."""
    stuffed = draft(good_psbt(2, inputs=2))
    room = 512 * 1024 - 4_000
    value = bytes(5)
    for i in range(room // (len(filling) + 4 + 2 + len(value))):
        stuffed.inputs[0].fields[filling[:-4] + i.to_bytes(4, "big")] = value
    psbt = stuffed.write()
    assert len(psbt) <= 512 * 1024
    started = perf_counter()
    outcome(psbt)
    assert perf_counter() - started < 5


@pytest.mark.parametrize("outputs", [1, 54_000])
def test_a_previous_transaction_of_half_a_megabyte_is_read_in_time(outputs: int) -> None:
    told = draft(
        build_psbt(WALLET, coins=SIGNER.coins(1), payments=[], fee_sats=500, change=WalletPath(1, 0))
    )
    one = told.inputs[0]
    previous = one.fields[b"\x00"]
    more = (5).to_bytes(8, "little") + b"\x00"
    at = previous.index(one.fields[b"\x01"]) - 1
    grown = previous[:at] + compact(outputs) + previous[at + 1 : -4] + more * (outputs - 1) + previous[-4:]
    one.fields[b"\x00"] = grown
    one.outpoint = sha256(sha256(grown).digest()).digest() + bytes(4)
    psbt = told.write()
    started = perf_counter()
    assert isinstance(outcome(psbt), Spend)
    assert perf_counter() - started < 5


def test_unknown_fields_are_kept_and_harmless() -> None:
    for version in (0, 2):
        told = draft(good_psbt(version))
        told.others[b"\xfc\x06assent\x00"] = b"whatever"
        told.others[b"\x77"] = b"a field of tomorrow"
        told.others[b"\x01" + _xpub_bytes()] = WALLET.fingerprint
        told.inputs[0].fields[b"\xfc\x06assent\x01"] = b"input"
        told.outputs[0].fields[b"\xf0\x01"] = b"output"
        psbt = told.write()
        spend = read_spend(psbt, WALLET)
        assert spend == read_spend(good_psbt(version), WALLET)
        final = finalise(psbt, WALLET, SIGNER.sign(signing_tasks(psbt, spend, WALLET)))
        for text in (b"whatever", b"a field of tomorrow", b"input", b"output"):
            assert text in final.psbt


def _xpub_bytes() -> bytes:
    return bytes.fromhex("043587cf") + bytes(9) + WALLET.key.key.chain_code + WALLET.key.key.public_key


def test_an_outpoint_prints_as_explorers_show_it() -> None:
    assert str(OutPoint(b"\x01" + bytes(31), 3)) == "00" * 31 + "01:3"
