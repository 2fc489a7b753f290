"""Evidence: what proves guilt proves it alone, and no file convicts an honest party, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import pytest
from click.testing import CliRunner
from evil import resigned
from hypothesis import given, settings
from hypothesis import strategies as st
from misdeeds import OBSTRUCTIVE, Bad, foreign_nonces, lies, rubbish_nonces
from spends import payment
from wire import Envelope
from world import World

from cluster.backup import Backup, backup_of
from cluster.cli.commands import _assent, run
from cluster.client_views import SigningView
from cluster.codec import encode, open_inner, seal_letter
from cluster.effects import Outgoing
from cluster.evidence import FORKED, Evidence, NotProven, prove
from cluster.evidence_file import EvidenceError, read_evidence, write_evidence
from cluster.journal import ComplaintKept, read
from cluster.messages import Kind, OrderEntry, SignedLetter
from cluster.owner_evidence import EvidenceDesk, Held
from cluster.roster_file import write_roster_file
from cluster.schemes import Wallet

replace = msgspec.structs.replace


class Trial:
    """A wallet, one request in which somebody misbehaves, and every letter that was said."""

    def __init__(self, deeds: dict[str, object], *, t: int = 2, n: int = 3) -> None:
        self.world = World(t, n)
        self.wallet: Wallet = self.world.make_wallet()
        self.said: list[Outgoing] = []
        self.bad = Bad(self.world, deeds)  # type: ignore[arg-type]
        self.world.hook = self.hook
        self.view: SigningView = self.world.request(self.wallet, payment(self.wallet, coins=1))
        self.world.run(lambda: self.view.final is not None, ms=60_000)
        self.world.run(ms=500)

    def hook(self, envelope: Envelope) -> Iterable[Envelope]:
        kept = list(self.bad(envelope))
        public = self.world.seats[envelope.addressee].identity.public
        self.said += [Outgoing(public, one.letter, one.signature) for one in kept]
        return kept

    def letters(self, *kinds: Kind) -> list[SignedLetter]:
        """All letters of these kinds that were said of the request."""
        found = [SignedLetter(one.letter, one.signature) for one in self.said]
        return [one for one in dict.fromkeys(found) if open_inner(one, *Kind).header.kind in kinds]

    @property
    def backup(self) -> Backup:
        making = next(iter(self.world.coordinator.keygen.makings.values()))
        acks = tuple(making.acks[i] for i in range(making.charter.n))
        return backup_of(encode(self.world.roster), self.wallet, making.exact, acks)

    def desk(self, name: str) -> EvidenceDesk:
        """What a machine's owner is shown."""
        held = Held(self.wallet, self.backup)
        return EvidenceDesk(lambda: self.world.seats[name].disk, self.world.roster, lambda wallet_id: held)

    def exported(self, name: str = "coord") -> list[Evidence]:
        """Everything that a machine holds letters of."""
        listed = self.desk(name).handle({})["evidence"]
        assert isinstance(listed, list)
        files = [self.desk(name).handle({"id": one["id"]})["file"] for one in listed]
        return [read_evidence(str(file).encode()) for file in files]

    def evidence(self, kind: str, *letters: SignedLetter) -> Evidence:
        return Evidence(kind, self.backup, 0, 0, (self.view.request, *letters))


@pytest.mark.parametrize("deed", [lies, rubbish_nonces, foreign_nonces], ids=lambda deed: deed.__name__)
def test_what_a_node_signed_convicts_it_and_nobody_else(deed: object) -> None:
    trial = Trial({"node1": deed})
    [evidence] = trial.exported()
    finding = prove(evidence)
    assert (finding.name, finding.role) == ("node1", "node")
    again = read_evidence(write_evidence(evidence, "node1"))
    assert again == evidence


def test_wrong_counts_and_two_answers_convict() -> None:
    def too_many(world: World, envelope: Envelope, seen: object) -> list[Envelope]:
        if envelope.kind is Kind.PARTIAL_SIGNATURES:
            return [resigned(world, envelope, psigs=(b"\x01" * 32,) * 3)]
        return [envelope]

    def twice(world: World, envelope: Envelope, seen: object) -> list[Envelope]:
        if envelope.kind is not Kind.PARTIAL_SIGNATURES:
            return [envelope]
        seat = world.seats[envelope.sender]
        letter = open_inner(SignedLetter(envelope.letter, envelope.signature), *Kind)
        header = replace(letter.header, sequence=letter.header.sequence + 1)
        second = seal_letter(header, replace(letter.body, psigs=(b"\x02" * 32,)), seat.identity)
        return [envelope, Envelope(envelope.sender, "coord", second.letter, second.signature, 2)]

    for deed, code in ((too_many, "psig-count"), (twice, "psig-twice")):
        [evidence] = Trial({"node1": deed}).exported()
        assert evidence.kind == code
        assert prove(evidence).name == "node1"


