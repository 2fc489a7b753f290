"""An evil coordinator, thousands of letters long: nothing unapproved is signed, nothing breaks, nothing grows.

`ASSENT_STORM_LETTERS` says how many letters; 4,000 unless it does.
"""

from __future__ import annotations

import os

import pytest
from chaos import NODES
from evil import signed_by
from evil_storm import Storm, allowed, ended_well, held_bytes

from cluster.codec import open_letter
from cluster.journal import RequestKept, read
from cluster.subjects import understand

LETTERS = int(os.environ.get("ASSENT_STORM_LETTERS", "4000"))
PER_REQUEST_BYTES = 4_096
"""What is left of a request in memory once it has ended: an id, a code, a few numbers."""

ONCE_BYTES = 1_000_000
"""What may come and go: open requests, nonces, remembered letters."""


@pytest.mark.patient
def test_nothing_is_signed_that_was_not_approved_and_nothing_grows() -> None:
    storm = Storm(seed=LETTERS)
    for _ in range(max(1_000, LETTERS // 10)):
        storm.blow()
    before, asked = {name: held_bytes(storm.world.node(name)) for name in NODES}, storm.asked
    while storm.letters < LETTERS:
        storm.blow()
    world = storm.world
    for name in NODES:
        grown = held_bytes(world.node(name)) - before[name]
        assert grown < ONCE_BYTES + PER_REQUEST_BYTES * (storm.asked - asked), (name, grown)
    assert world.run(lambda: ended_well(storm.views), ms=600_000), storm.views
    signed = 0
    for name in NODES:
        subjects = {}
        for record in world.seats[name].disk:
            if record.kind == "request":
                kept = read(record)
                assert isinstance(kept, RequestKept)
                letter = open_letter(
                    kept.request.letter, kept.request.signature, world.seats["client"].identity.public
                )
                subject = understand(storm.wallet, letter)
                subjects[subject.request_id] = subject
        for entry in signed_by(world, name):
            signed += 1
            subject = subjects[entry.request_id]
            assert allowed(subject)
            assert subject.spend_id == entry.spend_id
    assert signed > storm.asked / 3  # the cluster did go on working
    assert len(storm.kinds) == 8
    print(f"\n{storm.letters} letters, {storm.asked} requests, {signed} partial signatures; {storm.kinds}")
