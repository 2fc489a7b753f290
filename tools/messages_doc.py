"""Writes docs/messages.md from the table of letters; a test compares."""

from __future__ import annotations

import msgspec

from cluster.codec import SIGNATURE_DOMAIN
from cluster.messages import KINDS, MAX_LETTER_BYTES, PROTOCOL_VERSION, Header, Kind

_HEAD = """# Letters

Written by `python -m tools.messages_doc` from `cluster/messages.py`; a test compares.

Everything that is said in a cluster is a **letter**: one frame with the letter, one with its signature.
A letter is MessagePack, `[header, body]`, each an array of the fields below, in the one shortest encoding.
The signature is Ed25519 over `{domain}` (and a zero byte) and exactly these bytes, by the sender's identity key.
Whoever receives a letter checks size, signature, form, that its encoding is the only one, and then the header.
A letter that fails is a recorded complaint, never an error: nothing of it is acted upon.
Where an honest sender may cause it (it is late, or about what its hearer has lost), it is only counted, as dropped.

This is protocol version {version}; a letter of another version is refused and both versions are named.
No letter of any kind is larger than {largest:,} bytes.

## Header

| field | type |
|---|---|
"""

_HEADER_NOTES = """
Ids that do not apply are 32 zero bytes.
The sequence rises within one boot id; gaps are legal, a number heard before is a repeat and is dropped.
Requests, proposals of wallets and what people say are bound by their ids, and the very same letter may come again.

"""


def page() -> str:
    """The whole page."""
    domain = SIGNATURE_DOMAIN.rstrip(b"\x00").decode()
    parts = [_HEAD.format(domain=domain, version=PROTOCOL_VERSION, largest=MAX_LETTER_BYTES), _fields(Header)]
    parts += [_HEADER_NOTES, "## Kinds\n\n", _table(), "\n"]
    parts += [_section(kind) for kind in Kind]
    return "".join(parts).rstrip() + "\n"


def _table() -> str:
    rows = [
        "| no. | kind | from | at most | durable before it leaves | a repeat |\n|---|---|---|---|---|---|\n"
    ]
    for kind, rule in KINDS.items():
        senders = ", ".join(sorted(rule.senders)) or "inside another"
        size = f"{rule.cap // 1024} KiB"
        rows.append(
            f"| {kind.value} | {_name(kind)} | {senders} | {size} | {rule.durable} | {rule.repeat} |\n"
        )
    return "".join(rows)


def _section(kind: Kind) -> str:
    body = KINDS[kind].body
    text = " ".join((body.__doc__ or "").split())
    return f"\n## {kind.value} {_name(kind)}\n\n{text}\n\n| field | type |\n|---|---|\n{_fields(body)}"


def _fields(struct: type[msgspec.Struct]) -> str:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return "".join(f"| {field.name} | {_type(field.type)} |\n" for field in info.fields)


def _type(kind: msgspec.inspect.Type) -> str:
    """A type in words a reader of another language understands."""
    match kind:
        case msgspec.inspect.BytesType(min_length=low, max_length=high):
            return f"{low} bytes" if low is not None and low == high else _at_most("bytes", high)
        case msgspec.inspect.StrType(max_length=high, pattern=pattern):
            return _at_most("code" if pattern else "text", high)
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.IntType():
            return "number"
        case msgspec.inspect.EnumType(cls=cls):
            return (
                f"number ({', '.join(f'{member.value} {member.name.lower()}' for member in cls)})"
                if len(list(cls)) < 10
                else "number of the kind"
            )
        case msgspec.inspect.VarTupleType(item_type=item, max_length=high):
            return _at_most(f"array of {_type(item)}", high)
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            inside = ", ".join(field.name for field in fields)
            return f"{cls.__name__} [{inside}]"
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_type(one) for one in types)
        case _:
            return "nil"


def _at_most(what: str, high: int | None) -> str:
    return what if high is None else f"{what}, at most {high:,}"


def _name(kind: Kind) -> str:
    return kind.name.title().replace("_", "")


if __name__ == "__main__":
    print(page(), end="")
