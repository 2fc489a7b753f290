"""What a coordinator carries: only the kinds that a desk expects, only from peers, only of this cluster."""

from __future__ import annotations

import pytest
from world import TestIdentity, World

from cluster.carried import check_peer, open_carried
from cluster.codec import BadLetter, Mouth
from cluster.messages import Busy, ClockAsk, ClockRelay, Kind, SignedLetter

CARRIED = frozenset({Kind.CLOCK_ASK, Kind.CLOCK_SAID})
WORLD = World()


def mouth(name: str = "node1", cluster_id: bytes = WORLD.roster.cluster_id) -> Mouth:
    return Mouth(TestIdentity(name), cluster_id, bytes(16))


def asked(by: Mouth) -> SignedLetter:
    return by.say(Kind.CLOCK_ASK, bytes(32), ClockAsk(1), expires_at_ms=1)


def test_the_letter_inside_is_opened() -> None:
    inner = open_carried(ClockRelay(int(Kind.CLOCK_ASK), asked(mouth())), CARRIED, "about a clock")
    check_peer(inner, WORLD.seats["node0"].identity.public, WORLD.roster, "clock-stranger")
    assert inner.body == ClockAsk(1)


@pytest.mark.parametrize("kind", [0, 9_999, int(Kind.HELLO), int(Kind.FREEZE), int(Kind.CLOCK_SAID)])
def test_a_relay_that_names_another_kind_carries_nothing(kind: int) -> None:
    with pytest.raises(BadLetter) as bad:
        open_carried(ClockRelay(kind, asked(mouth())), CARRIED, "about a clock")
    assert bad.value.code == "letter-kind"


def test_a_letter_of_another_kind_carries_nothing_whatever_the_relay_calls_it() -> None:
    busy = mouth().say(Kind.BUSY, bytes(32), Busy(0), expires_at_ms=1)
    with pytest.raises(BadLetter) as bad:
        open_carried(ClockRelay(int(Kind.CLOCK_ASK), busy), CARRIED, "about a clock")
    assert bad.value.code == "letter-kind"


def test_what_is_no_relay_carries_nothing() -> None:
    with pytest.raises(BadLetter, match="about a clock"):
        open_carried(ClockAsk(1), CARRIED, "about a clock")


@pytest.mark.parametrize(
    ("writer", "code"),
    [
        (mouth("node0"), "clock-stranger"),
        (mouth("client"), "clock-stranger"),
        (mouth("coord"), "clock-stranger"),
        (mouth("nobody"), "clock-stranger"),
        (mouth("node1", b"\x07" * 32), "letter-cluster"),
    ],
)
def test_only_another_node_of_this_cluster_is_a_peer(writer: Mouth, code: str) -> None:
    inner = open_carried(ClockRelay(int(Kind.CLOCK_ASK), asked(writer)), CARRIED, "about a clock")
    with pytest.raises(BadLetter) as bad:
        check_peer(inner, WORLD.seats["node0"].identity.public, WORLD.roster, "clock-stranger")
    assert bad.value.code == code
