"""BIP 327's own vectors, as far as libsecp256k1's module can express them; what it cannot is listed by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from vector_files import OFFICIAL, skip_without_official

from curve import (
    MusigSession,
    Point,
    PubNonce,
    SecretNonce,
    SecretScalar,
    Tweak,
    is_partial_signature,
    schnorr_verify,
)
from curve.context import ffi
from musig2 import AggregateKey, CoordinatorSession, InvalidContributionError, KeyShare, key_sort, nonce_agg
from musig2.session import SignerSession

pytestmark = skip_without_official("bip327")

NOT_EXPRESSIBLE = {
    "deterministic signing": "the module has no DeterministicSign",
    "a message that is not 32 bytes": "the module signs 32 bytes",
    "an aggregate key that is given as 32 bytes": "the module takes the key that it aggregated itself",
}
"""What the module cannot express, and why. The tests below count what falls under each."""


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def load(name: str) -> Any:
    return json.loads((OFFICIAL / "bip327" / name).read_text())


def secnonce(data: bytes) -> SecretNonce:
    """The module's own form of a vector's 97 bytes: its mark, both numbers, the parsed key. Only tests do this."""
    buffer = ffi.new("secp256k1_musig_secnonce *")
    mark = bytes.fromhex("220edcf1")
    key = bytes(ffi.buffer(Point.from_bytes(data[64:])._key))
    ffi.memmove(buffer, mark + data[:64] + key, 132)
    halves = (SecretScalar.from_bytes(data[:32]), SecretScalar.from_bytes(data[32:64]))
    return SecretNonce(buffer, b"".join(half.point().to_bytes() for half in halves))


def tweaks_of(data: Any, case: Any) -> list[Tweak]:
    chosen = zip(case["tweak_indices"], case["is_xonly"], strict=True)
    return [Tweak(raw(data["tweaks"][i]), is_xonly=xonly) for i, xonly in chosen]


def picked(items: Sequence[str], indices: Sequence[int]) -> list[bytes]:
    return [raw(items[i]) for i in indices]


def test_key_sort() -> None:
    data = load("key_sort_vectors.json")
    assert [key.hex().upper() for key in key_sort(map(raw, data["pubkeys"]))] == data["sorted_pubkeys"]


def test_key_agg() -> None:
    data = load("key_agg_vectors.json")
    for case in data["valid_test_cases"]:
        key = AggregateKey.of(picked(data["pubkeys"], case["key_indices"]))
        assert key.point.xonly() == raw(case["expected"])
    for case in data["error_test_cases"]:
        keys, error = picked(data["pubkeys"], case["key_indices"]), case["error"]
        if error["type"] == "invalid_contribution":
            with pytest.raises(InvalidContributionError) as caught:
                AggregateKey.of(keys)
            assert (caught.value.culprits, caught.value.contrib) == ((error["signer"],), error["contrib"])
        else:
            key, tweaks = AggregateKey.of(keys), tweaks_of(data, case)
            with pytest.raises(ValueError, match="tweak"):
                key.tweaked(tweaks)
    assert len(data["valid_test_cases"]) + len(data["error_test_cases"]) == 9


def test_nonce_gen() -> None:
    cases = load("nonce_gen_vectors.json")["test_cases"]
    expressible = [case for case in cases if case["aggpk"] is None]
    assert (len(cases), len(expressible)) == (4, 1)  # the others give an aggregate key as 32 bytes
    for case in expressible:
        assert case["sk"] is case["msg"] is case["extra_in"] is None
        made = SecretNonce.generate(raw(case["rand_"]), None, Point.from_bytes(raw(case["pk"])))
        assert made.pubnonce == raw(case["expected_pubnonce"])
        assert bytes(ffi.buffer(made._buffers[0]))[4:68] == raw(case["expected_secnonce"])[:64]


def test_nonce_agg() -> None:
    data = load("nonce_agg_vectors.json")
    for case in data["valid_test_cases"]:
        assert nonce_agg(picked(data["pnonces"], case["pnonce_indices"])) == raw(case["expected"])
    for case in data["error_test_cases"]:
        with pytest.raises(InvalidContributionError) as caught:
            nonce_agg(picked(data["pnonces"], case["pnonce_indices"]))
        assert (caught.value.culprits, caught.value.contrib) == ((case["error"]["signer"],), "pubnonce")


def test_sign_and_verify() -> None:
    data = load("sign_verify_vectors.json")
    secret, ran, other_sizes = SecretScalar.from_bytes(raw(data["sk"])), 0, 0
    for case in data["valid_test_cases"]:
        msg = raw(data["msgs"][case["msg_index"]])
        if len(msg) != 32:
            other_sizes += 1
            continue
        ran += 1
        key = AggregateKey.of(picked(data["pubkeys"], case["key_indices"]))
        aggnonce = raw(data["aggnonces"][case["aggnonce_index"]])
        pubnonces = picked(data["pnonces"], case["nonce_indices"])
        assert nonce_agg(pubnonces) == aggnonce
        session = MusigSession(key.tweaked(()), aggnonce, msg)
        psig = session.sign(secnonce(raw(data["secnonces"][0])), secret)
        assert psig == raw(case["expected"])
        place = case["signer_index"]
        assert session.verify(psig, PubNonce(pubnonces[place]), key.points[place])
    assert (ran, other_sizes) == (4, 2)


def test_what_cannot_be_signed() -> None:
    data = load("sign_verify_vectors.json")
    secret, msg = SecretScalar.from_bytes(raw(data["sk"])), raw(data["msgs"][0])
    said = []
    for case in data["sign_error_test_cases"]:
        keys = picked(data["pubkeys"], case["key_indices"])
        aggnonce = raw(data["aggnonces"][case["aggnonce_index"]])
        try:
            key = AggregateKey.of(keys)
            if KeyShare(secret).pubkey not in keys:  # ours to check: the module does not
                opened = SignerSession.open(KeyShare(secret), rand=b"\x01" * 32)
                opened.sign(key, [opened.pubnonce] * len(keys), tweaks=(), msg=msg)
            session = MusigSession(key.tweaked(()), aggnonce, msg)
            session.sign(secnonce(raw(data["secnonces"][case["secnonce_index"]])), secret)
        except InvalidContributionError as error:
            said.append((error.contrib, error.culprits))
        except ValueError:
            said.append(("value", ()))
        else:
            said.append(("signed", ()))
    assert said == [("value", ()), ("pubkey", (2,))] + [("value", ())] * 4


def test_partial_signatures_that_are_none() -> None:
    data = load("sign_verify_vectors.json")
    msg = raw(data["msgs"][0])
    for case in data["verify_fail_test_cases"]:
        key = AggregateKey.of(picked(data["pubkeys"], case["key_indices"]))
        pubnonces, place = picked(data["pnonces"], case["nonce_indices"]), case["signer_index"]
        session = MusigSession(key.tweaked(()), nonce_agg(pubnonces), msg)
        assert not session.verify(raw(case["sig"]), PubNonce(pubnonces[place]), key.points[place])
    for case in data["verify_error_test_cases"]:
        with pytest.raises(InvalidContributionError) as caught:
            CoordinatorSession.open(
                AggregateKey.of(picked(data["pubkeys"], case["key_indices"])),
                tweaks=(),
                msg=msg,
                pubnonces=picked(data["pnonces"], case["nonce_indices"]),
            )
        error = case["error"]
        assert (caught.value.culprits, caught.value.contrib) == ((error["signer"],), error["contrib"])


def test_tweaks() -> None:
    data = load("tweak_vectors.json")
    secret, msg = SecretScalar.from_bytes(raw(data["sk"])), raw(data["msg"])
    for case in data["valid_test_cases"]:
        key = AggregateKey.of(picked(data["pubkeys"], case["key_indices"]))
        session = MusigSession(key.tweaked(tweaks_of(data, case)), raw(data["aggnonce"]), msg)
        psig = session.sign(secnonce(raw(data["secnonce"])), secret)
        assert psig == raw(case["expected"])
        place = case["signer_index"]
        pubnonce = PubNonce(picked(data["pnonces"], case["nonce_indices"])[place])
        assert session.verify(psig, pubnonce, key.points[place])
    for case in data["error_test_cases"]:
        with pytest.raises(ValueError, match="tweak"):
            AggregateKey.of(picked(data["pubkeys"], case["key_indices"])).tweaked(tweaks_of(data, case))
    assert (len(data["valid_test_cases"]), len(data["error_test_cases"])) == (5, 1)


def test_sig_agg() -> None:
    data = load("sig_agg_vectors.json")
    msg = raw(data["msg"])
    for case in data["valid_test_cases"]:
        key = AggregateKey.of(picked(data["pubkeys"], case["key_indices"])).tweaked(tweaks_of(data, case))
        assert nonce_agg(picked(data["pnonces"], case["nonce_indices"])) == raw(case["aggnonce"])
        signature = MusigSession(key, raw(case["aggnonce"]), msg).aggregate(
            picked(data["psigs"], case["psig_indices"])
        )
        assert signature == raw(case["expected"])
        assert schnorr_verify(key.point.xonly(), msg, signature)
    (case,) = data["error_test_cases"]
    psigs = picked(data["psigs"], case["psig_indices"])
    assert [is_partial_signature(psig) for psig in psigs] == [True, False]
    session = CoordinatorSession.open(
        AggregateKey.of(picked(data["pubkeys"], case["key_indices"])),
        tweaks=tweaks_of(data, case),
        msg=msg,
        pubnonces=picked(data["pnonces"], case["nonce_indices"]),
    )
    session.add(0, psigs[0])
    with pytest.raises(InvalidContributionError) as caught:
        session.add(1, psigs[1])
    assert (caught.value.culprits, caught.value.contrib) == ((1,), "psig")


def test_what_the_module_cannot_express_is_only_this() -> None:
    """Nine cases of deterministic signing, two messages, three nonces: nothing else is left out above."""
    data = load("det_sign_vectors.json")
    left = {
        "deterministic signing": len(data["valid_test_cases"]) + len(data["error_test_cases"]),
        "a message that is not 32 bytes": sum(
            len(load("sign_verify_vectors.json")["msgs"][case["msg_index"]]) != 64
            for case in load("sign_verify_vectors.json")["valid_test_cases"]
        ),
        "an aggregate key that is given as 32 bytes": sum(
            case["aggpk"] is not None for case in load("nonce_gen_vectors.json")["test_cases"]
        ),
    }
    assert left == dict(zip(NOT_EXPRESSIBLE, (9, 2, 3), strict=True))
