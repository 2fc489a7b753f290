"""What an evil party writes so that an audit falls over, or lets a breach pass; none of it helps."""

from __future__ import annotations

import shutil
from dataclasses import replace as changed
from pathlib import Path
from unittest.mock import patch

import pytest
from audits import SEED, audited, files, rewritten
from misdeeds import unknown_nonce
from msgspec.structs import replace
from policed import PolicedWorld
from simulator.seeds import run_in
from spends import RESCUE, sweep
from world import TestIdentity

from cluster.audit.chains import Chain, ChainFile, Entry
from cluster.audit.letters import Letters
from cluster.audit.report import Result
from cluster.audit.run import Run, SpokenFile
from cluster.audit.spending import every_budget
from cluster.cli.audit import _chain, _transcript
from cluster.cli.commands import run
from cluster.client_views import SigningView
from cluster.codec import Mouth, decode, encode, open_inner, open_letter, seal_letter
from cluster.drill_letters import DrillNonces, DrillOrder
from cluster.drill_records import DrillSigned
from cluster.drills import challenge, round_id
from cluster.journal import AnswerKept, RosterKept, note, read
from cluster.judge import PolicyJudge
from cluster.messages import NO_ID, PROTOCOL_VERSION, Hello, Kind, Order, OrderEntry, SignedLetter
from cluster.records import NO_WALLET, Record
from cluster.roster import Roster
from cluster.scheme import Signer
from cluster.schemes import Wallet
from cluster.settings import profile_of_texts
from cluster.transcripts import Frame, frame_bytes, read_transcript

COORD, EVIL = TestIdentity("coord"), TestIdentity("node0")
POLICY = """\
schema: 1
name: audited
network: regtest
limits:
  amount: {sent: unlimited}
  fee: {max_share: unlimited}
  velocity:
    - {window: 24h, sum: 600_000sat}
tiers:
  - {name: all, when: {pays_only: anyone}, then: approve}
"""
RULE = f'rescue: {{to: "script:{RESCUE.hex()}", fee: 20_000sat}}\n'


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    run_in(SEED, place, lies=False)
    return place


@pytest.fixture
def place(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path / "run")
    return tmp_path / "run"


def heard(place: Path, kind: Kind) -> list[Frame]:
    frames = [
        f for file in sorted(place.glob("*.transcript")) for f in read_transcript(file.read_bytes()).frames
    ]
    return [
        f
        for f in frames
        if f.sender == COORD.public and open_letter(f.letter, f.signature, f.sender).header.kind is kind
    ]


def told(place: Path, frame: Frame, signed: SignedLetter) -> None:
    """One letter more stands in somebody's transcript."""
    file = next(place.glob("*.transcript"))
    more = replace(frame, letter=signed.letter, signature=signed.signature)
    file.write_bytes(file.read_bytes() + frame_bytes(more))


def test_letters_within_letters_are_not_followed_without_end() -> None:
    """Each would be read, verified and hashed again inside the one around it: a megabyte took seven seconds."""
    world = PolicedWorld("")
    mouth = Mouth(world.seats["coord"].identity, world.roster.cluster_id, b"evil" * 4)
    hello = Hello(PROTOCOL_VERSION, (), NO_ID, 0, NO_ID, 0, ())
    inner = mouth.say(Kind.HELLO, NO_ID, hello, expires_at_ms=1)
    for _ in range(20):
        order = Order((OrderEntry(inner, SignedLetter(b"", bytes(64))),))
        inner = mouth.say(Kind.ORDER, NO_ID, order, expires_at_ms=1)
    letters = Letters(world.roster)
    letters.take(inner, "here")
    assert (len(letters.orders), letters.worthless, letters.heads) == (1, 1, [])


def test_nobodys_transcript_says_when_another_spoke_last() -> None:
    world = PolicedWorld("")
    coordinator, node = (world.seats[name].identity for name in ("coord", "node0"))
    mouth = Mouth(coordinator, world.roster.cluster_id, b"boot" * 4)
    hello = Hello(PROTOCOL_VERSION, (), NO_ID, 0, NO_ID, 5_000, ())
    said = mouth.say(Kind.HELLO, node.public, hello, expires_at_ms=1)
    frame = Frame(9_000_000, False, coordinator.public, node.public, said.letter, said.signature)
    letters = Letters(world.roster)
    letters.hear("an evil node's", [frame, replace(frame, at_ms=1)])
    assert letters.last_said_ms == {coordinator.public: 5_000}


