"""The wallets of a run, proven: recovery data that fits the charter, and every member's acknowledgement of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cluster.audit.chains import Chain
from cluster.audit.letters import Letters
from cluster.charter import Charter
from cluster.codec import decode
from cluster.held_records import WalletHeld
from cluster.journal import WalletComplete, WalletKept
from cluster.messages import KeygenFinal, Kind
from cluster.scheme import KeygenTrouble
from cluster.schemes import Wallet, known_keys, read_wallet


def complete_wallets(chains: Iterable[Chain], letters: Letters) -> dict[bytes, Wallet]:
    """Every wallet that these files prove, by id; nothing is believed of one that is not acknowledged by all."""
    charters: dict[bytes, dict[bytes, None]] = {}
    data: dict[bytes, dict[bytes, None]] = {}
    acks: dict[bytes, dict[tuple[bytes, ...], None]] = {}
    for chain in chains:
        for entry, kept in chain.of(WalletKept):
            charters.setdefault(entry.wallet_id, {})[kept.charter] = None
            if chain.role != "node":  # a node's is sealed
                data.setdefault(entry.wallet_id, {})[kept.recovery_data] = None
        for entry, held in chain.of(WalletHeld):
            charters.setdefault(entry.wallet_id, {})[held.charter] = None
            data.setdefault(entry.wallet_id, {})[held.recovery_data] = None
        for entry, complete in chain.of(WalletComplete):
            acks.setdefault(entry.wallet_id, {})[complete.acks] = None
    for spoken in letters.of(Kind.KEYGEN_FINAL):
        assert isinstance(spoken.letter.body, KeygenFinal)
        wallet_id = spoken.letter.header.wallet_id
        data.setdefault(wallet_id, {})[spoken.letter.body.recovery_data] = None
        acks.setdefault(wallet_id, {})[spoken.letter.body.acks] = None
    found: dict[bytes, Wallet] = {}
    for _ in charters:  # a leaf may name a wallet that comes later here
        for wallet_id in charters.keys() - found.keys():
            wallet = _proven(charters[wallet_id], data.get(wallet_id, {}), acks.get(wallet_id, {}), found)
            if wallet is not None and wallet.wallet_id == wallet_id:
                found[wallet_id] = wallet
    return found


def _proven(
    charters: Iterable[bytes],
    data: Iterable[bytes],
    acks: Iterable[tuple[bytes, ...]],
    others: dict[bytes, Wallet],
) -> Wallet | None:
    for exact in charters:
        for recovery_data in data:
            try:
                wallet = read_wallet(decode(exact, Charter), recovery_data, known_keys(others))
            except (ValueError, KeygenTrouble):
                continue
            if any(wallet.acknowledged(said) for said in acks):
                return replace(wallet, complete=True)
    return None
