"""What participants who are no nodes bring to a request, read from its PSBT: nonces beforehand, or signatures.

An outsider that cosigns by MuSig2 commits first: its public nonces stand in the PSBT that the client signed. One that
signs a plain leaf key may sign at any time. Neither writes a verdict, and neither ever sees our nonces twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.outputs import participant_keys
from cluster.routes import Route
from cluster.scheme import Signer
from cluster.schemes import Wallet
from taproot import (
    Leaf,
    SigningTask,
    Spend,
    WalletKey,
    read_script_signatures,
    read_ways,
)


@dataclass(frozen=True, slots=True)
class Offers:
    """What outsiders brought.

    Attributes:
        signers: for each quorum whose outsiders all committed: they, with their public nonces.
        signatures: of each outsider that signed a plain leaf: one signature (64 bytes) per task.
    """

    signers: Mapping[frozenset[int], tuple[Signer, ...]] = field(default_factory=dict)
    signatures: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)

    def quorums(self, route: Route) -> tuple[frozenset[int], ...] | None:
        """Who may sign together now, the preferred first; None where any `least` nodes or more may."""
        if route.quorums is None:
            return None
        if route.group.gives_nonces:
            return tuple(q for q in route.quorums if q <= route.nodes or q in self.signers)
        fewest = min(len(quorum - route.nodes) for quorum in route.quorums)
        return tuple(
            quorum
            for quorum in route.quorums
            if quorum & route.nodes
            and (len(quorum - route.nodes) == fewest or quorum - route.nodes <= self.signatures.keys())
        )

    def of(self, quorum: frozenset[int], route: Route) -> tuple[Signer, ...]:
        """The outsiders of a quorum as signers."""
        if route.group.gives_nonces:
            return self.signers.get(quorum, ())
        return tuple(Signer(participant, ()) for participant in sorted(quorum - route.nodes))


def read_offers(
    psbt: bytes, spend: Spend, wallet: Wallet, route: Route, tasks: tuple[SigningTask, ...]
) -> Offers:
    """What outsiders brought to this request. Raises PsbtRefused for half-filled or malformed fields.

    Args:
        tasks: the signing tasks, where they do not depend on who signs.
    """
    outsiders = route.outsiders
    if not outsiders:
        return Offers()
    keys = {participant: key.public_key for participant, key in enumerate(participant_keys(wallet.charter))}
    if not route.group.gives_nonces:
        return Offers(signatures=_signatures(psbt, spend, wallet, route, tasks))
    found = {}
    several = [quorum for quorum in route.quorums or () if quorum - route.nodes]
    leaves = [route.leaf_for(quorum) for quorum in several]
    ways = [(_key(wallet, leaf), leaf) for leaf in leaves]
    for quorum, contributions in zip(several, read_ways(psbt, wallet.public, spend, ways), strict=True):
        outside = sorted(quorum - route.nodes)
        said = {one.public_key: one for one in contributions}
        given = [said[keys[p]].pubnonces if keys[p] in said else () for p in outside]
        if all(given) and all(map(route.group.takes_nonces, given)):
            found[quorum] = tuple(Signer(p, nonces) for p, nonces in zip(outside, given, strict=True))
    return Offers(found)


def _key(wallet: Wallet, leaf: Leaf | None) -> WalletKey:
    return wallet.public.key if leaf is None else leaf.keys[0]


def _signatures(
    psbt: bytes, spend: Spend, wallet: Wallet, route: Route, tasks: tuple[SigningTask, ...]
) -> dict[int, tuple[bytes, ...]]:
    keys = participant_keys(wallet.charter)
    by_input = read_script_signatures(psbt, spend, tasks)
    found = {}
    for participant in sorted(route.outsiders):
        children = [WalletKey(keys[participant]).child(task.path)[0].xonly() for task in tasks]
        given = [signed.get(child) for signed, child in zip(by_input, children, strict=True)]
        if None not in given:
            found[participant] = tuple(one for one in given if one is not None)
    return found