@pytest.mark.parametrize("deed", OBSTRUCTIVE, ids=lambda deed: deed.__name__)
def test_silence_and_lateness_leave_nothing_to_export(deed: object) -> None:
    trial = Trial({"node1": deed})
    assert trial.exported() == []


def test_an_order_with_an_altered_entry_convicts_the_coordinator() -> None:
    """The node keeps the order, and its owner can show it to anybody."""

    class Lying(Trial):
        def hook(self, envelope: Envelope) -> Iterable[Envelope]:
            if envelope.kind is Kind.ORDER and envelope.addressee == "node0":
                body = open_inner(SignedLetter(envelope.letter, envelope.signature), *Kind).body
                first, second = body.entries  # type: ignore[union-attr]
                bad = SignedLetter(first.nonces.letter, bytes(64))
                return [resigned(self.world, envelope, entries=(OrderEntry(first.verdict, bad), second))]
            return super().hook(envelope)

    trial = Lying({})
    evidence = next(one for one in trial.exported("node0") if one.kind == "order-false")
    finding = prove(evidence)
    assert (finding.name, finding.role) == ("coord", "coordinator")


def test_an_end_that_finishes_nothing_convicts_the_coordinator() -> None:
    class Lying(Trial):
        def hook(self, envelope: Envelope) -> Iterable[Envelope]:
            if envelope.kind is Kind.FINAL and envelope.addressee == "node0":
                return [resigned(self.world, envelope, transaction=b"\x02\x00")]
            return super().hook(envelope)

    [evidence] = Lying({}).exported("node0")
    finding = prove(evidence)
    assert (finding.name, evidence.kind) == ("coord", "final-false")


def test_records_that_fork_convict_and_those_that_grow_do_not() -> None:
    """A node restored from an older copy of its disk says two things of one height; whoever has both can show it."""
    world = World()
    wallet = world.make_wallet()
    world.run(ms=12_000)
    seat = world.seats["node0"]
    older = list(seat.disk)
    for _ in range(2):
        world.stop("node0")
        world.restart("node0")
        world.run(ms=12_000)
    world.stop("node0")
    seat.disk = older
    world.restart("node0")
    world.run(ms=40_000)
    making = next(iter(world.coordinator.keygen.makings.values()))
    acks = tuple(making.acks[i] for i in range(3))
    held = Held(wallet, backup_of(encode(world.roster), wallet, making.exact, acks))

    def statements(*names: str) -> list[SignedLetter]:
        said = [SignedLetter(one.letter, one.signature) for name in names for one in world.seats[name].said]
        kinds = {Kind.HEARTBEAT, Kind.VERDICT}
        return [one for one in dict.fromkeys(said) if open_inner(one, *Kind).header.kind in kinds]

    def verdicts(letters: list[SignedLetter]) -> set[str]:
        pairs = [(one, two) for one in letters for two in letters if one != two]
        return {convicts(Evidence(FORKED, held.backup, 0, 0, pair)) for pair in pairs}

    assert verdicts(statements("node0")) == {"", "node0"}
    assert verdicts(statements("node1", "node2")[-60:]) == {""}
    for name in ("node1", "node2"):
        desk = EvidenceDesk(lambda: world.seats[name].disk, world.roster, lambda wallet_id: held)  # noqa: B023
        listed = desk.handle({})["evidence"]
        assert isinstance(listed, list)
        assert listed
        for one in listed:
            proof = read_evidence(str(desk.handle({"id": one["id"]})["file"]).encode())
            assert (proof.kind, convicts(proof)) == (FORKED, "node0")


@pytest.fixture(scope="module")
def honest() -> Trial:
    return Trial({})


@pytest.fixture(scope="module")
def other() -> Trial:
    """The same parties, another wallet's worth of letters: another request, another session."""
    return Trial({"node2": lies})


KINDS = (
    "psig-invalid",
    "psig-count",
    "psig-twice",
    "nonces-invalid",
    "order-false",
    "final-false",
    "records-forked",
    "unknown",
)


def convicts(evidence: Evidence) -> str:
    try:
        return prove(evidence).name
    except NotProven:
        return ""


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_mixture_of_honest_letters_convicts_anybody(honest: Trial, data: st.DataObject) -> None:
    kinds = (
        Kind.PARTIAL_SIGNATURES,
        Kind.NONCES,
        Kind.VERDICT,
        Kind.ORDER,
        Kind.FINAL,
        Kind.STATUS,
        Kind.REQUEST,
    )
    pool = honest.letters(*kinds)
    chosen = data.draw(st.lists(st.sampled_from(pool), max_size=8))
    kind = data.draw(st.sampled_from(KINDS))
    assert convicts(honest.evidence(kind, *chosen)) == ""
    assert convicts(replace(honest.evidence(kind), letters=tuple(chosen))) == ""


