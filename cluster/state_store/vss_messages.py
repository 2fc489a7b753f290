"""The messages of the Versioned Storage Service, as its `vss.proto` numbers them (package `vss`, proto3).

The table below is the whole of the schema that we speak; protobuf makes the classes from it when this module is
imported, so that there is no generated file. Replies are hostile: whatever is no message is a `BadReply`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, EncodeError

from cluster.state_store.protocol import MAX_KEY_CHARS, MAX_PAGE, MAX_VERSION, KeyValue, KeyVersion, Page

__all__ = [
    "BadReply",
    "delete_request",
    "get_request",
    "list_request",
    "put_request",
    "read_error",
    "read_object",
    "read_page",
]

CONFLICT = 1
INVALID_REQUEST = 2
INTERNAL_SERVER = 3
NO_SUCH_KEY = 4
AUTH = 5
"""The error codes of the protocol."""

_Field = descriptor_pb2.FieldDescriptorProto
_KEY_VALUE = ".vss.KeyValue"

# Each field: number, type, and whether it is "optional", "repeated" or plain.
_SCHEMA: dict[str, dict[str, tuple[int, Any, str]]] = {
    "KeyValue": {
        "key": (1, _Field.TYPE_STRING, ""),
        "version": (2, _Field.TYPE_INT64, ""),
        "value": (3, _Field.TYPE_BYTES, ""),
    },
    "GetObjectRequest": {"store_id": (1, _Field.TYPE_STRING, ""), "key": (2, _Field.TYPE_STRING, "")},
    "GetObjectResponse": {"value": (2, _KEY_VALUE, "")},
    "PutObjectRequest": {
        "store_id": (1, _Field.TYPE_STRING, ""),
        "global_version": (2, _Field.TYPE_INT64, "optional"),
        "transaction_items": (3, _KEY_VALUE, "repeated"),
        "delete_items": (4, _KEY_VALUE, "repeated"),
    },
    "DeleteObjectRequest": {"store_id": (1, _Field.TYPE_STRING, ""), "key_value": (2, _KEY_VALUE, "")},
    "ListKeyVersionsRequest": {
        "store_id": (1, _Field.TYPE_STRING, ""),
        "key_prefix": (2, _Field.TYPE_STRING, "optional"),
        "page_size": (3, _Field.TYPE_INT32, "optional"),
        "page_token": (4, _Field.TYPE_STRING, "optional"),
    },
    "ListKeyVersionsResponse": {
        "key_versions": (1, _KEY_VALUE, "repeated"),
        "next_page_token": (2, _Field.TYPE_STRING, "optional"),
        "global_version": (3, _Field.TYPE_INT64, "optional"),
    },
    # An enum travels as int32 does, and a number that we do not know is then no damage.
    "ErrorResponse": {"error_code": (1, _Field.TYPE_INT32, ""), "message": (2, _Field.TYPE_STRING, "")},
}


class BadReply(ValueError):
    """What came is no message of the protocol."""


def _described() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="vss.proto", package="vss", syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind, presence) in fields.items():
            field = message.field.add(name=field_name, number=number)
            field.label = _Field.LABEL_REPEATED if presence == "repeated" else _Field.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, kind
            else:
                field.type = kind
            if presence == "optional":
                field.proto3_optional = True
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{field_name}")
    return file


def _classes() -> dict[str, Any]:
    # A pool of our own: another library's messages of the same name never meet ours.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_described())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"vss.{name}")) for name in _SCHEMA
    }


_CLASS = _classes()


def get_request(store_id: str, key: str) -> bytes:
    """Ask for one object."""
    return _written("GetObjectRequest", store_id=store_id, key=key)


def put_request(
    store_id: str,
    transaction_items: Sequence[KeyValue],
    delete_items: Sequence[KeyVersion],
    global_version: int | None,
) -> bytes:
    """Write and remove objects, all or none."""
    items = [{"key": i.key, "version": i.version, "value": i.value} for i in transaction_items]
    gone = [{"key": i.key, "version": i.version} for i in delete_items]
    more = {} if global_version is None else {"global_version": global_version}
    return _written("PutObjectRequest", store_id=store_id, transaction_items=items, delete_items=gone, **more)


def delete_request(store_id: str, item: KeyVersion) -> bytes:
    """Remove one object."""
    return _written(
        "DeleteObjectRequest", store_id=store_id, key_value={"key": item.key, "version": item.version}
    )


def list_request(store_id: str, key_prefix: str, page_size: int, page_token: str) -> bytes:
    """Ask for one page of keys; for the first page the protocol wants no token, not an empty one."""
    more: dict[str, str] = {"page_token": page_token} if page_token else {}
    more |= {"key_prefix": key_prefix} if key_prefix else {}
    return _written("ListKeyVersionsRequest", store_id=store_id, page_size=page_size, **more)


def read_object(reply: bytes, key: str) -> KeyValue:
    """The object in a reply, which must be the one that was asked for."""
    found = _parsed("GetObjectResponse", reply)
    if not found.HasField("value") or found.value.key != key or not _is_version(found.value.version):
        raise BadReply("not the object that was asked for")
    return KeyValue(key, int(found.value.version), bytes(found.value.value))


def read_page(reply: bytes) -> Page:
    """The page of keys in a reply."""
    found = _parsed("ListKeyVersionsResponse", reply)
    if len(found.key_versions) > MAX_PAGE:
        raise BadReply(f"more than {MAX_PAGE} keys on a page")
    if not all(_is_version(item.version) for item in found.key_versions):
        raise BadReply("a version that is none")
    if any(len(item.key) > MAX_KEY_CHARS for item in found.key_versions):
        raise BadReply("a key longer than a store takes")
    keys = tuple(KeyVersion(str(item.key), int(item.version)) for item in found.key_versions)
    first = int(found.global_version) if found.HasField("global_version") else None
    return Page(keys, str(found.next_page_token), first)


def _is_version(number: int) -> bool:
    return 0 <= number <= MAX_VERSION


def read_error(reply: bytes) -> tuple[int, str]:
    """The code of an error (0 when it has none), and what the server says to a person."""
    found = _parsed("ErrorResponse", reply)
    return int(found.error_code), str(found.message)


def _written(name: str, **fields: object) -> bytes:
    try:
        return bytes(_CLASS[name](**fields).SerializeToString(deterministic=True))
    except (EncodeError, UnicodeError) as error:
        raise ValueError(f"this cannot be said in a {name}") from error


def _parsed(name: str, data: bytes) -> Any:
    try:
        return _CLASS[name].FromString(data)
    except (DecodeError, UnicodeError, RecursionError) as error:
        raise BadReply(f"not a {name}") from error
