"""Reads BIP 327's vector files, as far as libsecp256k1's module can express them; NOT_EXPRESSIBLE says what is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

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

NOT_EXPRESSIBLE = {
    "deterministic signing": "the module has no DeterministicSign",
    "a message that is not 32 bytes": "the module signs 32 bytes",
    "an aggregate key that is given as 32 bytes": "the module takes the key that it aggregated itself",
}
"""What the module cannot express, and why: nine cases, two and three."""

Cases = list[tuple[str, Callable[[], None]]]


def cases(path: str, text: str) -> Cases | None:
    """One case per test case that can be expressed; None for another format, and for deterministic signing."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(data, dict):
        return None
    known = _FILES.get(frozenset(data))
    return None if known is None else [(f"{name} {i}", run) for i, (name, run) in enumerate(known(data))]


Found = Iterator[tuple[str, Callable[[], None]]]


def _key_sort(data: Any) -> Found:
    yield "sorted", partial(_check_sorted, data)


def _check_sorted(data: Any) -> None:
    assert [key.hex().upper() for key in key_sort(map(raw, data["pubkeys"]))] == data["sorted_pubkeys"]


def _key_agg(data: Any) -> Found:
    for case in data["valid_test_cases"]:
        yield "aggregate", partial(_check_aggregate, data, case)
    for case in data["error_test_cases"]:
        yield "no aggregate", partial(_check_no_aggregate, data, case)


def _check_aggregate(data: Any, case: Any) -> None:
    assert _key(data, case).point.xonly() == raw(case["expected"])


def _check_no_aggregate(data: Any, case: Any) -> None:
    if case["error"]["type"] == "invalid_contribution":
        _blamed(lambda: _key(data, case), case["error"])
    else:
        key, tweaks = _key(data, case), tweaks_of(data, case)
        _refused(lambda: key.tweaked(tweaks), "tweak")


def _nonce_gen(data: Any) -> Found:
    for case in data["test_cases"]:
        if case["aggpk"] is None:
            yield "nonces", partial(_check_nonces, case)


def _check_nonces(case: Any) -> None:
    assert case["sk"] is case["msg"] is case["extra_in"] is None
    made = SecretNonce.generate(raw(case["rand_"]), None, Point.from_bytes(raw(case["pk"])))
    assert made.pubnonce == raw(case["expected_pubnonce"])
    assert bytes(ffi.buffer(made._buffers[0]))[4:68] == raw(case["expected_secnonce"])[:64]


def _nonce_agg(data: Any) -> Found:
    for case in data["valid_test_cases"]:
        yield "sum", partial(_check_nonce_sum, data, case)
    for case in data["error_test_cases"]:
        bad = partial(nonce_agg, picked(data["pnonces"], case["pnonce_indices"]))
        yield "no sum", partial(_blamed, bad, case["error"] | {"contrib": "pubnonce"})


def _check_nonce_sum(data: Any, case: Any) -> None:
    assert nonce_agg(picked(data["pnonces"], case["pnonce_indices"])) == raw(case["expected"])


def _sign_verify(data: Any) -> Found:
    for case in data["valid_test_cases"]:
        if len(raw(data["msgs"][case["msg_index"]])) == 32:
            yield "signs", partial(_check_signs, data, case)
    for case in data["sign_error_test_cases"]:
        yield "signs not", partial(_check_signs_not, data, case)
    for case in data["verify_fail_test_cases"]:
        yield "verifies not", partial(_check_verifies_not, data, case)
    for case in data["verify_error_test_cases"]:
        session = partial(_coordinator, data, case, raw(data["msgs"][case["msg_index"]]))
        yield "no session", partial(_blamed, session, case["error"])


def _check_signs(data: Any, case: Any) -> None:
    msg, key = raw(data["msgs"][case["msg_index"]]), _key(data, case)
    aggnonce, pubnonces = raw(data["aggnonces"][case["aggnonce_index"]]), _pubnonces(data, case)
    assert nonce_agg(pubnonces) == aggnonce
    session = MusigSession(key.tweaked(()), aggnonce, msg)
    psig = session.sign(secnonce(raw(data["secnonces"][0])), SecretScalar.from_bytes(raw(data["sk"])))
    assert psig == raw(case["expected"])
    place = case["signer_index"]
    assert session.verify(psig, PubNonce(pubnonces[place]), key.points[place])


def _check_signs_not(data: Any, case: Any) -> None:
    """What is wrong with each: a key that is none is the signer's; all else is a refusal without a culprit."""
    error = case["error"]
    if error["type"] == "invalid_contribution" and error["contrib"] == "pubkey":
        _blamed(partial(_sign, data, case), error)
    else:
        _refused(partial(_sign, data, case))


def _sign(data: Any, case: Any) -> None:
    share, msg = KeyShare(SecretScalar.from_bytes(raw(data["sk"]))), raw(data["msgs"][case["msg_index"]])
    key = _key(data, case)
    if share.pubkey not in key.pubkeys:  # ours to check: the module does not
        opened = SignerSession.open(share, rand=b"\x01" * 32)
        opened.sign(key, [opened.pubnonce] * len(key.pubkeys), tweaks=(), msg=msg)
    session = MusigSession(key.tweaked(()), raw(data["aggnonces"][case["aggnonce_index"]]), msg)
    session.sign(secnonce(raw(data["secnonces"][case["secnonce_index"]])), share.secret)


def _check_verifies_not(data: Any, case: Any) -> None:
    key, pubnonces, place = _key(data, case), _pubnonces(data, case), case["signer_index"]
    session = MusigSession(key.tweaked(()), nonce_agg(pubnonces), raw(data["msgs"][case["msg_index"]]))
    assert not session.verify(raw(case["sig"]), PubNonce(pubnonces[place]), key.points[place])


