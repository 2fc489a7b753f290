"""Reads BIP 340's own test-vectors.csv."""

import csv
import io
from collections.abc import Callable
from functools import partial

from curve import SecretScalar, schnorr_sign, schnorr_verify

COLUMNS = {"index", "secret key", "public key", "aux_rand", "message", "signature", "verification result"}


def cases(path: str, text: str) -> list[tuple[str, Callable[[], None]]] | None:
    """One case per row: the signature verifies or not as stated, and signing reproduces it."""
    rows = csv.DictReader(io.StringIO(text))
    if not path.lower().endswith(".csv") or not set(rows.fieldnames or ()) >= COLUMNS:
        return None
    return [(f"{row['index']} {row.get('comment') or ''}".strip(), partial(_check, row)) for row in rows]


def _check(row: dict[str, str]) -> None:
    xonly, msg, sig = (bytes.fromhex(row[name]) for name in ("public key", "message", "signature"))
    expected = {"TRUE": True, "FALSE": False}[row["verification result"]]
    assert schnorr_verify(xonly, msg, sig) is expected, "verification result differs"
    if row["secret key"]:
        secret = SecretScalar.from_bytes(bytes.fromhex(row["secret key"]))
        assert secret.point().xonly() == xonly, "public key differs"
        assert schnorr_sign(secret, msg, bytes.fromhex(row["aux_rand"])) == sig, "signature differs"