def test_letters_of_two_requests_do_not_mix(honest: Trial) -> None:
    """Everything that two honest sessions said, under one request: nobody is convicted."""
    world = honest.world
    view = world.request(honest.wallet, payment(honest.wallet, label="second"))
    assert world.run(lambda: view.final is not None)
    both = honest.letters(Kind.PARTIAL_SIGNATURES, Kind.NONCES, Kind.ORDER, Kind.FINAL)
    for request in (honest.view.request, view.request):
        for kind in KINDS:
            for one in both:
                assert convicts(Evidence(kind, honest.backup, 0, 0, (request, one))) == ""
            assert convicts(Evidence(kind, honest.backup, 0, 0, (request, *both))) == ""


def test_a_lie_is_no_proof_against_anybody_else_and_with_altered_letters_no_proof_at_all(
    other: Trial,
) -> None:
    [evidence] = other.exported()
    assert convicts(evidence) == "node2"
    for place in range(len(evidence.letters)):
        without = (*evidence.letters[:place], *evidence.letters[place + 1 :])
        assert convicts(replace(evidence, letters=without)) in {"", "node2"}
        letter = evidence.letters[place]
        for at in (0, 40, 120, len(letter.letter) - 1):
            flipped = bytearray(letter.letter)
            flipped[at] ^= 1
            changed = SignedLetter(bytes(flipped), letter.signature)
            swapped = (*evidence.letters[:place], changed, *evidence.letters[place + 1 :])
            assert convicts(replace(evidence, letters=swapped)) == ""


def test_another_wallet_roster_or_charter_is_no_proof(other: Trial, honest: Trial) -> None:
    [evidence] = other.exported()
    backup = evidence.wallet
    charter = other.wallet.charter
    wrong = (
        replace(backup, acks=()),
        replace(backup, acks=(backup.acks[1], backup.acks[0], backup.acks[2])),
        replace(backup, charter=encode(replace(charter, name="another"))),
        replace(backup, charter=encode(replace(charter, t=1))),
        replace(backup, charter=encode(replace(charter, members=charter.members[::-1]))),
        replace(backup, charter=b""),
        replace(backup, roster=b""),
        replace(backup, recovery_data=backup.recovery_data[:-1]),
        replace(backup, recovery_data=backup.recovery_data[:50] + b"\x00" + backup.recovery_data[51:]),
    )
    for one in wrong:
        assert convicts(replace(evidence, wallet=one)) == ""


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_file_crashes_the_reader(other: Trial, data: st.DataObject) -> None:
    [evidence] = other.exported()
    file = bytearray(write_evidence(evidence, "node2"))
    for _ in range(data.draw(st.integers(0, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(32, 126))
    cut = bytes(file[: data.draw(st.integers(0, len(file)))]) if data.draw(st.booleans()) else bytes(file)
    try:
        read_back = read_evidence(cut)
    except EvidenceError:
        return
    assert convicts(read_back) in {"", "node2"}


def test_verify_at_the_command_line(other: Trial, tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("cluster.roster.WORDS_MEMORY_BYTES", 8 * 1024 * 1024)
    [evidence] = other.exported()
    file = tmp_path / "proof.json"
    file.write_bytes(write_evidence(evidence, "node2"))
    assert run(["evidence", "verify", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["holds"], facts["culprit"], len(facts["roster_words"])) == (True, "node2", 12)
    roster = tmp_path / "roster.json"
    roster.write_bytes(write_roster_file(other.world.roster))
    assert run(["evidence", "verify", str(file), "--roster", str(roster)]) == 0
    strange = replace(other.world.roster, epoch=2)
    roster.unlink()
    roster.write_bytes(write_roster_file(strange))
    assert run(["evidence", "verify", str(file), "--roster", str(roster)]) == 7
    file.write_bytes(write_evidence(replace(evidence, kind="psig-count"), "node2"))
    assert run(["evidence", "verify", str(file)]) == 7
    assert "not proven" in capsys.readouterr().err
    for bad in (b"", b"{}", b"[" * 100_000, b"\xff" * 100, json.dumps({"format": "x"}).encode()):
        file.write_bytes(bad)
        assert run(["evidence", "verify", str(file)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert run(["evidence", "verify", str(tmp_path / "none.json")]) == 2
    assert CliRunner().invoke(_assent, ["evidence", "verify", "--help"]).exit_code == 0


def test_what_is_held_is_bounded_and_each_is_written_once() -> None:
    trial = Trial({"node1": lies})
    coordinator = trial.world.seats["coord"]
    kept = [read(record) for record in coordinator.disk]
    written = [entry for entry in kept if isinstance(entry, ComplaintKept)]
    assert len(written) == 1
    psig = trial.letters(Kind.PARTIAL_SIGNATURES)
    for _ in range(20):
        for one in psig:
            sender = open_inner(one, *Kind).header.sender
            name = trial.world._by_key[sender]
            trial.world.deliver(Envelope(name, "coord", one.letter, one.signature))
    assert len([record for record in coordinator.disk if record.kind == "complaint"]) == 1
