"""The frame of a PSBT: its maps of keys and values, read in bounded time before any library sees a byte.

Every length is checked against what is left before anything is kept, so a count of 2^40 costs nothing. The
maps also serve as a second reading, which the library's reading must match.
"""

from base64 import b64decode
from dataclasses import dataclass

from taproot.refusals import PsbtRefused
from taproot.spend import MAX_MONEY_SATS

MAX_PSBT_BYTES = 512 * 1024
MAX_INPUTS = 250
MAX_OUTPUTS = 1000

_MAGIC = b"psbt\xff"
_GLOBAL_UNSIGNED_TX = b"\x00"
_GLOBAL_INPUT_COUNT = b"\x04"
_GLOBAL_OUTPUT_COUNT = b"\x05"
_GLOBAL_VERSION = b"\xfb"
_IN_PREVIOUS_TXID = b"\x0e"
_IN_OUTPUT_INDEX = b"\x0f"

Map = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Frame:
    """A PSBT as maps of raw keys to raw values.

    `unsigned_tx` is what a version 0 PSBT carries, else None. `outpoints` are the coins spent, 36 bytes each.
    """

    version: int
    global_map: Map
    inputs: tuple[Map, ...]
    outputs: tuple[Map, ...]
    outpoints: tuple[bytes, ...]
    unsigned_tx: bytes | None


