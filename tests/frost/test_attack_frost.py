"""Attacks on FROST signing that no vector tries."""

import pytest
from frost_dealer import deal

import frost
from curve import Point, Scalar
from frost import deterministic_sign, signing

MSG = b"a message"


@pytest.mark.parametrize("faulty", ["e", "b", "R"])
def test_a_fault_in_a_session_value_gives_no_second_signature_for_one_nonce(
    monkeypatch: pytest.MonkeyPatch, faulty: str
) -> None:
    """Two partial signatures with one deterministic nonce and two challenges are the share."""
    dealt = deal(2, 3, "fault in a value")
    signers, other = dealt.key.signers([0, 1]), frost.nonce_gen(b"\x05" * 32)[1]
    right = signing.derive_values
    calls = []

    def glitched(*args: object) -> signing.SessionValues:
        values = right(*args)  # type: ignore[arg-type]
        calls.append(values)
        if len(calls) > 1:
            return values
        wrong = -values.R if faulty == "R" else getattr(values, faulty) + Scalar(1)
        return values._replace(**{faulty: wrong})

    monkeypatch.setattr(signing, "derive_values", glitched)
    with pytest.raises(RuntimeError, match="faulty"):
        deterministic_sign(dealt.shares[0].secshare, 0, other, signers, (), MSG)


def test_a_fault_in_the_aggregate_nonce_gives_no_second_signature_for_one_nonce(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dealt = deal(2, 3, "fault in the aggregate")
    signers, other = dealt.key.signers([0, 1]), frost.nonce_gen(b"\x05" * 32)[1]
    right = signing.aggregate
    calls = []

    def glitched(pubnonces: list[tuple[Point, Point]]) -> tuple[Point, Point]:
        calls.append(pubnonces)
        R1, R2 = right(pubnonces)
        return (R1, R2) if len(calls) > 1 else (R1, -R2)

    monkeypatch.setattr(signing, "aggregate", glitched)
    with pytest.raises(RuntimeError, match="faulty"):
        deterministic_sign(dealt.shares[0].secshare, 0, other, signers, (), MSG)


def test_a_fault_in_the_interpolating_value_gives_no_second_signature_for_one_nonce() -> None:
    """The signer set keeps the coefficient, so a bit that flips in it would serve both sides of a check."""
    dealt = deal(2, 3, "fault in lambda")
    signers, other = dealt.key.signers([0, 1]), frost.nonce_gen(b"\x05" * 32)[1]
    deterministic_sign(dealt.shares[0].secshare, 0, other, signers, (), MSG)
    signers._lambdas[0] = signers.interpolating_value(0) + Scalar(1)
    with pytest.raises(RuntimeError, match="faulty"):
        deterministic_sign(dealt.shares[0].secshare, 0, other, signers, (), MSG)
