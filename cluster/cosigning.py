"""Partly signed requests as PSBTs: what our nodes gave goes out to whoever signs last, and theirs comes back in."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.messages import Cosigned, SignerPart
from cluster.outputs import aggregate_key, participant_keys
from cluster.routes import Route
from cluster.schemes import Wallet
from cluster.subjects import Subject
from taproot import (
    Contribution,
    ExtendedKey,
    SigningTask,
    Spend,
    WalletKey,
    fill,
    read_contributions,
    read_script_signatures,
    read_signatures,
    write_contributions,
    write_script_signatures,
)


def prepared(psbt: bytes, wallet: Wallet, spend: Spend, route: Route, quorum: frozenset[int]) -> bytes:
    """The PSBT with the fields that a participant needs to commit or to sign in this quorum. Raises PsbtRefused."""
    return fill(psbt, wallet.public, spend, route.leaf_for(quorum))


def with_parts(subject: Subject, parts: Sequence[SignerPart]) -> bytes:
    """The request's PSBT with everybody's nonces and partial signatures, for whoever signs last. Raises PsbtRefused."""
    wallet, quorum = subject.wallet, frozenset(part.participant for part in parts)
    leaf = subject.route.leaf_for(quorum)
    psbt = prepared(subject.psbt, wallet, subject.spend, subject.route, quorum)
    keys = participant_keys(wallet.charter)
    if not subject.route.group.gives_nonces:
        tasks = subject.tasks(quorum)
        rows = [
            [_placed(keys, parts, task, i, key) for key in _leaf_keys(task)] for i, task in enumerate(tasks)
        ]
        return write_script_signatures(psbt, tasks, rows)
    given = [Contribution(keys[p.participant].public_key, p.pubnonces, p.psigs) for p in parts]
    return write_contributions(psbt, wallet.public, subject.spend, _aggregate(subject, quorum), leaf, given)


def parts_from(subject: Subject, parts: Sequence[SignerPart], psbt: bytes) -> tuple[SignerPart, ...]:
    """What participants that are no nodes added to a partly signed PSBT. Raises PsbtRefused.

    Args:
        parts: what everybody had given when the PSBT went out.
    """
    wallet, quorum = subject.wallet, frozenset(part.participant for part in parts)
    keys = participant_keys(wallet.charter)
    outside = sorted(subject.route.outsiders)
    if not subject.route.group.gives_nonces:
        return script_parts(subject.route, wallet, subject.spend, subject.tasks(quorum), psbt)
    leaf = subject.route.leaf_for(quorum)
    given = read_contributions(psbt, wallet.public, subject.spend, _aggregate(subject, quorum), leaf)
    by_key = {contribution.public_key: contribution for contribution in given}
    found = [(i, by_key[keys[i].public_key]) for i in outside if keys[i].public_key in by_key]
    return tuple(SignerPart(i, one.pubnonces, one.psigs) for i, one in found if one.psigs)


def answer_in(subject: Subject, parts: Sequence[SignerPart], psbt: bytes) -> Cosigned:
    """What whoever signs last put into a PSBT: its parts, or whole signatures. Raises PsbtRefused.

    Args:
        parts: as for `parts_from`.
    """
    whole = read_signatures(psbt, subject.tasks(frozenset(part.participant for part in parts)))
    return Cosigned(parts_from(subject, parts, psbt)) if whole is None else Cosigned((), whole)


def script_parts(
    route: Route, wallet: Wallet, spend: Spend, tasks: Sequence[SigningTask], psbt: bytes
) -> tuple[SignerPart, ...]:
    """The valid signatures for a leaf of plain keys that participants who are no nodes put into a PSBT."""
    keys = participant_keys(wallet.charter)
    by_input = read_script_signatures(psbt, spend, tasks)
    found = []
    for i in sorted(route.outsiders):
        key = WalletKey(keys[i])
        signed = [
            have.get(key.child(t.path)[0].xonly(), b"") for have, t in zip(by_input, tasks, strict=True)
        ]
        if all(signed):
            found.append(SignerPart(i, (), tuple(signed)))
    return tuple(found)


def _aggregate(subject: Subject, quorum: frozenset[int]) -> WalletKey:
    keys = participant_keys(subject.wallet.charter)
    return aggregate_key(tuple(keys[i] for i in sorted(quorum)))


def _leaf_keys(task: SigningTask) -> tuple[bytes, ...]:
    return () if task.leaf is None else task.leaf.keys


def _placed(
    keys: Sequence[ExtendedKey], parts: Sequence[SignerPart], task: SigningTask, i: int, wanted: bytes
) -> bytes:
    for part in parts:
        key = keys[part.participant]
        if part.psigs and WalletKey(key).child(task.path)[0].xonly() == wanted:
            return part.psigs[i]
    return b""
