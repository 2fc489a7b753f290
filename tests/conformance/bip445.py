"""Reads the vectors of BIP 445 0.12.1: the BIP's own files, and the sessions made for this project."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from curve import SecretScalar, schnorr_verify
from frost import (
    InvalidContributionError,
    SecNonce,
    SessionContext,
    SignerSet,
    ThresholdInfo,
    deterministic_sign,
    get_session_values,
    make_tweaks,
    nonce_agg,
    nonce_gen,
    partial_sig_agg,
    partial_sig_verify,
    sign,
    validate_session_params,
    validate_threshold_info,
)

Case = tuple[str, Callable[[], None]]
unhex = bytes.fromhex


def cases(path: str, text: str) -> list[Case] | None:
    """The cases of one file, or None if it holds no BIP 445 vectors."""
    if not path.lower().endswith(".json"):
        return None
    data = json.loads(text)
    if not isinstance(data, dict):
        return None
    if str(data.get("spec", "")).startswith("BIP 445") and "sessions" in data:
        return list(_shared(data))
    for has, read in ((_is_nonce_agg, _nonce_agg), (_is_nonce_gen, _nonce_gen)):
        if has(data):
            return list(read(data))
    groups = data.get("test_groups")
    if isinstance(groups, list) and groups and isinstance(groups[0], dict):
        reader = _group_reader(groups[0])
        if reader is not None:
            return [(f"{group['tg_id']} {name}", run) for group in groups for name, run in reader(group)]
    return None


# --- which file is it


def _first(data: dict[str, Any]) -> dict[str, Any]:
    tests = data.get("valid_tests")
    return tests[0] if isinstance(tests, list) and tests and isinstance(tests[0], dict) else {}


def _is_nonce_agg(data: dict[str, Any]) -> bool:
    return "pubnonces" in data and {"pubnonce_indices", "expected"} <= _first(data).keys()


def _is_nonce_gen(data: dict[str, Any]) -> bool:
    return {"rand", "signer_id", "thresh_pk_xonly", "extra_in", "expected"} <= _first(data).keys()


def _group_reader(group: dict[str, Any]) -> Callable[[dict[str, Any]], Iterator[Case]] | None:
    keys = group.keys()
    if "pubshares" not in keys or "tg_id" not in keys:
        return None
    if "sign_error_tests" in keys:
        return _sign_verify
    if "secnonces" in keys and "tweaks" in keys:
        return _tweaks
    if "secshares" in keys:
        return _det_sign
    if "tweaks" in keys:
        return _sig_agg
    return _threshold_info if "valid_tests" in keys else None


def _name(test: dict[str, Any]) -> str:
    return f"{test['tc_id']} {test.get('comment', '')}"


# --- what a case says


def _raises(run: Callable[[], object], error: dict[str, Any], ids: list[int] | None) -> None:
    """The right exception with the right culprit; its text is ours."""
    if error["type"] == "ValueError":
        try:
            run()
        except ValueError:
            return
        raise AssertionError("no ValueError")
    assert error["type"] == "InvalidContributionError", f"unknown error type {error['type']}"
    index = error["signer_index"]
    culprit = index if ids is None or index is None else ids[index]
    try:
        run()
    except InvalidContributionError as caught:
        raised = caught
    else:
        raise AssertionError("no InvalidContributionError")
    assert raised.contrib == error["contrib"], f"blamed for {raised.contrib}"
    assert raised.culprits == (() if culprit is None else (culprit,)), f"blamed {raised.culprits}"
    assert raised.coordinator is (culprit is None), "the coordinator is blamed wrongly or not at all"
    assert not raised.unsure


def _equal(got: bytes, expected: str) -> None:
    assert got == unhex(expected), f"got {got.hex()}, expected {expected.lower()}"


def _optional(data: str | None) -> bytes | None:
    return None if data is None else unhex(data)


def _pick(pool: list[str], indices: list[int]) -> list[bytes]:
    return [unhex(pool[i]) for i in indices]


def _secret(pool: list[str], index: int) -> SecretScalar:
    return SecretScalar.from_bytes(unhex(pool[index]))


def _signers(group: dict[str, Any], test: dict[str, Any]) -> SignerSet:
    indices = test["pubshare_indices"]
    return validate_session_params(
        n=group["n"],
        t=group["t"],
        ids=test["ids"],
        pubshares=None if indices is None else _pick(group["pubshares"], indices),
        thresh_pk=unhex(group["thresh_pk"]),
    )


def _context(group: dict[str, Any], test: dict[str, Any]) -> SessionContext:
    tweaks = _pick(group.get("tweaks", []), test.get("tweak_indices", []))
    return SessionContext(
        signers=_signers(group, test),
        aggnonce=unhex(test["aggnonce"]),
        tweaks=make_tweaks(tweaks, test.get("is_xonly", [])),
        msg=unhex(test["msg"]),
    )


# --- the BIP's own files


def _nonce_gen(data: dict[str, Any]) -> Iterator[Case]:
    def valid(test: dict[str, Any]) -> None:
        secshare = _optional(test["secshare"])
        secnonce, pubnonce = nonce_gen(
            unhex(test["rand"]),
            secshare=None if secshare is None else SecretScalar.from_bytes(secshare),
            signer_id=test["signer_id"],
            pubshare=_optional(test["pubshare"]),
            thresh_pk_xonly=_optional(test["thresh_pk_xonly"]),
            msg=_optional(test["msg"]),
            extra_in=_optional(test["extra_in"]),
        )
        k1, k2 = secnonce.take()
        _equal(k1.expose() + k2.expose(), test["expected"][0])
        _equal(pubnonce, test["expected"][1])

    for test in data["valid_tests"]:
        yield _name(test), partial(valid, test)


def _nonce_agg(data: dict[str, Any]) -> Iterator[Case]:
    def run(test: dict[str, Any]) -> bytes:
        return nonce_agg(_pick(data["pubnonces"], test["pubnonce_indices"]))

    def expect(test: dict[str, Any]) -> None:
        _equal(run(test), test["expected"])

    for test in data["valid_tests"]:
        yield _name(test), partial(expect, test)
    for test in data["error_tests"]:
        yield _name(test), partial(_raises, partial(run, test), test["error"], None)


def _threshold_info(group: dict[str, Any]) -> Iterator[Case]:
    def run(test: dict[str, Any]) -> None:
        pool, indices = group["pubshares"], test["pubshare_indices"]
        pubshares = tuple(None if i is None else unhex(pool[i]) for i in indices)
        info = ThresholdInfo(t=test["t"], thresh_pk=unhex(test["thresh_pk"]), pubshares=pubshares)
        assert validate_threshold_info(info).thresh_pk.to_bytes() == info.thresh_pk

    for test in group["valid_tests"]:
        yield _name(test), partial(run, test)
    for test in group["error_tests"]:
        yield _name(test), partial(_raises, partial(run, test), test["error"], None)


def _sign(group: dict[str, Any], test: dict[str, Any]) -> bytes:
    return sign(
        SecNonce.from_bytes(unhex(group["secnonces"][test["secnonce_index"]])),
        _secret(group["secshares"], test["secshare_index"]),
        test["signer_id"],
        _context(group, test),
    )


def _verify(group: dict[str, Any], test: dict[str, Any], psig: bytes, signer_id: int) -> bool:
    tweaks = _pick(group.get("tweaks", []), test.get("tweak_indices", []))
    return partial_sig_verify(
        psig,
        _pick(group["pubnonces"], test["pubnonce_indices"]),
        _signers(group, test),
        make_tweaks(tweaks, test.get("is_xonly", [])),
        unhex(test["msg"]),
        signer_id,
    )


def _sign_and_verify(group: dict[str, Any], test: dict[str, Any]) -> None:
    psig = _sign(group, test)
    _equal(psig, test["expected"])
    _equal(nonce_agg(_pick(group["pubnonces"], test["pubnonce_indices"]), test["ids"]), test["aggnonce"])
    if test["pubshare_indices"] is not None:
        assert _verify(group, test, psig, test["signer_id"]), "the expected psig does not verify"


def _sign_verify(group: dict[str, Any]) -> Iterator[Case]:
    def verify(test: dict[str, Any]) -> bool:
        return _verify(group, test, unhex(test["psig"]), test["ids"][test["signer_index"]])

    def refuses(test: dict[str, Any]) -> None:
        assert verify(test) is False, "an invalid psig verifies"

    for test in group["valid_tests"]:
        yield _name(test), partial(_sign_and_verify, group, test)
    for test in group["sign_error_tests"]:
        yield _name(test), partial(_raises, partial(_sign, group, test), test["error"], test["ids"])
    for test in group["verify_fail_tests"]:
        yield _name(test), partial(refuses, test)
    for test in group["verify_error_tests"]:
        yield _name(test), partial(_raises, partial(verify, test), test["error"], test["ids"])


def _tweaks(group: dict[str, Any]) -> Iterator[Case]:
    for test in group["valid_tests"]:
        yield _name(test), partial(_sign_and_verify, group, test)
    for test in group["error_tests"]:
        yield _name(test), partial(_raises, partial(_sign, group, test), test["error"], test["ids"])


def _sig_agg(group: dict[str, Any]) -> Iterator[Case]:
    def run(test: dict[str, Any]) -> bytes:
        return partial_sig_agg([unhex(psig) for psig in test["psigs"]], _context(group, test))

    def valid(test: dict[str, Any]) -> None:
        sig = run(test)
        _equal(sig, test["expected"])
        values = get_session_values(_context(group, test))
        assert schnorr_verify(values.Q, unhex(test["msg"]), sig), "the signature does not verify"

    for test in group["valid_tests"]:
        yield _name(test), partial(valid, test)
    for test in group["error_tests"]:
        yield _name(test), partial(_raises, partial(run, test), test["error"], test["ids"])


def _det_sign(group: dict[str, Any]) -> Iterator[Case]:
    def run(test: dict[str, Any]) -> tuple[bytes, bytes]:
        return deterministic_sign(
            _secret(group["secshares"], test["secshare_index"]),
            test["signer_id"],
            _optional(test["aggothernonce"]),
            _signers(group, test),
            make_tweaks([unhex(tweak) for tweak in test["tweaks"]], test["is_xonly"]),
            unhex(test["msg"]),
            _optional(test["aux_rand"]),
        )

    def valid(test: dict[str, Any]) -> None:
        for got, expected in zip(run(test), test["expected"], strict=True):
            _equal(got, expected)

    for test in group["valid_tests"]:
        yield _name(test), partial(valid, test)
    for test in group["error_tests"]:
        yield _name(test), partial(_raises, partial(run, test), test["error"], test["ids"])


# --- the sessions made for this project


def _shared(data: dict[str, Any]) -> Iterator[Case]:
    for i, session in enumerate(data["sessions"]):
        yield f"session {i}: {session['t']} of {session['n']}", partial(_whole_session, session)
    for i, test in enumerate(data["deterministic"]):
        yield f"deterministic {i}: {test['t']} of {test['n']}", partial(_deterministic, test)


def _tweak_pairs(test: dict[str, Any]) -> Any:
    tweaks = test["tweaks"]
    return make_tweaks([unhex(t["tweak"]) for t in tweaks], [t["is_xonly"] for t in tweaks])


def _whole_session(session: dict[str, Any]) -> None:
    """Key material, every nonce, every partial signature and its verification, and the signature."""
    all_shares = tuple(unhex(share) for share in session["pubshares"])
    thresh_pk, msg, tweaks = unhex(session["thresh_pk"]), unhex(session["msg"]), _tweak_pairs(session)
    info = ThresholdInfo(t=session["t"], thresh_pk=thresh_pk, pubshares=all_shares)
    validate_threshold_info(info)
    ids = [signer["id"] for signer in session["signers"]]
    signers = validate_session_params(
        n=session["n"],
        t=session["t"],
        ids=ids,
        pubshares=[all_shares[i] for i in ids] if session["session_has_pubshares"] else None,
        thresh_pk=thresh_pk,
    )
    secnonces = [_session_nonce(session, signer) for signer in session["signers"]]
    pubnonces = [secnonce.pubnonce for secnonce in secnonces]
    aggnonce = nonce_agg(pubnonces, ids)
    _equal(aggnonce, session["aggnonce"])
    context = SessionContext(signers=signers, aggnonce=aggnonce, tweaks=tweaks, msg=msg)
    psigs = []
    for signer, secnonce in zip(session["signers"], secnonces, strict=True):
        secshare = SecretScalar.from_bytes(unhex(signer["secshare"]))
        psig = sign(secnonce, secshare, signer["id"], context)
        _equal(psig, signer["psig"])
        psigs.append(psig)
    if signers.pubshares is not None:
        assert partial_sig_verify(psigs[0], pubnonces, signers, tweaks, msg, ids[0])
    sig = partial_sig_agg(psigs, context)
    _equal(sig, session["sig"])
    _equal(get_session_values(context).Q, session["tweaked_xonly_pk"])
    assert schnorr_verify(unhex(session["tweaked_xonly_pk"]), msg, sig), "the signature does not verify"


def _session_nonce(session: dict[str, Any], signer: dict[str, Any]) -> SecNonce:
    secshare = SecretScalar.from_bytes(unhex(signer["secshare"]))
    binds = signer["nonce_binds_session"]
    secnonce, pubnonce = nonce_gen(
        unhex(signer["rand"]),
        secshare=secshare if binds else None,
        signer_id=signer["id"] if binds else None,
        pubshare=unhex(signer["pubshare"]) if binds else None,
        thresh_pk_xonly=unhex(session["tweaked_xonly_pk"]) if binds else None,
        msg=unhex(session["msg"]) if binds else None,
        extra_in=_optional(signer["extra_in"]),
    )
    _equal(pubnonce, signer["pubnonce"])
    k1, k2 = secnonce.take()
    _equal(k1.expose() + k2.expose(), signer["secnonce"])
    return SecNonce.from_bytes(unhex(signer["secnonce"]))


def _deterministic(test: dict[str, Any]) -> None:
    pubshares = test["pubshares"]
    signers = validate_session_params(
        n=test["n"],
        t=test["t"],
        ids=test["ids"],
        pubshares=None if pubshares is None else [unhex(share) for share in pubshares],
        thresh_pk=unhex(test["thresh_pk"]),
    )
    pubnonce, psig = deterministic_sign(
        SecretScalar.from_bytes(unhex(test["secshare"])),
        test["signer_id"],
        _optional(test["aggothernonce"]),
        signers,
        _tweak_pairs(test),
        unhex(test["msg"]),
        _optional(test["aux_rand"]),
    )
    _equal(pubnonce, test["pubnonce"])
    _equal(psig, test["psig"])
