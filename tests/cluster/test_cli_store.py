"""`assent store` and `assent recover --from-store`, in process, over both kinds of stores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mirrored import WALLET, copied, put_back
from state_stores import KINDS
from vss_double import vss_double

from cluster.charter import Charter, CharterMember
from cluster.cli.commands import run
from cluster.codec import encode
from cluster.journal import FrozenKept, WalletKept, note
from cluster.mirroring import open_store
from cluster.party import opened, read_config, unseal_seed
from cluster.records import Head, Record
from cluster.state_store import StateStore, StoreUnavailable
from cluster.storage import Anchor, DataDir, Store

PASS = ("--passphrase-file", "pass")
NODE = DataDir(Path("node"), "regtest")
MANY = 900


@dataclass
class Said:
    """How a command ended."""

    code: int
    facts: dict[str, object]
    talk: str

    @property
    def finding(self) -> str:
        found = self.facts["finding"]
        assert isinstance(found, dict)
        return str(found["code"])


class Owner:
    """One node's owner, with a store of one kind."""

    def __init__(self, where: str, section: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.where = where
        self._capsys = capsys
        file = NODE.config_file
        file.write_text(file.read_text() + "state_store:\n" + section)

    def do(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = run([*words, *PASS, "--json"])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        return Said(code, json.loads(out), err)

    def store(self) -> StateStore:
        place = read_config(NODE).state_store
        assert place is not None
        return open_store(place, unseal_seed(NODE, b"correct horse").keys("regtest"))


def init(name: str, role: str, *more: str) -> None:
    words = ["init", "--role", role, "--name", name, "--datadir", name, "--kdf-memory", "19", *PASS, *more]
    assert run(words) == 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node with an accepted roster and some records of its own."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "pass").write_text("correct horse\n")
        (folder / "pass").chmod(0o600)
        init("node", "node")
        init("other", "node")
        init("relay", "coordinator", "--listen", "tcp://127.0.0.1:1")
        init("laptop", "client")
        parts = [str(path) for path in sorted(folder.glob("*/regtest/public.json"))]
        assert run(["roster", "build", "--out", "roster.json", *parts]) == 0
        assert run(["roster", "accept", "roster.json", "--yes", "--datadir", "node"]) == 0
        words = unseal_seed(NODE, b"correct horse").words()
        (folder / "words").write_text(" ".join(words))
        (folder / "words").chmod(0o600)
        with opened(NODE, "node") as party:
            party.store.append([note(FrozenKept(i, f"why {i}"), WALLET) for i in range(MANY)])
    return folder


@pytest.fixture(params=KINDS)
def owner(
    request: pytest.FixtureRequest,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Owner]:
    home = tmp_path / "home"
    shutil.copytree(prepared, home)
    monkeypatch.chdir(home)
    if request.param == "directory":
        (home / "store").mkdir()
        yield Owner(str(home / "store"), f"  path: {home / 'store'}\n", capsys)
        return
    with vss_double() as double:
        yield Owner(double.url, f"  kind: vss\n  url: {double.url}\n", capsys)


def records(datadir: str = "node") -> list[Record]:
    with Store.open(DataDir(Path(datadir), "regtest").database) as store:
        return list(store.read())


def recover(owner: Owner, *more: str, words: str = "words", to: str = "new") -> Said:
    source = ("--from-store", owner.where, "--words-file", words)
    return owner.do("recover", *source, "--kdf-memory", "19", "--datadir", to, *more)


def test_a_store_is_written_checked_shown_and_brings_the_node_back(owner: Owner) -> None:
    empty = owner.do("store", "check", "--datadir", "node")
    assert (empty.code, empty.facts["good"], empty.facts["behind"]) == (0, True, MANY + 1)
    assert owner.do("store", "renew", "--datadir", "node").facts["records"] == MANY + 1
    good = owner.do("store", "check", "--datadir", "node")
    assert (good.code, good.facts["good"], good.facts["behind"], good.facts["records"]) == (
        0,
        True,
        0,
        MANY + 1,
    )
    shown = owner.do("store", "show", "--datadir", "node").facts
    assert (shown["records"], shown["head"], shown["where"]) == (MANY + 1, good.facts["head"], owner.where)
    assert isinstance(shown["objects"], int)
    assert shown["objects"] > 2
    done = recover(owner, "--next-receive", "7")
    assert (done.code, done.facts["name"], done.facts["budgets"]) == (0, "node", "unproven")
    assert records("new") == records()
    again = owner.do("store", "check", "--datadir", "new")
    assert (again.facts["good"], again.facts["behind"]) == (True, 0)
    assert read_config(DataDir(Path("new"), "regtest")).state_store == read_config(NODE).state_store


def test_renewing_again_leaves_no_old_object_behind(owner: Owner) -> None:
    owner.do("store", "renew", "--datadir", "node")
    before = owner.do("store", "show", "--datadir", "node").facts
    owner.do("store", "renew", "--datadir", "node")
    after = owner.do("store", "show", "--datadir", "node").facts
    assert (after["objects"], after["head"]) == (before["objects"], before["head"])
    assert after["head_version"] > before["head_version"]  # type: ignore[operator]


def test_a_check_names_what_is_wrong_and_renewing_mends_it(owner: Owner) -> None:
    owner.do("store", "renew", "--datadir", "node")
    store = owner.store()
    whole = copied(store)
    first = min(whole, key=lambda key: len(whole[key].value))
    assert len(whole) > 2
    for name, objects in (
        ("store-empty", {}),
        ("store-damaged", {key: item for key, item in whole.items() if key != first}),
    ):
        put_back(store, objects)
        bad = owner.do("store", "check", "--datadir", "node")
        assert (bad.code, bad.finding) == (3, name)
        assert f"{name}: state store {owner.where}" in bad.talk
        assert owner.do("store", "renew", "--datadir", "node").code == 0
        assert owner.do("store", "check", "--datadir", "node").facts["good"] is True
    store.close()


def test_a_disk_that_is_old_is_told_and_not_written_over_its_store(owner: Owner) -> None:
    shutil.copytree("node", "old")
    with opened(NODE, "node") as party:
        party.store.append([note(FrozenKept(1, "later"), WALLET)])
    owner.do("store", "renew", "--datadir", "node")
    shutil.copy("node/regtest/config.yaml", "old/regtest/config.yaml")
    assert owner.do("store", "check", "--datadir", "old").finding == "store-ahead"
    refused = owner.do("store", "renew", "--datadir", "old")
    assert (refused.code, "store-ahead" in refused.talk) == (3, True)
    assert owner.do("store", "check", "--datadir", "node").facts["good"] is True


def test_a_false_store_brings_nothing_back(owner: Owner) -> None:
    assert recover(owner).code == 3
    owner.do("store", "renew", "--datadir", "node")
    store = owner.store()
    whole = copied(store)
    largest = max(whole, key=lambda key: len(whole[key].value))
    kept = whole[largest]
    put_back(store, {**whole, largest: type(kept)(largest, kept.version, kept.value[:-1] + b"!")})
    bad = recover(owner)
    assert (bad.code, "store-damaged" in bad.talk) == (3, True)
    store.close()
    assert not Path("new").exists()
    other = " ".join(unseal_seed(DataDir(Path("other"), "regtest"), b"correct horse").words())
    Path("others").write_text(other)
    Path("others").chmod(0o600)
    strange = recover(owner, words="others")
    assert (strange.code, "store-empty" in strange.talk) == (3, True)
    assert not Path("new").exists()


def test_an_anchor_that_knows_of_more_refuses_the_store(owner: Owner) -> None:
    owner.do("store", "renew", "--datadir", "node")
    keys = unseal_seed(NODE, b"correct horse").keys("regtest")
    with opened(NODE, "node") as party:
        head = party.store.head
    Path("anchor").touch()
    assert "damaged" in recover(owner, "--anchor", "anchor").talk
    Anchor(Path("anchor"), keys.anchor_key()).write(Head(head.height + 1, b"h" * 32), 0)
    old = recover(owner, "--anchor", "anchor")
    assert (old.code, "the store is old" in old.talk) == (3, True)
    assert not Path("new").exists()
    Anchor(Path("anchor"), keys.anchor_key()).write(head, 0)
    assert recover(owner, "--anchor", "anchor").code == 0
    assert read_config(DataDir(Path("new"), "regtest")).anchor == str(Path("anchor").absolute())


def test_a_wallet_of_one_comes_back_with_its_budgets_used_up(owner: Owner) -> None:
    """Nobody else could say that records are missing."""
    member = CharterMember(b"i" * 32, b"\x02" * 33, b"\x02" * 33)
    charter = Charter(1, "regtest", bytes(32), WALLET, "lone", "musig2", "1", 0, 1, (member,))
    with opened(NODE, "node") as party:
        party.store.append([note(WalletKept(1, encode(charter), b"sealed"), WALLET)])
    owner.do("store", "renew", "--datadir", "node")
    done = recover(owner, "--next-receive", "7")
    assert (done.facts["budgets"], done.facts["wallets"]) == ("exhausted", ["lone"])
    assert records("new")[: MANY + 2] == records()
    assert [record.kind for record in records("new")[MANY + 2 :]] == ["recovered", "used"]
    assert "nobody who could vouch" in done.talk
    assert "peers have vouched" not in done.talk


def test_a_wallet_of_one_beside_others_is_told_of_its_peers_too(owner: Owner) -> None:
    members = [CharterMember(bytes([i]) * 32, b"\x02" * 33, b"\x02" * 33) for i in range(3)]
    for index, count in enumerate((1, 3)):
        wallet_id = bytes([index + 1]) * 32
        charter = Charter(
            1, "regtest", bytes(32), wallet_id, f"w{index}", "musig2", "1", 0, count, tuple(members[:count])
        )
        with opened(NODE, "node") as party:
            party.store.append([note(WalletKept(1, encode(charter), b"sealed"), wallet_id)])
    owner.do("store", "renew", "--datadir", "node")
    done = recover(owner)
    assert done.facts["budgets"] == "exhausted"
    assert "nobody who could vouch" in done.talk
    assert "peers have vouched" in done.talk


def test_a_store_that_goes_away_while_it_is_read_leaves_nothing_half_made(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.do("store", "renew", "--datadir", "node")
    append = Store.append

    def gone(store: Store, batch: tuple[Record, ...]) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(Store, "append", gone)
    assert recover(owner).code == 7
    monkeypatch.setattr(Store, "append", append)
    assert recover(owner).code == 0
    assert records("new") == records()


def test_a_node_comes_back_only_into_an_empty_place_and_under_its_own_name(owner: Owner) -> None:
    owner.do("store", "renew", "--datadir", "node")
    before = records()
    assert recover(owner, to="node").code == 3
    assert records() == before
    wrong = recover(owner, "--name", "other")
    assert (wrong.code, "node node" in wrong.talk) == (2, True)
    assert not Path("new").exists()
    on_signet = recover(owner, "--network", "signet")
    assert (on_signet.code, "signet" in on_signet.talk) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["store", "show", "--datadir", "other"], 3, "names no `state_store:`"),
        (["store", "show", "--datadir", "relay"], 3, "names no `state_store:`"),
        (["recover", "--name", "x"], 2, "--from-store"),
        (["recover", "--from-store", "s", "--backup", "b"], 2, "either"),
        (["recover", "--backup", "b"], 2, "--name"),
        (["recover", "--backup", "b", "--name", "x", "--anchor", "a"], 2, "write the full path of a file"),
        (["recover", "--role", "coordinator", "--name", "x", "--from-store", "s"], 2, "no state store"),
        (["recover", "--from-store", "http://store.example/vss"], 2, "write https"),
        (["recover", "--from-store", "s", "--store-id", "a/b"], 2, "--store-id"),
        (["recover", "--from-store", "s", "--store-token-file", "t"], 2, "for a server"),
        (["recover", "--from-store", "absent", "--words-file", "words"], 7, "mounted"),
        (["recover", "--from-store", "http://127.0.0.1:1/vss", "--words-file", "words"], 7, "nobody listens"),
        (["recover", "--from-store", "store", "--words-file", "pass"], 2, "24 are needed"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("XDG_DATA_HOME", str(prepared / "xdg"))
    before = sorted(prepared.rglob("*"))
    capsys.readouterr()
    assert run([*words, *PASS]) == code
    err = capsys.readouterr().err
    assert says in err
    assert sum(line.startswith("assent: ") for line in err.splitlines()) == 1
    assert sorted(prepared.rglob("*")) == before


def test_no_key_of_the_store_is_the_seeds_own(prepared: Path) -> None:
    keys = unseal_seed(DataDir(prepared / "node", "regtest"), b"correct horse").keys("regtest")
    made = {keys.state_store_key(purpose) for purpose in ("sealing", "naming", "login")}
    assert len(made | {keys.sealing_key()}) == 4
