"""Why a PSBT is not signed: every code there is, and the exception that carries one.

A refusal names the place and the reason in one sentence. Codes are stable and go over the wire; texts are for
people and may hold a library's own words, cut short and made printable.
"""

from collections.abc import Iterator
from contextlib import contextmanager

REFUSALS = {
    # the frame
    "too-large": "more bytes, inputs or outputs than a node reads",
    "malformed": "not a PSBT, or a broken one",
    "trailing-bytes": "bytes after the end of the PSBT",
    "non-canonical": "a number or a transaction that is not written in its one canonical way",
    "duplicate-key": "one key twice in one map",
    "psbt-version": "neither version 0 nor version 2",
    "missing-field": "a field without which there is no transaction",
    "reading-disagreement": "our own reading and the library's differ",
    # the inputs
    "no-inputs": "nothing is spent",
    "duplicate-input": "one coin twice",
    "missing-prevout": "an input without its witness UTXO",
    "prevout-mismatch": "the full previous transaction is another, or tells of another amount or script",
    "already-signed": "an input that carries a signature, final or not",
    "script-path": "an input that speaks of script leaves, of which this wallet has none",
    "unknown-leaf": "a script leaf, or a merkle root, that this wallet has not registered",
    "lock-time": "a recovery leaf whose lock time the transaction can never reach",
    "musig2-fields": "MuSig2 fields (BIP 373) that are half-filled, malformed or contradict one another",
    "sighash-type": "a sighash type other than absent, DEFAULT or ALL",
    "foreign-input": "an input that this wallet does not derive",
    "input-beyond-gap": "an input that is the wallet's, further ahead than the wallet looks",
    "wrong-derivation": "a derivation field, internal key or path that is not what the wallet derives",
    # the outputs
    "no-outputs": "nothing is paid",
    "foreign-change": "an output that claims to be the wallet's and is not",
    "change-beyond-gap": "an output that is the wallet's, further ahead than the wallet looks",
    "bad-output": "an output script that cannot be read",
    # the amounts
    "amount-range": "an amount below zero or above all bitcoin there will be",
    "outputs-exceed-inputs": "more is paid than is spent",
    # the signatures
    "sighash-disagreement": "two libraries do not agree on what is to be signed",
    "sighash-failed": "a library could not say what is to be signed",
    "output-key": "the tweaks, or a control block, do not lead to the output key",
    "wrong-signature": "a signature that does not verify",
    "wrong-final": "a final transaction that is not the one asked for",
}

_LONGEST_TEXT = 160


class PsbtRefused(Exception):
    """A PSBT that we do not sign, with a stable code for programs and one sentence for people.

    Attributes:
        code: a key of `REFUSALS`; safe to send to others.
        where: the place, such as "psbt", "input 3" or "output 0".
        text: what is wrong, in one sentence.
    """

    def __init__(self, code: str, where: str, text: str) -> None:
        assert code in REFUSALS, code
        super().__init__(code, where, text)
        self.code = code
        self.where = where
        self.text = text

    def __str__(self) -> str:
        return f"{self.where}: {self.text} [{self.code}]"


@contextmanager
def faults_refused(code: str, where: str, text: str) -> Iterator[None]:
    """Turn whatever a library raises on bad input into a refusal, except running out of memory."""
    try:
        yield
    except (PsbtRefused, MemoryError):
        raise
    except Exception as fault:
        raise PsbtRefused(code, where, f"{text}: {_in_print(fault)}") from fault


def _in_print(fault: Exception) -> str:
    words = f"{type(fault).__name__} {fault}"[:_LONGEST_TEXT]
    return "".join(letter if " " <= letter <= "~" else "?" for letter in words)
