from __future__ import annotations

import pytest

from cluster import errors
from cluster.errors import ClusterError, WrongPassphrase, error_of

CODES = {
    "UsageError": 2,
    "ConfigError": 3,
    "StateError": 3,
    "StorageFault": 3,
    "Refused": 4,
    "Waiting": 5,
    "NoQuorum": 6,
    "PeerError": 7,
    "AuthenticationError": 7,
    "WrongPassphrase": 7,
    "Misbehaviour": 8,
    "ChainError": 9,
    "NonceError": 10,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_codes_are_the_documented_ones(name: str, code: int) -> None:
    assert getattr(errors, name)("text").exit_code == code
    assert type(error_of(name, "text")).__name__ == name


def test_every_error_is_listed() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ClusterError)
    }
    assert kinds == {"ClusterError", *CODES} == kinds & set(errors.__all__)


def test_a_text_is_one_line_and_repaints_nothing() -> None:
    said = str(ClusterError("a\nb\r\x1b[2Kc\u202ed\u2028e\u0085f é"))
    assert said.splitlines() == [said]
    assert said.isprintable()
    assert said.endswith("f é")


def test_an_unknown_name_is_a_plain_error() -> None:
    assert type(error_of("Exception", "x")) is ClusterError
    assert isinstance(error_of("WrongPassphrase", "x"), WrongPassphrase)
