"""A participant that is no node: it holds one key, reads PSBTs, commits first and signs last."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.charter import Outsider
from cluster.messages import SignerPart
from cluster.outputs import aggregate_key, participant_keys
from cluster.schemes import Wallet
from cluster.subjects import Subject
from curve import SecretScalar, schnorr_sign, tagged_hash, tweaked_secret
from musig2 import AggregateKey, KeyShare, SignerSession
from taproot import (
    Contribution,
    ExtendedKey,
    Network,
    WalletKey,
    fill,
    read_spend,
    write_contributions,
)


class Outsiderly:
    """One such participant, from a label."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.secret = SecretScalar.from_bytes(tagged_hash("test/outsider", name.encode()))
        self.key = ExtendedKey(
            self.secret.point().to_bytes(), tagged_hash("test/outsider/chain-code", name.encode())
        )
        self._share = KeyShare(self.secret)
        self._sessions: list[SignerSession] = []

    def entry(self, *, cosigns: bool = True) -> Outsider:
        """What a charter says of it."""
        return Outsider(self.name, self.key.expression(Network.REGTEST), cosigns)

    def commit(self, wallet: Wallet, psbt: bytes, quorum: Sequence[int], leaf_name: str = "") -> bytes:
        """The PSBT with its fresh nonces for this quorum."""
        keys = participant_keys(wallet.charter)
        route = wallet.routes[leaf_name]
        leaf = route.leaf_for(frozenset(quorum))
        key = aggregate_key(tuple(keys[i] for i in sorted(quorum)))
        spend = read_spend(psbt, wallet.public, leaf=route.leaf)
        self._sessions = [
            SignerSession.open(self._share, rand=tagged_hash("test/outside-nonce", psbt, bytes([i])))
            for i in range(len(spend.inputs))
        ]
        given = Contribution(self.key.public_key, tuple(session.pubnonce for session in self._sessions))
        return write_contributions(
            fill(psbt, wallet.public, spend, leaf), wallet.public, spend, key, leaf, [given]
        )

    def sign(self, subject: Subject, parts: Sequence[SignerPart]) -> SignerPart:
        """Its part of a session in which everybody else has signed."""
        charter = subject.wallet.charter
        keys = participant_keys(charter)
        me = keys.index(self.key)
        quorum = frozenset(part.participant for part in parts)
        tasks = subject.tasks(quorum)
        if not subject.route.group.gives_nonces:
            return SignerPart(me, (), tuple(self._single(subject, i) for i in range(len(tasks))))
        aggregate = aggregate_key(tuple(keys[i] for i in sorted(quorum)))
        by_key = {keys[part.participant].public_key: part.pubnonces for part in parts}
        ordered = [participant.public_key for participant in aggregate.participants]
        psigs = tuple(
            session.sign(
                AggregateKey.of(ordered),
                [by_key[key][i] for key in ordered],
                tweaks=task.tweaks,
                msg=task.sighash,
            )
            for i, (session, task) in enumerate(zip(self._sessions, tasks, strict=True))
        )
        return SignerPart(me, by_key[self.key.public_key], psigs)

    def _single(self, subject: Subject, i: int) -> bytes:
        task = subject.tasks(frozenset())[i]
        _, tweaks = WalletKey(self.key).child(task.path)
        return schnorr_sign(tweaked_secret(self.secret, tweaks), task.sighash, bytes(32))
