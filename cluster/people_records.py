"""What the records of a person's device say: the wallets that it knows, and when what was said last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cluster.charter import Charter
from cluster.codec import decode, open_inner
from cluster.journal import PersonSaidKept, WalletKept, read
from cluster.messages import Kind, PersonSays
from cluster.records import Record
from cluster.restoring import sense_made_of
from cluster.schemes import Wallet, known_keys, read_wallet


def known_wallets(records: Iterable[Record]) -> dict[bytes, Wallet]:
    """The wallets that a person's records hold, by wallet id; ValueError when one makes no sense."""
    found: dict[bytes, Wallet] = {}
    for height, record in enumerate(records):
        with sense_made_of(record, height):
            entry = read(record)
            if isinstance(entry, WalletKept):
                wallet = read_wallet(decode(entry.charter, Charter), entry.recovery_data, known_keys(found))
                found[wallet.wallet_id] = replace(wallet, complete=True)
    return found


def last_said(records: Iterable[Record]) -> dict[bytes, int]:
    """When this person said their newest word of each spend: the next one must be newer."""
    found: dict[bytes, int] = {}
    for height, record in enumerate(records):
        with sense_made_of(record, height):
            entry = read(record)
            if isinstance(entry, PersonSaidKept):
                body = open_inner(entry.word, Kind.PERSON_SAYS).body
                assert isinstance(body, PersonSays)
                found[body.spend_id] = max(found.get(body.spend_id, 0), body.said_at_ms)
    return found
