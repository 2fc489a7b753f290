"""The owner's requests to a running node: only who can open the seed may say yes, and nothing passes twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
from spends import payment
from world import ScriptedJudge, TestIdentity, World

from cluster.cli.owner import _with_words
from cluster.codec import encode
from cluster.coordinator_desk import CoordinatorDesk
from cluster.errors import AuthenticationError, StateError, UsageError
from cluster.messages import Decision
from cluster.owner_desk import NodeDesk, proof_of
from cluster.roster import digest, match_words


class Table:
    """One node of a world, its desk and its owner."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.desk = NodeDesk(world.node(name), encode(world.roster), world.watch.judges[name])
        self.owner = TestIdentity(name)

    def say(self, request: Mapping[str, object]) -> dict[str, object]:
        facts, step = self.desk.handle(request, self.world.now, self.world.entropy())
        if step is not None:
            self.world.perform(self.name, step)
        return facts

    def challenge(self) -> str:
        return str(self.say({"do": "challenge"})["challenge"])

    def yes(self, subject: bytes, owner: TestIdentity | None = None) -> dict[str, object]:
        request = {"do": "answer", "id": subject.hex(), "yes": True, "challenge": self.challenge()}
        return self.say(proof_of(request, (owner or self.owner).sign))


def listed(facts: dict[str, object], key: str) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", facts[key])


@pytest.fixture
def world() -> World:
    return World()


def proposed(world: World) -> bytes:
    charter = world.charter()
    world.propose(charter)
    subject = digest(encode(charter))
    assert world.run(lambda: all(world.node(name).plan(subject) for name in world.node_names))
    return subject


def test_a_proposed_wallet_is_shown_with_its_exact_charter_and_approved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = proposed(world)
    table = Table(world, "node0")
    [entry] = listed(table.say({"do": "pending"}), "pending")
    assert entry["kind"] == "wallet"
    assert digest(bytes.fromhex(str(entry["charter"]))) == subject
    monkeypatch.setattr("cluster.roster.WORDS_MEMORY_BYTES", 8 * 1024 * 1024)
    words = match_words("charter", encode(world.charter()))
    assert _with_words(entry)["words"] == list(words), "as whoever proposes it reads them out"
    found = listed(table.say({"do": "find", "prefix": subject.hex()[:8]}), "found")
    assert [one["id"] for one in found] == [subject.hex()]
    assert table.say({"do": "find", "prefix": "00000000"}) == {"found": []}
    about = table.yes(subject)["about"]
    assert isinstance(about, dict)
    assert about["state"] == "agreed"


def test_a_yes_needs_the_owners_own_proof_over_this_very_request(world: World) -> None:
    subject = proposed(world)
    table = Table(world, "node0")
    with pytest.raises(AuthenticationError):
        table.yes(subject, TestIdentity("node1"))
    bare = {"do": "answer", "id": subject.hex(), "yes": True, "challenge": table.challenge()}
    for request in (
        {key: value for key, value in bare.items() if key != "challenge"},
        bare,
        {**bare, "challenge": table.challenge(), "proof": "00" * 64},
        {**bare, "challenge": table.challenge(), "proof": "not hex"},
        {**bare, "challenge": table.challenge(), "proof": 5},
        {
            **proof_of({**bare, "challenge": table.challenge(), "id": "11" * 32}, table.owner.sign),
            "id": subject.hex(),
        },
        {**proof_of({**bare, "challenge": table.challenge(), "yes": False}, table.owner.sign), "yes": True},
        proof_of({**bare, "challenge": "22" * 32}, table.owner.sign),
    ):
        with pytest.raises((AuthenticationError, UsageError)):
            table.say(request)
    plan = world.node("node0").plan(subject)
    assert plan is not None
    assert plan.stage == "proposed"


def test_a_proof_is_good_once_and_not_for_long(world: World) -> None:
    subject = proposed(world)
    table = Table(world, "node0")
    request = {"do": "answer", "id": subject.hex(), "yes": True, "challenge": table.challenge()}
    proven = proof_of(request, table.owner.sign)
    world.advance(121_000)
    with pytest.raises(AuthenticationError, match="expired"):
        table.say(proven)
    fresh = proof_of({**request, "challenge": table.challenge()}, table.owner.sign)
    table.say(fresh)
    with pytest.raises(AuthenticationError):
        table.say(fresh)


