"""The `state_store:` section of config.yaml: which store, and where; whatever is not understood is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cluster.state_store.http_line import address_of
from policy.tree import Fields, Node, ProfileError, need_text

__all__ = ["STORE_ID", "DirectoryPlace", "StorePlace", "VssPlace", "quoted", "read_place", "write_place"]

STORE_ID = re.compile(r"[A-Za-z0-9._-]{1,120}")
"""What names a keyspace."""

_KINDS = {"directory": ("path",), "vss": ("url", "token_file", "ca_file")}


@dataclass(frozen=True, slots=True)
class DirectoryPlace:
    """A directory, on another disk or a share; an empty `store_id` is the one that the seed gives."""

    path: Path
    store_id: str = ""


@dataclass(frozen=True, slots=True)
class VssPlace:
    """A VSS server; without a token file the login is a signature, without a file of authorities the system's count."""

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    store_id: str = ""


StorePlace = DirectoryPlace | VssPlace


def read_place(node: Node) -> StorePlace:
    """The store that a section names; ProfileError says which line is wrong."""
    keys = ("kind", "store_id", *(key for words in _KINDS.values() for key in words))
    fields = Fields(node, keys)
    kind = _text(fields, "kind", "one of directory, vss") or "directory"
    if kind not in _KINDS:
        raise _wrong(fields, "kind", "one of directory, vss")
    for other, words in _KINDS.items():
        for key in words:
            if other != kind and fields.get(key) is not None:
                raise _wrong(fields, key, f"is for `kind: {other}`; this is `kind: {kind}`")
    store_id = _text(fields, "store_id", "a name of letters, digits, `.`, `_` and `-`")
    if store_id and not STORE_ID.fullmatch(store_id):
        raise _wrong(fields, "store_id", "is 1 to 120 letters, digits, `.`, `_` and `-`")
    if kind == "directory":
        fields.need("path", "write the directory, such as /mnt/other-disk/assent")
        return DirectoryPlace(_absolute(fields, "path"), store_id)
    return VssPlace(_url(fields), _file(fields, "token_file"), _file(fields, "ca_file"), store_id)


def write_place(place: StorePlace) -> list[str]:
    """The lines of the section, as `assent recover` leaves them."""
    if isinstance(place, DirectoryPlace):
        words = {"kind": "directory", "path": str(place.path), "store_id": place.store_id}
    else:
        words = {
            "kind": "vss",
            "url": place.url,
            "token_file": str(place.token_file or ""),
            "ca_file": str(place.ca_file or ""),
            "store_id": place.store_id,
        }
    return ["state_store:", *(f'  {key}: "{quoted(value)}"' for key, value in words.items() if value)]


def _url(fields: Fields) -> str:
    url = need_text(fields.need("url", "write https://store.example/vss"), "write https://store.example/vss")
    try:
        return address_of(url).url
    except ValueError as error:
        raise _wrong(fields, "url", str(error)) from None


def _file(fields: Fields, key: str) -> Path | None:
    return None if fields.get(key) is None else _absolute(fields, key)


def _absolute(fields: Fields, key: str) -> Path:
    path = Path(_text(fields, key, "write a path"))
    if not path.is_absolute():
        raise _wrong(fields, key, "is not an absolute path: write it from / on")
    return path


def _text(fields: Fields, key: str, hint: str) -> str:
    node = fields.get(key)
    return "" if node is None else need_text(node, hint)


def _wrong(fields: Fields, key: str, text: str) -> ProfileError:
    node = fields.get(key)
    assert node is not None  # it is what is wrong
    return ProfileError(node.line, node.path, text)


def quoted(text: str) -> str:
    """What stands between double quotes in a settings file to mean this text."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
