"""What a drill is: the challenge that nodes sign to show that they still can, and why it can be nothing else.

Every node makes the message itself, from the fields of the client's letter, under the tag `assent/drill/v1`. What a
transaction commits to, and what BIP 322 signs, is hashed under the tag `TapSighash`: to be both, two hashes would
have to collide. And the key is another one: the wallet's key moved by a tweak of its own, under which no address
lies. A BIP 340 challenge commits to the key, so a signature under this one is worth nothing under any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.approvals import CLOCK_SKEW_MS
from cluster.codec import BadLetter, Letter
from cluster.drill_letters import DrillRequest, DrillRound
from cluster.scheme import Signer
from cluster.schemes import Route, Wallet
from curve import Tweak, TweakContext, schnorr_verify, tagged_hash
from taproot import SigningTask, WalletPath

DRILL_LIFE_MS = 15 * 60_000
"""How long a drill may take; its request says no more."""

DRILL_DUE_MS = 90 * 86_400_000
"""After so long without a drill, one is due."""


def drill_id(wallet_id: bytes, client: bytes, body: DrillRequest) -> bytes:
    """What a drill is called: everything that decides what is signed."""
    return tagged_hash(
        "assent/drill/id/v1", wallet_id, client, body.nonce, body.said_at_ms.to_bytes(8, "big"), body.copy
    )


def round_id(drill: bytes, number: int) -> bytes:
    """What one round is called; nonces are kept under it."""
    return tagged_hash("assent/drill/round/v1", drill, number.to_bytes(4, "big"))


def copy_digest(wallet: Wallet) -> bytes:
    """What a copy of a wallet comes to: charter, recovery data, descriptor and first addresses, as all acknowledged."""
    return tagged_hash("assent/drill/copy/v1", wallet.acknowledgement)


def challenge(wallet: Wallet, drill: bytes, number: int) -> SigningTask:
    """What is signed in one round."""
    message = tagged_hash("assent/drill/v1", wallet.wallet_id, round_id(drill, number))
    tweak = Tweak(tagged_hash("assent/drill/key/v1", wallet.wallet_id), False)
    return SigningTask(0, message, 0, (tweak,), WalletPath(0, 0))


def read_request(inner: Letter, cluster_id: bytes, wall_ms: int) -> DrillRequest:
    """A client's request for a drill, in force now; BadLetter says what is wrong with any other."""
    body, header = inner.body, inner.header
    assert isinstance(body, DrillRequest)
    if header.cluster_id != cluster_id:
        raise BadLetter("letter-cluster", "the drill is of another cluster")
    if header.request_id != drill_id(header.wallet_id, header.sender, body):
        raise BadLetter("drill-id", "the drill's id is not that of what it says")
    if not wall_ms <= header.expires_at_ms <= wall_ms + DRILL_LIFE_MS + CLOCK_SKEW_MS:
        raise BadLetter("drill-expired", "the drill is over, or claims to last for long")
    return body


def quorums_of(route: Route) -> tuple[frozenset[int], ...] | None:
    """Who may be drilled together: of a tree, the quorums that are nodes only; None where any t or more may."""
    if route.quorums is None:
        return None
    return tuple(quorum for quorum in route.quorums if quorum <= route.nodes)


def next_signers(route: Route, ready: frozenset[int], proven: frozenset[int]) -> frozenset[int]:
    """Who signs the next round, of those who are ready: as many as can who have not shown it yet; perhaps none."""
    quorums = quorums_of(route)
    if quorums is None:
        return ready if len(ready) >= route.least and ready - proven else frozenset()
    possible = [quorum for quorum in quorums if quorum <= ready and quorum - proven]
    return max(possible, key=lambda quorum: len(quorum - proven), default=frozenset())


def proves(wallet: Wallet, drill: bytes, done: DrillRound) -> bool:
    """Whether the signature of a round is one of exactly these participants, under the drill's own key."""
    route, chosen = wallet.routes[""], frozenset(done.participants)
    if len(chosen) != len(done.participants) or not chosen <= route.nodes or not route.admits(chosen):
        return False
    task = challenge(wallet, drill, done.round)
    try:
        key = TweakContext.start(route.group.point(sorted(chosen))).apply_all(task.tweaks)
    except ValueError:
        return False
    return schnorr_verify(key.xonly(), task.sighash, done.signature)


def proven(wallet: Wallet, drill: bytes, rounds: Iterable[DrillRound]) -> frozenset[int]:
    """The participants whose shares these rounds show to sign."""
    return frozenset().union(*(done.participants for done in rounds if proves(wallet, drill, done)))


@dataclass(frozen=True, slots=True)
class Entry:
    """One signer of a round, as its own letter says."""

    participant: int
    pubnonces: tuple[bytes, ...]


def signers_of(entries: Sequence[Entry]) -> tuple[Signer, ...]:
    """The same for a session."""
    return tuple(Signer(entry.participant, entry.pubnonces) for entry in entries)
