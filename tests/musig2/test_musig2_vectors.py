"""BIP 327's own vectors, as far as libsecp256k1's module can express them; what it cannot is counted by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conformance.bip327 import NOT_EXPRESSIBLE, cases
from vector_files import OFFICIAL, official, parameters, skip_without_official

EXPRESSIBLE = [file for file in official("bip327") if not file.name.startswith("det_sign")]


@skip_without_official("bip327")
@pytest.mark.parametrize("run", parameters(cases, EXPRESSIBLE))
def test_official_case(run: Callable[[], None]) -> None:
    run()


def load(name: str) -> Any:
    return json.loads((OFFICIAL / "bip327" / name).read_text())


@skip_without_official("bip327")
def test_what_the_module_cannot_express_is_only_this() -> None:
    """Nine cases of deterministic signing, two messages, three nonces: nothing else is left out."""
    deterministic, signing = load("det_sign_vectors.json"), load("sign_verify_vectors.json")
    sizes = [len(signing["msgs"][case["msg_index"]]) for case in signing["valid_test_cases"]]
    nonces = [case["aggpk"] is not None for case in load("nonce_gen_vectors.json")["test_cases"]]
    left = (
        len(deterministic["valid_test_cases"]) + len(deterministic["error_test_cases"]),
        len(sizes) - sizes.count(64),
        nonces.count(True),
    )
    assert left == (9, 2, 3)
    assert len(left) == len(NOT_EXPRESSIBLE)
    run = sum(len(cases(str(file), file.read_text()) or ()) for file in EXPRESSIBLE)
    assert run == 1 + 9 + 1 + 5 + (4 + 6 + 3 + 2) + 6 + 5
