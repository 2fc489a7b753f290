"""The `state_store:` section of config.yaml: what is read, what is refused and at which line, and what it makes."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster.errors import ConfigError, StateError
from cluster.keys import Seed
from cluster.mirroring import open_store
from cluster.party import Config, read_config, write_config
from cluster.state_store import DirectoryStore
from cluster.state_store.config import DirectoryPlace, StorePlace, VssPlace
from cluster.state_store.vss import VssStore
from cluster.storage import DataDir

KEYS = Seed(b"\x01" * 32).keys("regtest")
EXAMPLE = Path(__file__).resolve().parents[2] / "configs" / "settings" / "node.yaml"
HEAD = "version: 1\nrole: node\nname: home\nnetwork: regtest\n"


def config(tmp_path: Path, text: str) -> Config:
    place = DataDir(tmp_path, "regtest")
    place.path.mkdir(exist_ok=True)
    place.config_file.write_text(text, encoding="utf-8")
    place.config_file.chmod(0o600)
    return read_config(place)


def test_the_example_loads_and_so_does_what_it_shows_in_comments(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert config(tmp_path, text).state_store == VssPlace("https://store.example:443/vss")
    for name in ("token_file", "ca_file", "store_id"):
        text = text.replace(f"  # {name}:", f"  {name}:")
    assert config(tmp_path, text).state_store == VssPlace(
        "https://store.example:443/vss",
        Path("/etc/assent/store-token"),
        Path("/etc/assent/store-ca.pem"),
        "home-2027",
    )
    lines = [
        line for line in text.splitlines() if not line.startswith(("  kind:", "  url:", "  token", "  ca_"))
    ]
    directory = (
        "\n".join(lines).replace("  # kind: directory", "  kind: directory").replace("  # path:", "  path:")
    )
    assert config(tmp_path, directory).state_store == DirectoryPlace(
        Path("/mnt/other-disk/assent"), "home-2027"
    )


@pytest.mark.parametrize(
    "place",
    [
        DirectoryPlace(Path('/mnt/a "b" \\ c')),
        DirectoryPlace(Path("/mnt/a"), "x.y-z_1"),
        VssPlace("https://h.example:443/vss"),
        VssPlace("http://localhost:80/vss", Path("/t"), Path("/c"), "s"),
        None,
    ],
)
def test_what_is_written_is_read_again(tmp_path: Path, place: StorePlace | None) -> None:
    made = Config("node", "home", "regtest", state_store=place, anchor='/media/a "b" # c: d/x')
    assert config(tmp_path, write_config(made).decode()) == made


def test_without_a_kind_it_is_a_directory_and_without_a_section_there_is_none(tmp_path: Path) -> None:
    assert config(tmp_path, HEAD).state_store is None
    assert config(tmp_path, HEAD + "state_store: {path: /mnt/a}\n").state_store == DirectoryPlace(
        Path("/mnt/a")
    )


@pytest.mark.parametrize(
    ("section", "line", "says"),
    [
        ("state_store: yes please", 5, "keys"),
        ("state_store:\n  pth: /mnt/a", 6, "did you mean `path`"),
        ("state_store:\n  kind: s3", 6, "one of directory, vss"),
        ("state_store:\n  kind: directory", 6, "is missing; write the directory"),
        ("state_store:\n  path: mnt/a", 6, "absolute"),
        ("state_store:\n  path: /mnt/a\n  url: https://h.example/vss", 7, "is for `kind: vss`"),
        ("state_store:\n  kind: vss\n  path: /mnt/a", 7, "is for `kind: directory`"),
        ("state_store:\n  kind: vss", 6, "is missing; write https://store.example/vss"),
        ("state_store:\n  kind: vss\n  url: http://h.example/vss", 7, "write https://"),
        ("state_store:\n  kind: vss\n  url: https://h.example/vss\n  token_file: token", 8, "absolute"),
        ("state_store:\n  path: /mnt/a\n  store_id: a/b", 7, "letters, digits"),
        ("state_store:\n  path: /mnt/a\n  store_id: 7", 7, "a name of letters"),
    ],
)
def test_what_is_not_understood_is_refused_at_its_line(
    tmp_path: Path, section: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        config(tmp_path, HEAD + section + "\n")
    assert f"config.yaml:{line}: " in str(caught.value)
    assert caught.value.exit_code == 3


def test_only_a_node_has_one(tmp_path: Path) -> None:
    text = HEAD.replace("role: node", "role: coordinator") + "state_store: {path: /mnt/a}\n"
    with pytest.raises(ConfigError, match="for a node"):
        config(tmp_path, text)


def test_each_kind_is_opened(tmp_path: Path) -> None:
    with ExitStack() as stack:
        directory = open_store(DirectoryPlace(tmp_path), KEYS)
        stack.callback(directory.close)
        vss = open_store(VssPlace("https://h.example/vss"), KEYS)
        assert isinstance(directory, DirectoryStore)
        assert isinstance(vss, VssStore)
        assert (directory.where, vss.where) == (str(tmp_path), "https://h.example:443/vss")


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("", 0o600, "no token"),
        ("two words", 0o600, "no token"),
        ("line\nline", 0o600, "no token"),
        ("töken", 0o600, "no token"),
        ("token", 0o640, "chmod 600"),
    ],
)
def test_a_token_file_that_is_none(tmp_path: Path, text: str, mode: int, says: str) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    os.chmod(file, mode)
    with pytest.raises((ConfigError, StateError), match=says):
        open_store(VssPlace("https://h.example/vss", file), KEYS)


def test_without_protobuf_a_vss_store_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cluster.state_store.vss", None)
    with pytest.raises(ConfigError, match=r"assent\[vss\]"):
        open_store(VssPlace("https://h.example/vss"), KEYS)