class Cursor:
    """Reads Bitcoin's encodings from bytes, never past the end and never in a non-canonical form."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._at = 0
        self.where = where

    @property
    def left(self) -> int:
        """How many bytes are not read yet."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Refused if there are fewer."""
        if size > self.left:
            raise PsbtRefused("malformed", self.where, "it ends in the middle of a field")
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        """The next `size` bytes as a little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def compact_size(self) -> int:
        """A compact size number, in its shortest form only."""
        first = self.number(1)
        if first < 0xFD:
            return first
        size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
        value = self.number(size)
        if value < {2: 0xFD, 4: 1 << 16, 8: 1 << 32}[size]:
            raise PsbtRefused("non-canonical", self.where, "a number is written longer than needed")
        return value

    def sized(self) -> bytes:
        """Bytes behind their own length."""
        return self.take(self.compact_size())


def decode_psbt(data: bytes) -> bytes:
    """The PSBT in a file, which may hold its bytes or the same in base64.

    Raises:
        PsbtRefused: "too-large", or "malformed" where it is neither.
    """
    if data.startswith(_MAGIC):
        return data
    if len(data) > 2 * MAX_PSBT_BYTES:
        raise PsbtRefused("too-large", "psbt", f"the file has {len(data)} bytes, too many for a PSBT")
    try:
        decoded = b64decode(b"".join(data.split()), validate=True)
    except ValueError:
        decoded = b""
    if not decoded.startswith(_MAGIC):
        raise PsbtRefused("malformed", "psbt", "it is neither a PSBT nor one in base64")
    return decoded


def read_frame(psbt: bytes) -> Frame:
    """Split a PSBT (bytes, version 0 or 2) into its maps.

    Raises:
        PsbtRefused: too large, malformed, trailing bytes, a duplicate key, a non-canonical number, an unknown
            version or a missing count.
    """
    if len(psbt) > MAX_PSBT_BYTES:
        raise PsbtRefused("too-large", "psbt", f"it has {len(psbt)} bytes, at most {MAX_PSBT_BYTES} are read")
    cursor = Cursor(psbt, "psbt")
    if not psbt.startswith(_MAGIC):
        raise PsbtRefused("malformed", "psbt", "it does not start with the PSBT magic")
    cursor.take(len(_MAGIC))
    global_map = _read_map(cursor, "global map")
    version = _read_version(global_map)
    if version == 0:
        unsigned_tx, outpoints, output_count = _walk_transaction(global_map)
        input_count = len(outpoints)
    else:
        unsigned_tx, outpoints = None, None
        input_count, output_count = _read_counts(global_map)
    inputs = tuple(_read_map(cursor, f"input {i}") for i in range(input_count))
    outputs = tuple(_read_map(cursor, f"output {i}") for i in range(output_count))
    if cursor.left:
        raise PsbtRefused("trailing-bytes", "psbt", f"{cursor.left} bytes follow its end")
    if outpoints is None:
        outpoints = tuple(_outpoint(fields, f"input {i}") for i, fields in enumerate(inputs))
    return Frame(version, global_map, inputs, outputs, outpoints, unsigned_tx)


def _read_map(cursor: Cursor, where: str) -> Map:
    cursor.where = where
    found: Map = {}
    while key_size := cursor.compact_size():
        key = cursor.take(key_size)
        if key in found:
            raise PsbtRefused("duplicate-key", where, f"a key of type 0x{key[:1].hex()} appears twice")
        found[key] = cursor.sized()
    return found


def _read_version(global_map: Map) -> int:
    raw = global_map.get(_GLOBAL_VERSION, bytes(4))
    version = int.from_bytes(raw, "little")
    if len(raw) != 4 or version not in (0, 2):
        raise PsbtRefused("psbt-version", "psbt", "only versions 0 and 2 are known")
    return version


def _read_counts(global_map: Map) -> tuple[int, int]:
    """How many inputs and outputs a version 2 PSBT says it has."""
    if _GLOBAL_UNSIGNED_TX in global_map:
        raise PsbtRefused("malformed", "psbt", "version 2 must not carry an unsigned transaction")
    inputs = _bounded(_count(global_map, _GLOBAL_INPUT_COUNT), MAX_INPUTS, "inputs")
    return inputs, _bounded(_count(global_map, _GLOBAL_OUTPUT_COUNT), MAX_OUTPUTS, "outputs")


def _outpoint(fields: Map, where: str) -> bytes:
    outpoint = fields.get(_IN_PREVIOUS_TXID, b"") + fields.get(_IN_OUTPUT_INDEX, b"")
    if len(outpoint) != 36:
        raise PsbtRefused("missing-field", where, "it does not say which coin it spends")
    return outpoint


def _count(global_map: Map, key: bytes) -> int:
    if key not in global_map:
        raise PsbtRefused("missing-field", "psbt", "it does not say how many inputs and outputs it has")
    cursor = Cursor(global_map[key], "psbt")
    count = cursor.compact_size()
    if cursor.left:
        raise PsbtRefused("non-canonical", "psbt", "bytes follow a count")
    return count


def _walk_transaction(global_map: Map) -> tuple[bytes, tuple[bytes, ...], int]:
    """The unsigned transaction of version 0, what it spends and how much it pays, walked to its last byte."""
    unsigned_tx = global_map.get(_GLOBAL_UNSIGNED_TX)
    if unsigned_tx is None:
        raise PsbtRefused("missing-field", "psbt", "it has no unsigned transaction")
    cursor = Cursor(unsigned_tx, "unsigned transaction")
    cursor.take(4)
    inputs = _bounded(cursor.compact_size(), MAX_INPUTS, "inputs")
    outpoints = tuple(_walk_input(cursor) for _ in range(inputs))
    outputs = _bounded(cursor.compact_size(), MAX_OUTPUTS, "outputs")
    for index in range(outputs):
        if cursor.number(8) > MAX_MONEY_SATS:
            raise PsbtRefused("amount-range", f"output {index}", "its amount is out of range")
        cursor.sized()
    cursor.take(4)
    if cursor.left:
        raise PsbtRefused("trailing-bytes", cursor.where, f"{cursor.left} bytes follow its end")
    return unsigned_tx, outpoints, outputs


def _walk_input(cursor: Cursor) -> bytes:
    outpoint = cursor.take(36)
    if cursor.sized():
        raise PsbtRefused("already-signed", cursor.where, "an input carries a script")
    cursor.take(4)
    return outpoint


def _bounded(count: int, most: int, what: str) -> int:
    if count > most:
        raise PsbtRefused("too-large", "psbt", f"it has {count} {what}, at most {most} are read")
    return count