def test_nobody_brings_a_roster_of_their_own(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def newer(records: list[Record]) -> list[Record]:
        kept = next(body for body in map(read, records) if isinstance(body, RosterKept))
        roster = decode(kept.roster, Roster)
        without = replace(roster, epoch=roster.epoch + 1, nodes=roster.nodes[:1])
        return [*records, note(replace(kept, roster=encode(without)), NO_WALLET)]

    rewritten(place, "node0", newer)
    assert run(["audit", *files(place)]) == 3
    assert "keep two rosters of one cluster" in capsys.readouterr().err


def test_a_nonce_of_a_drill_under_the_record_of_another(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The order for which it claims to have signed was given; but that is not what it signed."""
    world = PolicedWorld("")
    wallets = Run.of(*parts(place), profile_of_texts).wallets
    frame = heard(place, Kind.DRILL_ORDER)[0]
    letter = open_letter(frame.letter, frame.signature, frame.sender)
    order, header = letter.body, letter.header
    assert isinstance(order, DrillOrder)
    other = unknown_nonce(world)
    letters = [open_inner(signed, Kind.DRILL_NONCES) for signed in order.signers]
    forged = tuple(
        seal_letter(one.header, replace(one.body, pubnonces=(other,)), EVIL)
        if one.header.sender == EVIL.public
        else one.signed
        for one in letters
    )
    told(place, frame, seal_letter(header, DrillOrder(order.round, forged), COORD))
    wallet = wallets[header.wallet_id]
    signers = [
        Signer(wallet.charter.participant(one.header.sender) or 0, nonces.pubnonces)
        for one in (open_inner(signed, Kind.DRILL_NONCES) for signed in forged)
        if isinstance(nonces := one.body, DrillNonces)
    ]
    task = challenge(wallet, header.request_id, order.round)
    session_id = wallet.session_id(round_id(header.request_id, order.round), signers, (task,))

    def lied(records: list[Record]) -> list[Record]:
        at, kept = next(
            (i, body)
            for i, body in enumerate(map(read, records))
            if isinstance(body, DrillSigned)
            and (body.drill_id, body.round) == (header.request_id, order.round)
        )
        lie = replace(kept, session_id=session_id, pubnonces=(other,))
        return [*records[:at], note(lie, records[at].wallet_id), *records[at + 1 :]]

    rewritten(place, "node0", lied)
    code, outcomes, said = audited(files(place), capsys)
    assert (code, outcomes["N3"]) == (8, "violated"), said
    assert "answers no order of it" in said


def parts(place: Path) -> tuple[list[ChainFile], list[SpokenFile]]:
    chains = [_chain(file) for file in sorted(place.glob("*.sqlite3"))]
    return chains, [_transcript(file) for file in sorted(place.glob("*.transcript"))]


# What is a rescue.


def budgets(world: PolicedWorld, wallet: Wallet) -> Result:
    """What N4 comes to over the disks of this world's nodes."""
    chains = []
    for name in world.node_names:
        entries = tuple(Entry(i, r.wallet_id, read(r)) for i, r in enumerate(world.seats[name].disk))
        public = world.seats[name].identity.public
        chains.append(Chain(ChainFile(name, ()), public, name, "node", entries, {}, ()))
    whole = {wallet.wallet_id: changed(wallet, complete=True)}
    found = Run(world.roster, tuple(chains), Letters(world.roster), whole, 1, profile_of_texts)
    found._note_requests()
    return every_budget(found)


def sent(world: PolicedWorld, wallet: Wallet, *labels: str) -> list[SigningView]:
    """What leaves where a bug lets judges count nothing."""
    with patch.object(PolicyJudge, "book"):
        views = [world.request(wallet, sweep(wallet, RESCUE, label=label)) for label in labels]
        assert world.run(lambda: all(view.final is not None for view in views))
    return views


def test_what_goes_to_the_rescue_without_a_yes_counts() -> None:
    world = PolicedWorld(POLICY + RULE)
    wallet = world.make_wallet()
    sent(world, wallet, "one")
    assert budgets(world, wallet).outcome == "holds"
    sent(world, wallet, "two")
    assert budgets(world, wallet).outcome == "violated"


def test_one_nodes_word_makes_no_rescue_of_what_the_wallet_spent() -> None:
    world = PolicedWorld("")
    for name in world.node_names:
        world.adopt(name, POLICY + RULE if name == "node0" else POLICY)
    wallet = world.make_wallet()
    world.stop("node2")
    views = sent(world, wallet, *"abcd")
    yes = [AnswerKept(0, v.subject.request_id, v.subject.spend_id, True, 0, False) for v in views]
    disk = world.seats["node0"].disk
    disk[:] = [note(one, wallet.wallet_id) for one in yes] + disk
    said = [finding.text for finding in budgets(world, wallet).findings]
    assert any("its nodes together signed beyond" in text for text in said), said