def test_challenges_are_bounded(world: World) -> None:
    table = Table(world, "node0")
    first = table.challenge()
    for _ in range(40):
        table.challenge()
    request = proof_of({"do": "confirm-clock", "challenge": first}, table.owner.sign)
    with pytest.raises(AuthenticationError, match="expired"):
        table.say(request)


def test_a_no_needs_no_proof(world: World) -> None:
    subject = proposed(world)
    about = Table(world, "node0").say({"do": "answer", "id": subject.hex(), "yes": False})["about"]
    assert isinstance(about, dict)
    assert about["state"] == "declined"


def test_senseless_requests_change_nothing(world: World) -> None:
    table = Table(world, "node0")
    for request in (
        {},
        {"do": None},
        {"do": ["status"]},
        {"do": "dance"},
        {"do": "answer", "id": "zz", "yes": False},
        {"do": "answer", "id": "00" * 32, "yes": False},
        {"do": "answer", "id": 7},
        {"do": "copy", "wallet_id": "00" * 32, "recovery_data": "00"},
        {"do": "backup", "wallet": "none"},
        {"do": "find", "prefix": 5},
        {"do": "set-policy", "text": "x"},
        {"do": "confirm-clock"},
    ):
        with pytest.raises((UsageError, StateError, AuthenticationError)):
            table.say(request)


def test_the_copy_is_checked_and_the_backup_shown(world: World) -> None:
    wallet = world.make_wallet()
    table = Table(world, "node1")
    shown = table.say({"do": "backup", "wallet": ""})
    assert (shown["wallet"], shown["stage"]) == ("vault", "complete")
    copy = {"do": "copy", "wallet_id": wallet.wallet_id.hex(), "recovery_data": wallet.recovery_data.hex()}
    assert table.say(copy)["stage"] == "complete"
    with pytest.raises(StateError, match="not of this wallet"):
        table.say({**copy, "recovery_data": wallet.recovery_data.hex()[:-2] + "00"})
    [one] = listed(table.say({"do": "wallets"}), "wallets")
    assert one["descriptor"] == wallet.public.descriptor()
    status = table.say({"do": "status"})
    assert status["role"] == "node"
    assert status["requests"] == {"open": 0, "may-be-signed": 0, "refused": 0, "closed": 0, "final": 0}


def test_no_descriptor_before_the_wallet_is_complete(world: World) -> None:
    world.stop("node2")
    charter = world.charter()
    world.propose(charter)
    world.run(ms=3_000)
    assert Table(world, "node0").say({"do": "wallets"}) == {"wallets": []}


def test_a_coordinator_shows_and_decides_nothing(world: World) -> None:
    world.make_wallet()
    desk = CoordinatorDesk(world.coordinator, world.seats["coord"].identity.public, encode(world.roster))
    status, step = desk.handle({"do": "status"}, world.now, world.entropy())
    assert step is None
    assert status["nodes"] == [{"name": name, "reach": "online"} for name in world.node_names]
    backup, _ = desk.handle({"do": "backup", "wallet": "vault"}, world.now, world.entropy())
    assert backup["stage"] == "complete"
    for request in ({"do": "answer"}, {"do": "set-policy"}, {"do": "challenge"}, {}):
        with pytest.raises(UsageError):
            desk.handle(request, world.now, world.entropy())


def test_an_ended_request_still_shows_what_this_node_thought_of_it() -> None:
    def judge(name: str) -> ScriptedJudge:
        asks = name == "node2"
        return ScriptedJudge(name, lambda subject, said: Decision.ASK if asks else Decision.APPROVE)

    world = World(judges=judge)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    world.run(ms=5_000)
    for restarted in (False, True):
        if restarted:
            for name in ("node0", "node2"):
                world.stop(name)
                world.restart(name)
        for name, decision in (("node0", "approve"), ("node2", "ask")):
            [entry] = listed(
                Table(world, name).say({"do": "find", "prefix": view.subject.request_id.hex()}), "found"
            )
            assert (entry["state"], entry["decision"]) == ("final", decision)
