"""Every peer in turn is a liar, thousands of letters long: nothing unapproved is signed, nothing breaks or grows.

`ASSENT_STORM_LETTERS` says how many letters in all, besides those altered on their way; 1,000 unless it does.
"""

from __future__ import annotations

import os

import pytest
from evil_storm import held_bytes
from lying_storm import LyingStorm

LETTERS = int(os.environ.get("ASSENT_STORM_LETTERS", "1000"))
SCHEMES = ("frost", "musig2")
LIARS = (("coord",), ("node2",), ("thief",), ("eva",), ("coord", "node2", "thief", "eva"))
SEED = 5
HONEST = ("node0", "node1", "coord", "spare")
PER_REQUEST_BYTES = 40_000
"""What a small request costs while it is kept whole, as each is for an hour after it failed."""

ONCE_BYTES = 4_000_000
"""What may come and go: scripts of the whole gap, nonces, remembered letters."""


@pytest.mark.patient
@pytest.mark.parametrize("liars", LIARS, ids="+".join)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_altered_letter_of_any_peer_crashes_a_machine_or_has_something_signed(
    scheme: str, liars: tuple[str, ...]
) -> None:
    storm = LyingStorm(scheme, liars, SEED)
    letters = LETTERS // (len(LIARS) * len(SCHEMES))
    before = {name: held_bytes(storm.world.seats[name].machine) for name in HONEST}
    while storm.blows < letters:
        storm.blow()
    for name in HONEST:
        if storm.world.seats[name].machine is not None:
            grown = held_bytes(storm.world.seats[name].machine) - before[name]
            assert grown < ONCE_BYTES + PER_REQUEST_BYTES * storm.asked, (name, grown)
    assert storm.ends_well(), storm.views[-1]
    signed = storm.check_signed()
    assert signed > 0
    print(
        f"\n{storm.kinds.total()} letters, {storm.asked} requests, {signed} partial signatures; {dict(storm.kinds)}"
    )
