"""The command in process: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from cluster.cli.commands import run
from cluster.cli.output import foreign
from cluster.errors import StateError, WrongPassphrase
from cluster.heads import Anchored
from cluster.party import opened, unseal_seed
from cluster.records import Head
from cluster.storage import Anchor, DataDir


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {"pass": "correct horse\n", "bad": "wrong\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


PASS = ("--passphrase-file", "pass")


def init(name: str, role: str = "node", *more: str) -> int:
    return run(
        ["init", "--role", role, "--name", name, "--datadir", name, "--kdf-memory", "19", *PASS, *more]
    )


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of the failure."""
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("assent: ")]
    assert len(lines) == 1, err
    return lines[0]


def test_init_makes_a_private_directory_and_shows_the_words_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init("home", "node", "--json") == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert facts["role"] == "node"
    assert Path(facts["public_part"]).exists()
    place = DataDir(home / "home", "regtest")
    seed = unseal_seed(place, b"correct horse")
    words = seed.words()
    assert all(f"{at}. {word}" in err for at, word in enumerate(words, 1))
    assert not any(f" {word} " in out for word in words)
    for path in place.path.rglob("*"):
        if path.is_file():
            assert " ".join(words).encode() not in path.read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) in {0o600, 0o644}
    with opened(place, "node") as party:
        assert party.config.name == "home"
        assert list(party.records) == []
        assert party.keys(seed).identity().public.hex() == facts["identity"]
    with pytest.raises(WrongPassphrase):
        unseal_seed(place, b"wrong")


