"""Every ChillDKG vector: our own sessions always, the official files where they are."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance.chilldkg import cases

ROOT = Path(__file__).parents[2]
OWN = ROOT / "tests" / "vectors" / "chilldkg.json"
OFFICIAL = (
    Path(os.environ.get("ASSENT_BIP_VECTORS", ROOT.parent / "shared" / "vectors" / "official")) / "chilldkg"
)


def read(path: Path) -> Iterator[object]:
    found = cases(str(path), path.read_text())
    assert found, f"{path} holds no ChillDKG cases"
    for name, thunk in found:
        yield pytest.param(thunk, id=f"{path.stem}: {name}")


@pytest.mark.parametrize("run", list(read(OWN)))
def test_own_sessions(run: Callable[[], None]) -> None:
    run()


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="set ASSENT_BIP_VECTORS to the BIPs' own vector files")
@pytest.mark.parametrize("run", [case for path in sorted(OFFICIAL.glob("*.json")) for case in read(path)])
def test_official(run: Callable[[], None]) -> None:
    run()


def test_other_files_are_not_ours() -> None:
    assert cases("bip445.json", '{"sessions": [{"t": 1}]}') is None
    assert cases("x.json", "[]") is None
    assert cases("x.csv", "index,secret key") is None
