"""Coordinators whose database was lost and that began anew: what they said before is held against nobody.

A coordinator holds no key and decides nothing, and losing its disk breaks no promise. A chain that says of itself,
before its first start, that it was rebuilt is therefore not accused of the lives that it cannot know: what they told
is looked for in the other databases, and what stands nowhere is not proven. Nothing else is forgiven: neither a head,
nor an acknowledgement, nor an end that was told in a life which the chain does know, and nothing of any node's.
"""

from __future__ import annotations

from cluster.audit.report import Result
from cluster.audit.run import Run
from cluster.hello_letter import Hello
from cluster.messages import Kind


def lost_lives(run: Run, identity: bytes) -> frozenset[bytes]:
    """The boot ids of a rebuilt coordinator under which it spoke, and of which no database here knows."""
    chains = [chain for chain in run.chains if chain.identity == identity]
    if not any(chain.rebuilt_at is not None for chain in chains):
        return frozenset()
    spoke = {boot_id for sender, boot_id in run.letters.boot_letters if sender == identity}
    return frozenset(spoke.difference(*(chain.boots for chain in chains)))


def say_lost(run: Run, result: Result) -> None:
    """Name each loss: as a gap where letters of that time are at hand, and else as worth knowing."""
    for chain in run.of_role("coordinator"):
        height = chain.rebuilt_at
        if height is None:
            continue
        began_ms = next(entry.body.at_ms for entry in chain.entries if entry.height == height)
        lives = lost_lives(run, chain.identity)
        text = f"{chain.name}: its database was lost, and begins anew ({chain.file} record {height})"
        if not lives:
            result.notes.append(text)
            continue
        result.gaps.append(f"{text}: no record is at hand of what it said in {len(lives):_} lives before")
        late = [
            spoken
            for spoken in run.letters.of(Kind.HELLO)
            if isinstance(spoken.letter.body, Hello)
            and spoken.letter.header.sender == chain.identity
            and spoken.letter.header.boot_id in lives
            and spoken.letter.body.clock_ms > began_ms
        ]
        if late:
            result.gaps.append(
                f"{chain.name}: one of them says that it spoke later ({late[0].where}): "
                "a clock was wrong, or the old machine still runs, or somebody else has its key"
            )
