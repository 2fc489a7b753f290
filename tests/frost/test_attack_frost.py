"""Attacks on FROST that no vector tries: faults while signing, and what errors would keep of a secret."""

import pytest
from dkg_runs import Run, altered, draw
from frost_dealer import deal

import frost
from curve import Point, Scalar, SecretScalar
from frost import deterministic_sign, nonces, signing

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
        if faulty == "R":
            return values._replace(R=-values.R)
        if faulty == "b":
            return values._replace(b=values.b + Scalar(1))
        return values._replace(e=values.e + Scalar(1))

    monkeypatch.setattr(signing, "derive_values", glitched)
    with pytest.raises(RuntimeError, match="faulty"):
        deterministic_sign(dealt.shares[0].secshare, 0, other, signers, (), MSG)


def test_a_fault_in_the_aggregate_nonce_gives_no_second_signature_for_one_nonce(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dealt = deal(2, 3, "fault in the aggregate")
    signers, other = dealt.key.signers([0, 1]), frost.nonce_gen(b"\x05" * 32)[1]
    right = nonces.aggregate
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


def test_a_failed_key_generation_keeps_no_host_key_in_its_error() -> None:
    """The state outlives the step by hours, and a kept error keeps the frames it went through."""
    run = Run(2, 3, "kept error")
    _, cmsg1 = run.coordinate()
    host_key = SecretScalar.from_bytes(run.keys[0])
    for cut in (cmsg1[:-1], altered(cmsg1, len(cmsg1) - 2 * 32 - 1)):
        participant = frost.KeygenParticipant.start(host_key, run.params, draw("kept error", "random", 0))
        with pytest.raises(frost.ProtocolError) as caught:
            participant.receive_cmsg1(host_key, cut, bytes(32))
        assert isinstance(participant.state, frost.Failed)
        assert participant.state.error is caught.value
        held = [entry.frame.f_locals.values() for entry in caught.traceback[1:]]
        assert not any(value is host_key for values in held for value in values)
