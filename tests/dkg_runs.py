"""Whole ChillDKG sessions for tests, with everything derived from a name."""

from __future__ import annotations

from dataclasses import dataclass, field

import frost
from curve import tagged_hash


def draw(*what: object) -> bytes:
    """32 bytes that look random and are always the same."""
    return tagged_hash("assent/tests/dkg", repr(what).encode())


@dataclass
class Run:
    """An honest session up to any message; each property runs what it needs, once."""

    t: int
    n: int
    name: str = "run"
    keys: list[bytes] = field(init=False)
    params: frost.SessionParams = field(init=False)
    pmsgs1: list[bytes] = field(init=False)
    states1: list[frost.ParticipantState1] = field(init=False)

    def __post_init__(self) -> None:
        self.keys = [draw(self.name, "key", i) for i in range(self.n)]
        self.params = frost.SessionParams(map(frost.hostpubkey_gen, self.keys), self.t)
        first = [self.step1(i) for i in range(self.n)]
        self.states1 = [state for state, _ in first]
        self.pmsgs1 = [pmsg1 for _, pmsg1 in first]

    def step1(self, i: int) -> tuple[frost.ParticipantState1, bytes]:
        """Participant i's first step; each call makes a fresh state of the same contents."""
        return frost.participant_step1(self.keys[i], self.params, draw(self.name, "random", i))

    def coordinate(self) -> tuple[frost.CoordinatorState, bytes]:
        """The coordinator's first step."""
        return frost.coordinator_step1(self.pmsgs1, self.params)

    def step2(self, i: int, cmsg1: bytes) -> tuple[frost.ParticipantState2, bytes]:
        """Participant i's second step, from a fresh state."""
        state1, _ = self.step1(i)
        return frost.participant_step2(self.keys[i], state1, cmsg1, draw(self.name, "aux", i))

    def finish(self) -> Finished:
        """The whole session."""
        cstate, cmsg1 = self.coordinate()
        second = [self.step2(i, cmsg1) for i in range(self.n)]
        pmsgs2 = [pmsg2 for _, pmsg2 in second]
        cmsg2, public, recovery_data = frost.coordinator_finalize(cstate, pmsgs2)
        outputs = [frost.participant_finalize(state2, cmsg2) for state2, _ in second]
        assert all(output.public == public for output, _ in outputs)
        assert all(data == recovery_data for _, data in outputs)
        return Finished([output for output, _ in outputs], public, recovery_data, cmsg1, pmsgs2, cmsg2)


@dataclass(frozen=True)
class Finished:
    """What an honest session made."""

    outputs: list[frost.DKGOutput]
    public: frost.PublicDKGOutput
    recovery_data: bytes
    cmsg1: bytes
    pmsgs2: list[bytes]
    cmsg2: bytes


def altered(data: bytes, position: int, mask: int = 1) -> bytes:
    """The same bytes with one changed."""
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]