def test_init_touches_nothing_that_is_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("home") == 0
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert init("home") == 3
    assert "nothing was changed" in error_of(capsys)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_an_anchor_is_made_with_the_node_and_stands_in_its_config(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = home / 'the "other" disk'
    other.mkdir(mode=0o755)
    file = other / "home.anchor"
    assert init("home", "node", "--anchor", str(file), "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["anchor"] == str(file)
    assert "on the disk of its data directory" in err
    place = DataDir(home / "home", "regtest")
    with opened(place, "node") as party:
        assert party.config.anchor == str(file)
        keys = party.keys(unseal_seed(place, b"correct horse"))
        assert Anchor(file, keys.anchor_key()).read() == Anchored(Head(), 0, "")
    assert init("phone", "node", "--anchor", str(file)) == 3  # another node's
    assert "an anchor of its own" in error_of(capsys)
    assert not (home / "phone").exists()


def test_an_anchor_is_not_inside_its_node_and_goes_when_the_node_is_not_made(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert init("home", "node", "--anchor", str(home / "home" / "regtest" / "a")) == 2
    assert "inside the data directory" in error_of(capsys)
    (home / "other").mkdir(mode=0o700)

    def full(*_: object, **__: object) -> None:
        raise StateError("full")

    monkeypatch.setattr("cluster.cli.setup.make_datadir", full)
    assert init("home", "node", "--anchor", str(home / "other" / "a")) == 3
    assert "full" in error_of(capsys)
    assert list((home / "other").iterdir()) == []


def test_a_node_without_an_anchor_is_told_what_one_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("home") == 0
    assert "It has no anchor, a small file" in capsys.readouterr().err
    assert init("laptop", "client") == 0
    assert "no anchor" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["init", "--role", "node", "--name", "Home"], 2, "a name is"),
        (["init", "--role", "node", "--name", "n\x1b[2J"], 2, "\\x1b[2J"),
        (["init", "--role", "king", "--name", "home"], 2, "--role"),
        (["init", "--role", "coordinator", "--name", "relay"], 2, "--listen"),
        (["init", "--role", "coordinator", "--name", "relay", "--listen", "relay:1"], 3, "tcp://"),
        (
            ["init", "--role", "client", "--name", "c", "--listen", "tcp://127.0.0.1:1"],
            2,
            "only a coordinator",
        ),
        (["init", "--role", "client", "--name", "c", "--policy", "p"], 2, "only a node"),
        (["init", "--role", "client", "--name", "c", "--quorum-role", "p"], 2, "role in a quorum"),
        (["init", "--role", "person", "--name", "c", "--quorum-role", "p"], 2, "--person-role"),
        (["init", "--role", "node", "--name", "c", "--person-role", "p"], 2, "--role person"),
        (["init", "--role", "person", "--name", "c", "--person-role", "P"], 2, "a name is"),
        (["init", "--role", "person", "--name", "c", *["--person-role", "p"] * 2], 2, "each role once"),
        (["init", "--role", "person", "--name", "c", "--person", "ann"], 2, "--role client"),
        (["init", "--role", "client", "--name", "c", "--person", "Ann"], 2, "a name is"),
        (["init", "--role", "node", "--name", "c", "--kdf-memory", "18"], 2, "between 19"),
        (["init", "--role", "node", "--name", "c", "--policy", "missing.yaml"], 3, "missing.yaml"),
        (["init", "--role", "node", "--name", "c"], 2, "--passphrase-file"),
        (["init", "--role", "node", "--name", "c", "--passphrase-file", "none"], 3, "none"),
        (["init", "--role", "node", "--name", "c", "--passphrase-fd", "77"], 2, "--passphrase-fd 77"),
        (["init", "--role", "client", "--name", "c", "--anchor", "/a/b"], 2, "--role node"),
        (["init", "--role", "node", "--name", "c", "--anchor", "a/b"], 2, "the full path"),
        (["init", "--role", "node", "--name", "c", "--anchor", "/a\n/b"], 2, "the full path"),
        (["init", "--role", "node", "--name", "c", "--anchor", "/absent/c.anchor"], 3, "/absent: no such"),
        (["init", "--role", "node", "--name", "c", "--anchor", "/dev/null/c.anchor"], 3, "not a directory"),
        (["init", "--role", "node", "--name", "c", "--anchor", "/dev/null"], 3, "of its own"),
        (["init", "--role", "node", "--name", "c", "--anchor", "/tmp/no-such.anchor"], 3, "chmod go-w"),
        (["init", "--role", "node", "--name", "c", "--anchor", "/proc/c.anchor", *PASS], 3, "/proc"),
        (["frobnicate"], 2, "frobnicate"),
        (["status"], 3, "assent init"),
        (["status", "--frob"], 2, "--frob"),
        (["roster", "build", "--out", "r", "pass"], 3, "not a public part"),
        (["roster", "show", "pass"], 3, "not a roster"),
        (["roster", "show", "absent"], 3, "absent"),
        (["sign", "absent.psbt"], 2, "absent.psbt"),
        (["sign", "pass"], 2, "not a PSBT"),
        (["sign", "pass", "--timeout", "10"], 2, "--timeout"),
        (["sign", "pass", "--expires", "0h"], 2, "--expires"),
        (["recover", "--backup", "pass", "--name", "home"], 3, "not a backup"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "xdg"))
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    before = sorted(home.rglob("*"))
    assert run(arguments) == code
    assert said in error_of(capsys)
    assert sorted(home.rglob("*")) == before
    assert run([*arguments, "--json"]) == code
    out = capsys.readouterr().out
    assert json.loads(out)["error"]["exit_code"] == code
    assert sorted(home.rglob("*")) == before


def three(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("one") == 0
    assert init("relay", "coordinator", "--listen", "tcp://127.0.0.1:1") == 0
    assert init("laptop", "client") == 0
    parts = [str(path) for path in sorted(home.glob("*/regtest/public.json"))]
    assert run(["roster", "build", "--out", "roster.json", *parts]) == 0
    capsys.readouterr()


def test_a_roster_is_built_shown_accepted_once_and_never_changed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three(home, capsys)
    assert run(["roster", "show", "roster.json", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["words"]) == 12
    assert [node["name"] for node in shown["nodes"]] == ["one"]
    assert run(["roster", "accept", "roster.json", "--yes", "--datadir", "one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == shown["words"]
    assert run(["roster", "accept", "roster.json", "--yes", "--datadir", "one"]) == 0
    with opened(DataDir(home / "one", "regtest")) as party:
        assert [record.kind for record in party.records] == ["roster"]
    parts = [str(path) for path in sorted(home.glob("*/regtest/public.json"))]
    assert run(["roster", "build", "--out", "other.json", *parts]) == 0
    capsys.readouterr()
    assert run(["roster", "accept", "other.json", "--yes", "--datadir", "one"]) == 3
    assert "new epoch" in error_of(capsys)
    assert run(["roster", "build", "--out", "roster.json", *parts]) == 3
    assert "not overwritten" in error_of(capsys)


def test_a_roster_without_this_party_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three(home, capsys)
    assert init("stranger") == 0
    capsys.readouterr()
    assert run(["roster", "accept", "roster.json", "--yes", "--datadir", "stranger"]) == 3
    assert "stranger is not in the roster" in error_of(capsys)


def test_what_needs_something_first_says_what(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three(home, capsys)
    cases = [
        (["node", "run", "--datadir", "one", *PASS], 3, "assent roster accept"),
        (["node", "run", "--datadir", "laptop", *PASS], 3, "a client's data directory"),
        (["coordinator", "run", "--datadir", "one", *PASS], 3, "a node's data directory"),
        (["keygen", "--name", "w", "--threshold", "1", "--datadir", "one", *PASS], 3, "for a client"),
        (
            ["keygen", "--name", "w", "--threshold", "1", "--datadir", "laptop", *PASS],
            3,
            "assent roster accept",
        ),
        (["pending", "--datadir", "one"], 3, "no Assent process runs here"),
        (["approve", "0123456789", "--datadir", "one", *PASS], 3, "no Assent process runs here"),
        (["refuse", "0123456789", "--datadir", "one"], 3, "no Assent process runs here"),
        (["pending", "--datadir", "laptop"], 3, "a client's data directory"),
        (["address", "--datadir", "laptop"], 3, "no finished wallet"),
        (["descriptor", "--wallet", "w", "--datadir", "laptop"], 3, "no wallet w here"),
        (["backup", "show", "--datadir", "laptop"], 3, "no finished wallet"),
        (["policy", "show", "--datadir", "one"], 3, "no policy is in force"),
    ]
    for arguments, code, said in cases:
        assert run(arguments) == code, arguments
        assert said in error_of(capsys), arguments
    assert run(["roster", "accept", "roster.json", "--yes", "--datadir", "laptop"]) == 0
    capsys.readouterr()
    assert run(["status", "--datadir", "laptop", "--passphrase-file", "bad"]) == 7
    assert "wrong passphrase" in error_of(capsys)


def test_a_directory_in_use_is_left_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three(home, capsys)
    with DataDir(home / "one", "regtest").lock():
        assert run(["roster", "accept", "roster.json", "--yes", "--datadir", "one"]) == 3
    assert "another Assent process" in error_of(capsys)


def test_mainnet_waits_for_the_config(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("home", "node", "--network", "mainnet") == 0
    capsys.readouterr()
    assert run(["policy", "show", "--datadir", "home"]) == 3
    assert "allow_mainnet: true" in error_of(capsys)
    config = home / "home" / "mainnet" / "config.yaml"
    config.write_text(config.read_text().replace("allow_mainnet: false", "allow_mainnet: true"))
    assert run(["policy", "show", "--datadir", "home"]) == 3
    assert "no policy is in force" in error_of(capsys)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version: 1", "version: 2", "config.yaml:2: version: this program reads version 1"),
        ("role: node", "role: king", "role"),
        ("name: home", "name: HOME", "name"),
        ("network: regtest", "network: signet", "regtest"),
        ("network: regtest", "netwerk: regtest", "did you mean `network`"),
        ("name: home", "name: phone", "public.json"),
        ("name: home", "name: [home", "config.yaml"),
    ],
)
def test_a_damaged_config_is_named_with_its_line(
    home: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    assert init("home") == 0
    capsys.readouterr()
    config = home / "home" / "regtest" / "config.yaml"
    config.write_text(config.read_text().replace(old, new))
    assert run(["policy", "show", "--datadir", "home"]) == 3
    assert said in error_of(capsys)


def test_a_node_takes_a_policy_while_it_does_not_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = Path(__file__).parents[2] / "configs" / "home.yaml"
    assert init("home", "node", "--policy", str(profile)) == 0
    capsys.readouterr()
    assert run(["policy", "show", "--datadir", "home", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["text"] == profile.read_text()
    text = profile.read_text().replace("sent: unlimited", "sent: 0.5btc", 1)
    (home / "middle.yaml").write_text(text)
    (home / "strict.yaml").write_text(text.replace("sent: 0.5btc", "sent: 0.4btc", 1))
    assert run(["policy", "set", "strict.yaml", "--datadir", "home", "--passphrase-file", "bad"]) == 7
    capsys.readouterr()
    assert run(["policy", "set", "strict.yaml", "--datadir", "home", *PASS, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["digest"] != shown["digest"]
    assert (facts["version"], facts["direction"], facts["in_force"]) == (2, "tighter", True)
    (home / "broken.yaml").write_text("schema: 1\nname: home\n")
    assert run(["policy", "set", "broken.yaml", "--datadir", "home", *PASS]) == 3
    assert "broken.yaml:" in error_of(capsys)


def test_a_bug_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret things")

    monkeypatch.setattr("cluster.cli.setup.read_roster", broken)
    assert run(["roster", "show", "pass"]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "bug: ZeroDivisionError" in err
    assert "secret things" not in err + out
    assert run(["roster", "show", "pass", "--debug", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" in err
    assert json.loads(out)["error"]["kind"] == "bug"


def test_help_and_version_need_no_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("assent, version ")
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert run([]) == 2
    for name in ("init", "keygen", "sign", "recover"):
        assert name in listed
        assert run([name, "--help"]) == 0
        assert "--json" in capsys.readouterr().out


def test_a_foreign_string_repaints_nothing() -> None:
    shown = foreign("pay\x1b[1A\u202e 5 sat\nrefused\u2066")
    assert shown == "“pay\\x1b[1A\\u202e 5 sat\\nrefused\\u2066” (unverified)"
