"""A private Bitcoin chain inside this process, judged by Bitcoin Core's own validation code (py-bitcoinkernel).

For `assent demo` and the tests: it mines on regtest, where a block costs two hashes on average, and the
kernel decides what is valid. Nothing here decides; nothing here is used on a real network.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.errors import ChainError, ConfigError

COINBASE_MATURITY = 100
COIN_SATS = 100_000_000
_HALVING = 150
_BITS = 0x207FFFFF
_TARGET = 0x7FFFFF << (8 * (0x20 - 3))
_VERSION = 0x20000000
_GENESIS_TIME = 1296688602
_SPACING = 600
_WITNESS_RESERVED = bytes(32)
_FINAL = b"\xff\xff\xff\xff"


class RegtestChain:
    """A regtest chain in a directory of its own. Use it as a context manager, or call `close`.

    Raises:
        ConfigError: py-bitcoinkernel is not installed.
        ChainError: the kernel cannot open the directory.
    """

    def __init__(self, datadir: Path) -> None:
        self._kernel = _load_kernel()
        self._verdicts: list[str] = []
        datadir.mkdir(parents=True, exist_ok=True)
        try:
            callbacks = self._kernel.ValidationInterfaceCallbacks(block_checked=self._on_checked)
            self._manager: Any = self._kernel.load_chainman(
                datadir, self._kernel.ChainType.REGTEST, validation_callbacks=callbacks
            )
        except Exception as fault:
            raise ChainError(f"the regtest chain in {datadir} does not open: {fault}") from fault

    @property
    def height(self) -> int:
        """The height of the tip; the genesis block has 0."""
        return int(self._manager.get_active_chain().height)

    @property
    def tip(self) -> bytes:
        """The hash of the tip block (32 bytes, internal order)."""
        return bytes(self._tip_entry().block_hash)

    @property
    def tip_hex(self) -> str:
        """The hash of the tip block as explorers show it."""
        return self.tip[::-1].hex()

    def mine(self, transactions: Sequence[bytes] = (), *, script: bytes = b"\x51") -> bytes:
        """Mine one block with these transactions (raw, with witness); its reward goes to `script`.

        Returns:
            The block hash (32 bytes, internal order).

        Raises:
            ChainError: Bitcoin's rules refuse a transaction or the block; the chain stays as it was.
        """
        height = self.height + 1
        txids = [self.txid(transaction) for transaction in transactions]
        coinbase = _coinbase(height, script, _witness_commitment(transactions))
        root = _merkle_root([_double_sha256(_without_witness(coinbase)), *txids])
        header = _mined_header(self.tip, root, _GENESIS_TIME + height * _SPACING)
        block = header + _compact_size(1 + len(transactions)) + coinbase + b"".join(transactions)
        self._submit(block)
        block_hash = _double_sha256(header)
        if self.tip != block_hash:
            raise ChainError(f"Bitcoin's rules refuse block {height}: {self._verdict()}")
        return block_hash

    def mine_empty(self, count: int, *, script: bytes = b"\x51") -> None:
        """Mine a number of blocks without transactions."""
        for _ in range(count):
            self.mine(script=script)

    def fund(self, script: bytes) -> tuple[bytes, int, int]:
        """Mine one block whose reward pays `script`, and bury it so deep that it can be spent.

        Returns:
            The coin: transaction id (32 bytes, internal order), output index, amount in satoshis.
        """
        height = self.height + 1
        coinbase = _coinbase(height, script, _witness_commitment(()))
        self.mine(script=script)
        self.mine_empty(COINBASE_MATURITY)
        return _double_sha256(_without_witness(coinbase)), 0, _subsidy(height)

    def txid(self, transaction: bytes) -> bytes:
        """The id of a raw transaction (32 bytes, internal order), by Bitcoin Core's own reading.

        Raises:
            ChainError: it is not a transaction.
        """
        try:
            return bytes(self._kernel.Transaction(transaction).txid)
        except Exception as fault:
            raise ChainError(f"that is not a transaction: {fault}") from fault

    def transactions(self, height: int) -> tuple[bytes, ...]:
        """The raw transactions of the block at a height, as stored."""
        entry = self._manager.get_active_chain().block_tree_entries[height]
        block = self._manager.blocks[entry]
        return tuple(bytes(transaction) for transaction in block.transactions)

    def close(self) -> None:
        """Let go of the directory. Safe to repeat."""
        self._manager = None

    def __enter__(self) -> RegtestChain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tip_entry(self) -> Any:
        return self._manager.get_active_chain().block_tree_entries[self.height]

    def _submit(self, block: bytes) -> None:
        self._verdicts.clear()
        try:
            self._manager.process_block(self._kernel.Block(block))
        except Exception as fault:
            raise ChainError(f"Bitcoin's rules refuse the block: {self._verdict()} ({fault})") from fault

    def _on_checked(self, _user_data: Any, _block: Any, state: Any) -> None:
        self._verdicts.append(f"{state.validation_mode.name} {state.block_validation_result.name}")

    def _verdict(self) -> str:
        return self._verdicts[-1] if self._verdicts else "no reason given"


def _load_kernel() -> Any:
    try:
        import pbk
    except ImportError as fault:
        raise ConfigError("py-bitcoinkernel is missing: install it with `make env`") from fault
    return pbk


def _subsidy(height: int) -> int:
    return 50 * COIN_SATS >> (height // _HALVING)


def _double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def _compact_size(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + number.to_bytes(2, "little")


def _push_height(height: int) -> bytes:
    """The height as BIP 34 wants it at the start of the coinbase script."""
    if height <= 16:
        return bytes([0x50 + height])
    size = (height.bit_length() + 8) // 8
    return bytes([size]) + height.to_bytes(size, "little")


def _merkle_root(level: list[bytes]) -> bytes:
    while len(level) > 1:
        level = [*level, level[-1]] if len(level) % 2 else level
        level = [_double_sha256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def _witness_commitment(transactions: Sequence[bytes]) -> bytes:
    """The output script that commits to all witnesses (BIP 141). The coinbase counts as zeros."""
    root = _merkle_root([bytes(32), *map(_double_sha256, transactions)])
    return bytes.fromhex("6a24aa21a9ed") + _double_sha256(root + _WITNESS_RESERVED)


def _coinbase(height: int, script: bytes, commitment: bytes) -> bytes:
    """A coinbase that claims the subsidy and leaves the fees."""
    unlocking = _push_height(height) + b"\x00"
    outputs = b"".join(
        amount.to_bytes(8, "little") + _compact_size(len(locking)) + locking
        for amount, locking in ((_subsidy(height), script), (0, commitment))
    )
    body = bytes(32) + _FINAL + _compact_size(len(unlocking)) + unlocking + _FINAL + b"\x02" + outputs
    witness = b"\x01\x20" + _WITNESS_RESERVED
    return (2).to_bytes(4, "little") + b"\x00\x01\x01" + body + witness + bytes(4)


def _without_witness(coinbase: bytes) -> bytes:
    """The same coinbase as its id hashes it: no marker, no flag, no 34 bytes of witness."""
    return coinbase[:4] + coinbase[6:-38] + coinbase[-4:]


def _mined_header(previous: bytes, root: bytes, timestamp: int) -> bytes:
    head = _VERSION.to_bytes(4, "little") + previous + root + timestamp.to_bytes(4, "little")
    head += _BITS.to_bytes(4, "little")
    nonce = 0
    while int.from_bytes(_double_sha256(head + nonce.to_bytes(4, "little")), "little") > _TARGET:
        nonce += 1
    return head + nonce.to_bytes(4, "little")
