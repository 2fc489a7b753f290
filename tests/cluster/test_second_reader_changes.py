"""What a second reader found in changes of policy and in people's words: each attack, and that it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from changing import HOUR_MS, OWNER_ALONE, WITH_NODES, ChangingWorld
from company import Company
from policed import kept_policy
from wire import Envelope

from cluster.cli.commands import run
from cluster.codec import Mouth, encode, open_letter
from cluster.journal import WalletKept
from cluster.messages import NO_ID, PROTOCOL_VERSION, Hello, Kind, PolicyRelay, Status
from cluster.party import opened
from cluster.runtime import policies_in_force
from cluster.schemes import SCHEMES
from cluster.storage import DataDir

DAY_MS = 24 * HOUR_MS


# A cooldown that began by a clock which nobody but its owner vouched for.


def proposed_by_a_clock_that_lags(world: ChangingWorld) -> None:
    """The machine was off for three days, and its clock comes back as it was: its owner confirms that, and proposes."""
    world.make_wallet()
    world.stop("node0")
    world.run(ms=1_000)
    world.restart("node0")
    for name in ("node1", "node2"):
        world.stop(name)
    world.confirm_clock()
    world.loosen()
    world.jump(3 * DAY_MS)
    for name in ("node1", "node2"):
        world.restart(name)


def test_peers_who_correct_a_lagging_clock_shorten_no_cooldown() -> None:
    world = ChangingWorld()
    proposed_by_a_clock_that_lags(world)
    world.run(ms=120_000)
    assert not world.watch.judges["node0"].clock_in_doubt
    assert world.limit() == "50_000sat"
    world.wait(DAY_MS + HOUR_MS)
    assert world.limit() == "60_000sat"


def test_a_cooldown_that_peers_corrected_counts_what_they_vouch_for_afterwards() -> None:
    world = ChangingWorld()
    proposed_by_a_clock_that_lags(world)
    world.restart("node0")
    assert not world.pending().sure, "remembered"
    world.run(ms=120_000)
    assert world.limit() == "50_000sat"
    assert world.pending().sure
    world.stop("node0")
    world.advance(DAY_MS + HOUR_MS)
    world.restart("node0")
    assert world.pending().sure, "remembered too"
    assert world.run(lambda: world.limit() == "60_000sat", ms=60_000)


# People.


def told(company: Company, kind: Kind, body: Status | Hello) -> None:
    """The coordinator says this to ann, whatever is true."""
    world, request_id = company.world, company.request_id
    coord, ann = world.seats["coord"].identity, world.seats["ann"].identity.public
    mouth = Mouth(coord, world.roster.cluster_id, world.entropy()[:16])
    signed = mouth.say(kind, ann, body, request_id=request_id, expires_at_ms=world.now.wall_ms + 60_000)
    step = world.person("ann").receive(
        coord.public, signed.letter, signed.signature, world.now, world.entropy()
    )
    world.perform("ann", step)


@pytest.mark.parametrize("yes", [True, False])
def test_that_it_is_signed_already_excuses_no_coordinator_that_held_a_no_back(yes: bool) -> None:
    """Its person was told that all was well, and no node had the no."""
    company = Company()
    world = company.world
    world.person("ann").look(None, world.now, world.entropy())
    assert world.run(lambda: company.request_id in world.person("ann").views)
    world.hook = lambda envelope: [envelope] if envelope.kind is not Kind.PERSON_RELAY else []
    world.says("ann", company.request_id, yes)
    world.run(ms=3_000)
    view = world.person("ann").views[company.request_id]
    assert not view.heard_by_enough
    told(company, Kind.STATUS, Status("final", (), ()))
    assert (view.state, view.kept_by()) == ("final", ())
    assert view.heard_by_enough is yes


def test_a_no_that_two_of_three_nodes_have_stops_it() -> None:
    company = Company()
    company.says("ann", False)
    assert company.world.person("ann").views[company.request_id].heard_by_enough


def test_nothing_is_said_by_a_clock_that_is_ahead() -> None:
    """No node took it, and after that none took anything of this person about this spend, a no neither."""
    company = Company()
    world = company.world
    world.person("ann").look(None, world.now, world.entropy())
    assert world.run(lambda: company.request_id in world.person("ann").views)
    for ahead_ms in (DAY_MS, 0):
        clock_ms = world.now.wall_ms - ahead_ms
        told(company, Kind.HELLO, Hello(PROTOCOL_VERSION, SCHEMES, NO_ID, 0, NO_ID, clock_ms, ()))
        if ahead_ms:
            with pytest.raises(ValueError, match="ahead of the coordinator"):
                world.person("ann").says(company.request_id, False, world.now, world.entropy())
    company.says("ann", False)


# What the coordinator keeps back of announcements.


def test_an_announcement_that_was_held_back_replaces_no_newer_one() -> None:
    """The coordinator showed an old one last, and nobody could cancel the one that was pending any more."""
    world = ChangingWorld(WITH_NODES)
    held: list[Envelope] = []

    def holding(envelope: Envelope) -> list[Envelope]:
        if envelope.kind is Kind.POLICY_RELAY and envelope.addressee == "node1":
            held.append(envelope)
            return []
        return [envelope]

    world.hook = holding
    old = world.loosen(policy=WITH_NODES).terms.id
    world.run(ms=60_000)
    world.hook = lambda envelope: [envelope]
    world.propose_policy("node0", WITH_NODES.replace("50_000sat", "90_000sat"))
    world.run(ms=1_000)
    new = world.pending().terms.id
    assert world.heard("node1").terms.id == new
    change = open_letter(held[0].letter, held[0].signature, world.identity("coord").public)
    assert isinstance(change.body, PolicyRelay)
    again = world.letter(world.identity("coord"), Kind.POLICY_RELAY, change.body, to="node1")
    world.hand_over("node1", world.identity("coord"), again)
    heard = world.node("node1").policies.heard.heard
    assert {i: one.state for i, one in heard.items()} == {old: "replaced", new: "pending"}
    world.restart("node1")
    world.say("node1", new, False)
    assert world.node("node0").policies.own.ended[new].code == "cancelled"


# A profile of one wallet that no longer loads.


def test_a_profile_of_one_wallet_that_no_longer_loads_may_be_replaced_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The node did not start with it, and what replaces it needed a node that runs."""
    monkeypatch.chdir(tmp_path)
    Path("pass").write_text("correct horse\n")
    Path("pass").chmod(0o600)
    Path("alone.yaml").write_text(OWNER_ALONE)
    init = ["init", "--role", "node", "--name", "home", "--datadir", "home", "--kdf-memory", "19"]
    assert run([*init, "--passphrase-file", "pass", "--policy", "alone.yaml"]) == 0
    charter = ChangingWorld().charter()
    set_it = ["policy", "set", "alone.yaml", "--wallet", charter.name, "--datadir", "home"]
    place = DataDir(tmp_path / "home", "regtest")
    for text, code, version in (("", 3, 0), (OWNER_ALONE, 3, 0), ("schema: 9\n", 0, 5)):
        with opened(place, "node") as party:
            if not text:
                party.remember(WalletKept(1, encode(charter), b""), wallet_id=charter.wallet_id)
            else:
                party.remember(kept_policy(text, 1, version=4), wallet_id=charter.wallet_id)
        capsys.readouterr()
        assert run([*set_it, "--passphrase-file", "pass", "--json"]) == code
        out, err = capsys.readouterr()
        if code:
            assert "start it" in err
        else:
            assert json.loads(out)["version"] == version
    with opened(place, "node") as party:
        assert policies_in_force(party)[charter.wallet_id].version == 5
    assert run([*set_it[:3], "--wallet", "none", *set_it[5:], "--passphrase-file", "pass"]) == 3


def test_a_coordinator_that_starts_all_the_time_is_not_told_all_the_time() -> None:
    """Each greeting of two hundred bytes was answered with half a megabyte."""
    world = ChangingWorld()
    world.loosen()
    coord, boots = world.identity("coord"), range(20)
    seen: list[Envelope] = []

    def watching(envelope: Envelope) -> list[Envelope]:
        seen.extend([envelope] if envelope.kind is Kind.POLICY_CHANGE else [])
        return [envelope]

    world.hook = watching
    for after_ms, told_of in ((0, 1), (31_000, 1)):
        world.run(ms=after_ms)
        seen.clear()
        for _ in boots:
            hello = Hello(PROTOCOL_VERSION, SCHEMES, NO_ID, 0, NO_ID, world.now.wall_ms, ())
            world.hand_over("node0", coord, world.letter(coord, Kind.HELLO, hello, to="node0"))
        assert len(seen) == told_of
