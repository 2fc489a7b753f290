"""BIP 371's own PSBTs: malformed Taproot fields are refused; whole ones are read, and stripped of what was signed."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest
from vector_files import OWN

from taproot import Network, PsbtRefused, inspect_psbt, strip

VECTORS = json.loads((OWN / "bip371.json").read_text())
INVALID = [pytest.param(b64decode(case["psbt"]), id=case["fault"]) for case in VECTORS["invalid"]]
VALID = [pytest.param(case, id=case["case"]) for case in VECTORS["valid"]]


def test_all_of_them_are_here() -> None:
    assert (len(VALID), len(INVALID)) == (6, 11)


@pytest.mark.parametrize("psbt", INVALID)
def test_what_is_malformed_is_refused(psbt: bytes) -> None:
    with pytest.raises(PsbtRefused):
        inspect_psbt(psbt, Network.REGTEST)
    with pytest.raises(PsbtRefused):
        strip(psbt)


@pytest.mark.parametrize("case", VALID)
def test_what_stands_in_it_is_found(case: dict[str, Any]) -> None:
    [one] = inspect_psbt(b64decode(case["psbt"]), Network.REGTEST).inputs
    found = (one.leaves, one.script_signatures, one.key_signature)
    assert found == (case["leaves"], case["script_signatures"], case["key_signature"])


@pytest.mark.parametrize("case", VALID)
def test_stripped_of_signatures_it_is_the_same_transaction(case: dict[str, Any]) -> None:
    psbt = b64decode(case["psbt"])
    before, after = (inspect_psbt(data, Network.REGTEST) for data in (psbt, strip(psbt)))
    assert (before.txid_hex, before.outputs) == (after.txid_hex, after.outputs)
    [one] = after.inputs
    assert (one.script_signatures, one.key_signature, one.leaves) == (0, False, case["leaves"])
