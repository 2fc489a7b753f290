"""Time zones come from the locked tables, by exact name, on every machine alike."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from cluster.time_zones import zone_of

ROOT = Path(__file__).resolve().parents[2]
NAMES = (files("tzdata") / "zones").read_text(encoding="ascii").split()


def test_utc_needs_no_table() -> None:
    assert zone_of("UTC").tz is UTC


def test_every_zone_of_the_tables_loads_once() -> None:
    assert len(NAMES) > 500
    for name in NAMES:
        assert zone_of(name).name == name
        assert zone_of(name).tz is zone_of(name).tz


@pytest.mark.parametrize(
    ("name", "month", "hours"),
    [
        ("Europe/Vienna", 1, 1),
        ("Europe/Vienna", 7, 2),
        ("America/New_York", 1, -5),
        ("America/Argentina/Buenos_Aires", 7, -3),
        ("Etc/GMT+5", 7, -5),
        ("Asia/Kolkata", 1, 5.5),
    ],
)
def test_a_zone_keeps_its_clock(name: str, month: int, hours: float) -> None:
    noon = datetime(2026, month, 15, 12, tzinfo=UTC)
    assert noon.astimezone(zone_of(name).tz).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Viena", "did you mean `Europe/Vienna`?"),
        ("Vienna", "did you mean `Europe/Vienna`?"),
        ("europe/vienna", "did you mean `Europe/Vienna`?"),
        ("new york", "did you mean `America/New_York`?"),
        ("utc", "did you mean `UTC`?"),
        ("", "write one such as"),
        ("+02:00", "is not a time zone"),
        ("../../../etc/passwd", "is not a time zone"),
        ("Europe/../Europe/Vienna", "is not a time zone"),
        ("/Europe/Vienna", "did you mean `Europe/Vienna`?"),
        ("Europe/Vienna\n", "did you mean `Europe/Vienna`?"),
        ("Europe", "is not a time zone"),
        ("zone.tab", "is not a time zone"),
        ("\u202eUTC\x00", "is not a time zone"),
        ("x" * 100_000, "is not a time zone; write one such as"),
    ],
)
def test_another_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone") as caught:
        zone_of(name)
    assert hint in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


PROGRAM = """\
import sys
from datetime import datetime, UTC
from cluster.time_zones import zone_of
print(datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(zone_of("Europe/Vienna").tz).hour)
"""


def run(program: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_tables_of_the_system_do_not_count(tmp_path: Path) -> None:
    wrong = tmp_path / "Europe" / "Vienna"
    wrong.parent.mkdir()
    wrong.write_bytes((files("tzdata") / "zoneinfo" / "Asia" / "Tokyo").read_bytes())
    assert run(PROGRAM, PYTHONTZPATH=str(tmp_path), TZ="Asia/Tokyo") == "14"


def test_without_tables_there_is_only_utc() -> None:
    program = (
        "import sys; sys.modules['tzdata'] = None\n"
        "from cluster.errors import ConfigError\n"
        "from cluster.time_zones import zone_of\n"
        "print(zone_of('UTC').name)\n"
        "try: zone_of('Europe/Vienna')\n"
        "except ConfigError as error: print(error)\n"
    )
    lines = run(program).splitlines()
    assert lines[0] == "UTC"
    assert lines[1].startswith("the tables of time zones (tzdata) are missing or damaged; install them")
