"""Reads ChillDKG vectors: the official files, one per function, and whole sessions (`chilldkg.json`).

An official file names its function in its description. Where it says ValueError, our message errors are
ValueErrors too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from frost import chilldkg as dkg
from frost import dkg_errors
from frost.dkg_params import SessionParams, hostpubkey_gen, params_hash
from frost.dkg_recovery import (
    coordinator_recover,
    participant_recover,
    participant_recovery_ack_sign,
    participant_recovery_acks_verify,
    verify_taproot_safe,
)
from frost.dkg_states import DKGOutput, ParticipantState1
from frost.simplpedpop import PublicDKGOutput

Thunk = Callable[[], None]
Json = dict[str, Any]

unhex = bytes.fromhex


def cases(path: str, text: str) -> list[tuple[str, Thunk]] | None:
    """The cases of a ChillDKG vector file; None for any other file."""
    if not path.endswith(".json"):
        return None
    data = json.loads(text)
    if not isinstance(data, dict):
        return None
    sessions = data.get("sessions")
    if isinstance(sessions, list) and all(isinstance(s, dict) and "pmsgs1" in s for s in sessions):
        return [case for index, session in enumerate(sessions) for case in session_cases(index, session)]
    reader = official_reader(data)
    return None if reader is None else list(reader(data))


def same(got: object, expected: object) -> None:
    assert got == expected, f"{got!r} instead of {expected!r}"


# Whole sessions


def session_cases(index: int, session: Json) -> Iterator[tuple[str, Thunk]]:
    name = f"session {index} ({session['t']} of {session['n']})"
    for run in (run_session, run_recovery, run_acks, run_investigation):
        yield f"{name}: {run.__name__[4:]}", lambda run=run: run(session)  # type: ignore[misc]


def session_params(session: Json) -> SessionParams:
    return SessionParams(map(unhex, session["hostpubkeys"]), session["t"])


def run_session(s: Json) -> None:
    params, keys = session_params(s), list(map(unhex, s["hostseckeys"]))
    same([hostpubkey_gen(key).hex() for key in keys], s["hostpubkeys"])
    same(params_hash(params).hex(), s["params_hash"])
    first = [dkg.participant_step1(k, params, unhex(r)) for k, r in zip(keys, s["random"], strict=True)]
    same([pmsg.hex() for _, pmsg in first], s["pmsgs1"])
    cstate, cmsg1 = dkg.coordinator_step1([pmsg for _, pmsg in first], params)
    same(cmsg1.hex(), s["cmsg1"])
    second = [
        dkg.participant_step2(key, state, cmsg1, unhex(aux))
        for key, (state, _), aux in zip(keys, first, s["aux_rand"], strict=True)
    ]
    same([pmsg.hex() for _, pmsg in second], s["pmsgs2"])
    cmsg2, public, recovery_data = dkg.coordinator_finalize(cstate, [pmsg for _, pmsg in second])
    same(cmsg2.hex(), s["cmsg2"])
    same(recovery_data.hex(), s["recovery_data"])
    check_public(public, s)
    for i, (state, _) in enumerate(second):
        output, data = dkg.participant_finalize(state, cmsg2)
        same(data.hex(), s["recovery_data"])
        same(output.secshare.expose().hex(), s["secshares"][i])
        check_public(output.public, s)


def check_public(public: PublicDKGOutput, s: Json) -> None:
    same(public.thresh_pk.hex(), s["thresh_pk"])
    same([pubshare.hex() for pubshare in public.pubshares], s["pubshares"])


def run_recovery(s: Json) -> None:
    recovery_data = unhex(s["recovery_data"])
    public, params = coordinator_recover(recovery_data)
    same(params, session_params(s))
    check_public(public, s)
    verify_taproot_safe(recovery_data, unhex(s["thresh_pk"]))
    for key, secshare in zip(s["hostseckeys"], s["secshares"], strict=True):
        output, params = participant_recover(unhex(key), recovery_data)
        same(params, session_params(s))
        same(output.secshare.expose().hex(), secshare)
        check_public(output.public, s)


def run_acks(s: Json) -> None:
    params, recovery_data = session_params(s), unhex(s["recovery_data"])
    acks = [
        participant_recovery_ack_sign(unhex(key), recovery_data, params, unhex(aux))
        for key, aux in zip(s["hostseckeys"], s["ack_aux_rand"], strict=True)
    ]
    same([ack.hex() for ack in acks], s["recovery_acks"])
    participant_recovery_acks_verify(recovery_data, params, acks)


def run_investigation(s: Json) -> None:
    found = dkg.coordinator_investigate(list(map(unhex, s["pmsgs1"])), session_params(s))
    same([cinv.hex() for cinv in found], s["investigation_msgs"])


# The official files


def official_reader(data: Json) -> Callable[[Json], Iterator[tuple[str, Thunk]]] | None:
    """The reader of the function that the description names first."""
    description = data.get("description")
    if not isinstance(description, list) or not description or "totalTests" not in data:
        return None
    first = str(description[0])
    for function, run in FUNCTIONS.items():
        if f" {function}(" in first:
            return lambda data: official_cases(data, run)
    return None


def official_cases(data: Json, run: Callable[[Json], Any]) -> Iterator[tuple[str, Thunk]]:
    for group in data.get("testGroups", [data]):
        shared = {key: value for key, value in group.items() if not key.endswith("TestCases")}
        for case in (*group.get("validTestCases", ()), *group.get("errorTestCases", ())):
            name = f"case {case['tcId']}: {case.get('comment', '')}"
            # A case of step 2 may bring another host key than the one its group began with.
            whole = {"group_hostseckey": group.get("hostseckey")} | shared | case
            yield name, lambda whole=whole: run_case(run, whole)  # type: ignore[misc]


def run_case(run: Callable[[Json], Any], case: Json) -> None:
    expected = case.get("expectedError")
    if expected is None:
        run(case)
        return
    kind = getattr(dkg_errors, expected["type"], None) or {"ValueError": ValueError}[expected["type"]]
    try:
        run(case)
    except kind as error:
        same_culprits(error, expected)
    else:
        raise AssertionError(f"no {expected['type']}")


def same_culprits(error: Exception, expected: Json) -> None:
    for key, attribute in (
        ("participantId", "participant_id"),
        ("participantId1", "participant_id1"),
        ("participantId2", "participant_id2"),
    ):
        if key in expected:
            same(getattr(error, attribute), expected[key])


def read_params(case: Json) -> SessionParams:
    return SessionParams(map(unhex, case["params"]["hostpubkeys"]), case["params"]["t"])


def pick(case: Json, pool: str, indices: str) -> list[bytes]:
    return [unhex(case[pool][i]) for i in case[indices]]


def check_output(output: DKGOutput | PublicDKGOutput, expected: Json) -> None:
    secshare = expected["secshare"]
    same(isinstance(output, DKGOutput), secshare is not None)
    if isinstance(output, DKGOutput):
        same(output.secshare.expose(), unhex(secshare))
    same(output.thresh_pk, unhex(expected["threshPk"]))
    same(output.pubshares, tuple(map(unhex, expected["pubshares"])))


def run_hostpubkey_gen(case: Json) -> None:
    pubkey = hostpubkey_gen(unhex(case["hostseckey"]))
    same(pubkey, unhex(case["expectedHostpubkey"]))


def run_params_hash(case: Json) -> None:
    found = params_hash(read_params(case))
    same(found, unhex(case["expectedParamsHash"]))


def run_participant_step1(case: Json) -> None:
    key = unhex(case["hostseckey"])
    hostpubkey_gen(key)  # the reference looks at the key before the parameters
    _, pmsg1 = dkg.participant_step1(key, read_params(case), unhex(case["random"]))
    same(pmsg1, unhex(case["expectedPmsg1"]))


def state_after_step1(case: Json, hostseckey: str) -> ParticipantState1:
    state, pmsg1 = dkg.participant_step1(unhex(hostseckey), read_params(case), unhex(case["random"]))
    same(pmsg1, unhex(case["pmsg1"]))
    return state


def run_participant_step2(case: Json) -> None:
    state = state_after_step1(case, case["group_hostseckey"])
    _, pmsg2 = dkg.participant_step2(
        unhex(case["hostseckey"]), state, unhex(case["cmsg1"]), unhex(case["auxRand"])
    )
    same(pmsg2, unhex(case["expectedPmsg2"]))


def run_participant_finalize(case: Json) -> None:
    state1 = state_after_step1(case, case["hostseckey"])
    state2, pmsg2 = dkg.participant_step2(
        unhex(case["hostseckey"]), state1, unhex(case["cmsg1"]), unhex(case["auxRand"])
    )
    same(pmsg2, unhex(case["pmsg2"]))
    output, recovery_data = dkg.participant_finalize(state2, unhex(case["cmsg2"]))
    check_output(output, case["expectedOutput"]["dkgOutput"])
    same(recovery_data, unhex(case["expectedOutput"]["recoveryData"]))


def run_participant_investigate(case: Json) -> None:
    state = state_after_step1(case, case["hostseckey"])
    cmsg1 = unhex(case["cmsg1Pool"][case["cmsg1Index"]])
    try:
        dkg.participant_step2(unhex(case["hostseckey"]), state, cmsg1, unhex(case["auxRand"]))
    except dkg_errors.UnknownFaultyParticipantOrCoordinatorError as error:
        failure = error
    dkg.participant_investigate(failure, unhex(case["cinvMsg"]))


def run_coordinator_step1(case: Json) -> None:
    _, cmsg1 = dkg.coordinator_step1(pick(case, "pmsg1Pool", "pmsg1Indices"), read_params(case))
    same(cmsg1, unhex(case["expectedCmsg1"]))


def run_coordinator_finalize(case: Json) -> None:
    state, cmsg1 = dkg.coordinator_step1(list(map(unhex, case["pmsgs1"])), read_params(case))
    same(cmsg1, unhex(case["cmsg1"]))
    cmsg2, output, recovery_data = dkg.coordinator_finalize(state, pick(case, "pmsg2Pool", "pmsg2Indices"))
    same(cmsg2, unhex(case["expectedOutput"]["cmsg2"]))
    check_output(output, case["expectedOutput"]["dkgOutput"])
    same(recovery_data, unhex(case["expectedOutput"]["recoveryData"]))


def run_coordinator_investigate(case: Json) -> None:
    cinvs = dkg.coordinator_investigate(list(map(unhex, case["pmsgs1"])), read_params(case))
    same(cinvs, tuple(map(unhex, case["expectedCinvMsgs"])))


def run_recover(case: Json) -> None:
    recovery_data = unhex(case["recoveryData"])
    output: DKGOutput | PublicDKGOutput
    if case["hostseckey"] is None:
        output, params = coordinator_recover(recovery_data)
    else:
        output, params = participant_recover(unhex(case["hostseckey"]), recovery_data)
    check_output(output, case["expectedOutput"]["dkgOutput"])
    same(params, read_params(case["expectedOutput"]))


FUNCTIONS: dict[str, Callable[[Json], None]] = {
    "hostpubkey_gen": run_hostpubkey_gen,
    "params_hash": run_params_hash,
    "participant_step1": run_participant_step1,
    "participant_step2": run_participant_step2,
    "participant_finalize": run_participant_finalize,
    "participant_investigate": run_participant_investigate,
    "coordinator_step1": run_coordinator_step1,
    "coordinator_finalize": run_coordinator_finalize,
    "coordinator_investigate": run_coordinator_investigate,
    "participant_recover": run_recover,
}