def _tweak(data: Any) -> Found:
    for case in data["valid_test_cases"]:
        yield "tweaked", partial(_check_tweaked, data, case)
    for case in data["error_test_cases"]:
        yield "tweak out of range", partial(_check_no_aggregate, data, case)


def _check_tweaked(data: Any, case: Any) -> None:
    key = _key(data, case)
    session = MusigSession(key.tweaked(tweaks_of(data, case)), raw(data["aggnonce"]), raw(data["msg"]))
    psig = session.sign(secnonce(raw(data["secnonce"])), SecretScalar.from_bytes(raw(data["sk"])))
    assert psig == raw(case["expected"])
    place = case["signer_index"]
    assert session.verify(psig, PubNonce(_pubnonces(data, case)[place]), key.points[place])


def _sig_agg(data: Any) -> Found:
    for case in data["valid_test_cases"]:
        yield "joined", partial(_check_joined, data, case)
    for case in data["error_test_cases"]:
        yield "not joined", partial(_check_not_joined, data, case)


def _check_joined(data: Any, case: Any) -> None:
    key = _key(data, case).tweaked(tweaks_of(data, case))
    assert nonce_agg(_pubnonces(data, case)) == raw(case["aggnonce"])
    session = MusigSession(key, raw(case["aggnonce"]), raw(data["msg"]))
    signature = session.aggregate(picked(data["psigs"], case["psig_indices"]))
    assert signature == raw(case["expected"])
    assert schnorr_verify(key.point.xonly(), raw(data["msg"]), signature)


def _check_not_joined(data: Any, case: Any) -> None:
    psigs, wrong = picked(data["psigs"], case["psig_indices"]), case["error"]["signer"]
    assert [is_partial_signature(psig) for psig in psigs] == [i != wrong for i in range(len(psigs))]
    session = _coordinator(data, case, raw(data["msg"]))
    _blamed(partial(session.add, wrong, psigs[wrong]), case["error"])


_FILES: dict[frozenset[str], Callable[[Any], Found]] = {
    frozenset({"pubkeys", "sorted_pubkeys"}): _key_sort,
    frozenset({"pubkeys", "tweaks", "valid_test_cases", "error_test_cases"}): _key_agg,
    frozenset({"test_cases"}): _nonce_gen,
    frozenset({"pnonces", "valid_test_cases", "error_test_cases"}): _nonce_agg,
    frozenset(
        {
            *("sk", "pubkeys", "secnonces", "pnonces", "aggnonces", "msgs", "valid_test_cases"),
            *("sign_error_test_cases", "verify_fail_test_cases", "verify_error_test_cases"),
        }
    ): _sign_verify,
    frozenset(
        {
            *("sk", "pubkeys", "secnonce", "pnonces", "aggnonce", "tweaks", "msg"),
            *("valid_test_cases", "error_test_cases"),
        }
    ): _tweak,
    frozenset(
        {"pubkeys", "pnonces", "tweaks", "psigs", "msg", "valid_test_cases", "error_test_cases"}
    ): _sig_agg,
}
"""By what stands in them, so that a file may be called anything."""


def raw(text: str) -> bytes:
    """Bytes from hex."""
    return bytes.fromhex(text)


def picked(items: Sequence[str], indices: Sequence[int]) -> list[bytes]:
    """Those of a list that a case names."""
    return [raw(items[i]) for i in indices]


def tweaks_of(data: Any, case: Any) -> list[Tweak]:
    """A case's tweaks."""
    chosen = zip(case["tweak_indices"], case["is_xonly"], strict=True)
    return [Tweak(raw(data["tweaks"][i]), is_xonly=xonly) for i, xonly in chosen]


def secnonce(data: bytes) -> SecretNonce:
    """The module's own form of a vector's 97 bytes: its mark, both numbers, the parsed key. Only tests do this."""
    buffer = ffi.new("secp256k1_musig_secnonce *")
    mark = bytes.fromhex("220edcf1")
    key = bytes(ffi.buffer(Point.from_bytes(data[64:])._key))
    ffi.memmove(buffer, mark + data[:64] + key, 132)
    halves = (SecretScalar.from_bytes(data[:32]), SecretScalar.from_bytes(data[32:64]))
    return SecretNonce(buffer, b"".join(half.point().to_bytes() for half in halves))


def _key(data: Any, case: Any) -> AggregateKey:
    return AggregateKey.of(picked(data["pubkeys"], case["key_indices"]))


def _pubnonces(data: Any, case: Any) -> list[bytes]:
    return picked(data["pnonces"], case["nonce_indices"])


def _coordinator(data: Any, case: Any, msg: bytes) -> CoordinatorSession:
    tweaks = tweaks_of(data, case) if "tweak_indices" in case else ()
    return CoordinatorSession.open(_key(data, case), tweaks=tweaks, msg=msg, pubnonces=_pubnonces(data, case))


def _blamed(run: Callable[[], object], error: Any) -> None:
    """It must name who sent what."""
    try:
        run()
    except InvalidContributionError as blame:
        expected = ((error["signer"],), error["contrib"])
        assert (blame.culprits, blame.contrib) == expected, f"blames {blame.culprits} for {blame.contrib}"
    else:
        raise AssertionError("nobody is blamed")


def _refused(run: Callable[[], object], word: str = "") -> None:
    """It must be refused, and nobody blamed."""
    try:
        run()
    except InvalidContributionError as blame:
        raise AssertionError(f"blames {blame.culprits}") from None
    except ValueError as error:
        assert word in str(error), f"{error} does not speak of the {word}"
    else:
        raise AssertionError("it was not refused")
