"""Rosters and charters: what is refused, and words that tell any two of them apart."""

from __future__ import annotations

import msgspec
import pytest
from world import World

from cluster.charter import Charter, check_charter
from cluster.codec import decode, encode
from cluster.roster import Roster, RosterError, check_roster, digest, match_words

WORLD = World(people={"ann": ("treasurer", "board"), "bob": ()}, client_of="ann")
ROSTER = WORLD.roster
CHARTER = WORLD.charter()
replace = msgspec.structs.replace


def test_the_world_s_own_are_fine() -> None:
    check_roster(ROSTER)
    check_charter(CHARTER, ROSTER)


def twice(roster: Roster, **changes: object) -> Roster:
    """The second node with something that the first has."""
    nodes = list(roster.nodes)
    nodes[1] = replace(nodes[1], **changes)
    return replace(roster, nodes=tuple(nodes))


FIRST = ROSTER.nodes[0]


@pytest.mark.parametrize(
    ("roster", "what"),
    [
        (replace(ROSTER, version=2), "version 2"),
        (twice(ROSTER, name=FIRST.name), "name"),
        (twice(ROSTER, name="coord"), "name"),
        (twice(ROSTER, identity=FIRST.identity), "identity key"),
        (twice(ROSTER, identity=ROSTER.clients[0].identity), "identity key"),
        (twice(ROSTER, transport=ROSTER.coordinators[0].transport), "transport key"),
        (twice(ROSTER, host_pubkeys=FIRST.host_pubkeys), "host key"),
        (twice(ROSTER, host_pubkeys=(ROSTER.nodes[1].host_pubkeys[0],) * 2), "host key"),
        (twice(ROSTER, name=ROSTER.people[0].name), "name"),
        (twice(ROSTER, identity=ROSTER.people[0].identity), "identity key"),
        (twice(ROSTER, transport=ROSTER.people[0].transport), "transport key"),
        (replace(ROSTER, people=()), "client client is ann's, and nobody"),
        (
            replace(ROSTER, people=(replace(ROSTER.people[0], roles=("board", "board")), ROSTER.people[1])),
            "role of ann board stands twice",
        ),
    ],
)
def test_a_roster_that_makes_no_sense(roster: Roster, what: str) -> None:
    with pytest.raises(RosterError, match=what):
        check_roster(roster)


@pytest.mark.parametrize(
    ("charter", "what"),
    [
        (replace(CHARTER, version=2), "version 2"),
        (replace(CHARTER, cluster_id=bytes(32)), "another cluster"),
        (replace(CHARTER, network="mainnet"), "another cluster or network"),
        (replace(CHARTER, t=0), "threshold 0"),
        (replace(CHARTER, t=4), "threshold 4"),
        (replace(CHARTER, index=1), "host key"),
        (replace(CHARTER, index=99), "host key"),
        (replace(CHARTER, members=(CHARTER.members[0],) * 3), "member"),
        (replace(CHARTER, t=1, members=(replace(CHARTER.members[0], identity=bytes(32)),)), "not a node"),
        (
            replace(
                CHARTER,
                t=1,
                members=(replace(CHARTER.members[0], host_pubkey=CHARTER.members[1].host_pubkey),),
            ),
            "host key",
        ),
    ],
)
def test_a_charter_that_makes_no_sense(charter: Charter, what: str) -> None:
    with pytest.raises(RosterError, match=what):
        check_charter(charter, ROSTER)


def test_a_host_key_that_is_no_point_is_found_before_anyone_says_yes() -> None:
    bad = b"\x02" + b"\xff" * 32
    roster = twice(ROSTER, host_pubkeys=(bad,), signing_pubkeys=ROSTER.nodes[1].signing_pubkeys[:1])
    with pytest.raises(RosterError, match="signing key of node1 is no public key"):
        check_roster(roster)


@pytest.mark.parametrize("name", ["", "UPPER", "trailing\n", "a b", "-a", "\u202eabc", "x" * 32, "a\x00"])
def test_a_name_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="Roster"):
        decode(encode(twice(ROSTER, name=name)), Roster)
    with pytest.raises(ValueError, match="Charter"):
        decode(encode(replace(CHARTER, name=name)), Charter)


@pytest.mark.parametrize(
    "endpoint", ["tcp://a:1\n", "ipc:///tmp/x", "tcp://a", "tcp://a b:1", "tcp://a:123456", ""]
)
def test_an_endpoint_is_an_endpoint(endpoint: str) -> None:
    coordinator = replace(ROSTER.coordinators[0], endpoint=endpoint)
    with pytest.raises(ValueError, match="Roster"):
        decode(encode(replace(ROSTER, coordinators=(coordinator,))), Roster)


def test_words_depend_on_every_byte_and_on_the_purpose() -> None:
    exact = encode(ROSTER)
    words = match_words("roster", exact)
    assert len(words) == 12
    assert words == match_words("roster", exact)
    assert words != match_words("charter", exact)
    assert words != match_words("roster", encode(replace(ROSTER, epoch=2)))
    assert digest(exact) != digest(encode(CHARTER))


def test_roles_and_names() -> None:
    assert ROSTER.role_of(FIRST.identity) == "node"
    assert ROSTER.role_of(ROSTER.coordinators[0].identity) == "coordinator"
    assert ROSTER.role_of(ROSTER.clients[0].identity) == "client"
    assert ROSTER.role_of(bytes(32)) == ""
    assert ROSTER.name_of(FIRST.identity) == "node0"
    assert ROSTER.name_of(bytes(32)) == "stranger 00000000"
    assert CHARTER.participant(bytes(32)) is None


def test_people_and_whose_device_a_client_is() -> None:
    ann, bob = ROSTER.people
    assert ROSTER.role_of(ann.identity) == "person"
    assert ROSTER.person(bob.identity) == bob
    assert ROSTER.person(FIRST.identity) is None
    assert ROSTER.person_of(ROSTER.clients[0].identity) == ann
    assert ROSTER.person_of(ann.identity) is None  # a person asks for nothing
    assert ann in ROSTER.reachable
    nobodys = replace(ROSTER, clients=(replace(ROSTER.clients[0], person=""),))
    check_roster(nobodys)
    assert nobodys.person_of(ROSTER.clients[0].identity) is None


@pytest.mark.parametrize("name", ["UPPER", "trailing\n", "a b", "-a", "x" * 32])
def test_whose_device_it_is_is_a_name_or_nobody(name: str) -> None:
    client = replace(ROSTER.clients[0], person=name)
    with pytest.raises(ValueError, match="Roster"):
        decode(encode(replace(ROSTER, clients=(client,))), Roster)
