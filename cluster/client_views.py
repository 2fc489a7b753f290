"""What a client knows of what it asked, and what it believes of the answers, which is what it can verify itself.

A verdict counts as its node's with the node's signature, a transaction when it verifies whole, a wallet with its
recovery data and every member's acknowledgement; states and reach are the coordinator's word.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cluster.approvals import read_verdict
from cluster.charter import Charter
from cluster.codec import BadLetter, open_inner
from cluster.messages import (
    PROTOCOL_VERSION,
    Decision,
    Final,
    Heartbeat,
    Hello,
    KeygenFinal,
    Kind,
    SignedLetter,
    SignerPart,
    Status,
    Verdict,
)
from cluster.scheme import Known
from cluster.schemes import SCHEMES, Blame, KeygenTrouble, Wallet, read_wallet
from cluster.subjects import BadRequest, Signed, Subject, check_parts
from taproot import FinalTransaction

ENDED = frozenset({"refused", "rejected", "expired", "closed", "failed"})
"""The states in which nothing more is said of a request or a proposed wallet."""


@dataclass(slots=True)
class NodeView:
    """One node as far as the client knows: the coordinator's word on its reach, its own signed verdict or heartbeat."""

    reach: str
    verdict: Verdict | None = None
    signed: SignedLetter | None = None
    beat: Heartbeat | None = None

    @property
    def refuses(self) -> bool:
        """Whether it refuses, by its own signature."""
        return self.verdict is not None and self.verdict.decision is Decision.REFUSE


@dataclass(slots=True)
class SigningView:
    """One request as far as the client knows; `given_up_by` is who said that nothing comes of it, after which turn."""

    subject: Subject
    request: SignedLetter
    state: str = "unsent"
    codes: tuple[str, ...] = ()
    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    final: FinalTransaction | None = None
    signed: Signed | None = None
    parts: tuple[SignerPart, ...] = ()
    given_up_by: dict[bytes, int] = field(default_factory=dict)

    def hear(self, status: Status, wall_ms: int) -> None:
        """How the coordinator says that it stands; what is signed stays so."""
        if self.final is not None:
            return
        self.state, self.codes = status.state, status.codes
        hear_nodes(self.nodes, status, self.subject.wallet.charter, self.subject.request_id, wall_ms)

    @property
    def open(self) -> bool:
        """Whether something may still come of it: a state such as `final` is none without what proves it."""
        return self.final is None and not self.parts and self.state not in ENDED

    @property
    def hopeless(self) -> bool:
        """Whether those who are said to have misbehaved, and those who refuse, leave too few to sign."""
        misbehaved = {node for node, seen in self.nodes.items() if seen.reach == "misbehaved"}
        return bool(misbehaved) and not self._possible_without(
            misbehaved | {node for node, seen in self.nodes.items() if seen.refuses}
        )

    def is_over(self, wall_ms: int) -> bool:
        """Whether it needs nobody's word that nothing comes of it: its time is over, or nodes sign that they refuse."""
        if self.state == "expired" and open_inner(self.request, Kind.REQUEST).header.expires_at_ms < wall_ms:
            return True
        refusing = {
            node
            for node, seen in self.nodes.items()
            if seen.verdict is not None and seen.refuses and seen.verdict.expires_at_ms >= wall_ms
        }
        return not self._possible_without(refusing)

    def ask_another(self) -> None:
        """Nothing that a coordinator said of it counts any more, but what nodes signed."""
        self.state, self.codes = "unsent", ()
        for seen in self.nodes.values():
            seen.reach = "" if seen.reach == "misbehaved" else seen.reach

    def _possible_without(self, nodes: set[bytes]) -> bool:
        return self.subject.possible_without(self.subject.wallet.charter.participants(nodes))

    def hear_parts(self, parts: tuple[SignerPart, ...]) -> None:
        """The nodes' part of the signatures: believed only when each is valid for this very request.

        The first stays: whoever signs last committed to nonces once, and two files of them would take its key.
        """
        if self.final is not None:
            return
        try:
            check_parts(self.subject, parts)
        except (Blame, BadRequest, ValueError) as bad:
            raise BadLetter("parts-invalid", str(bad)) from None
        self.state, self.parts = "cosigning", self.parts or parts

    def hear_final(self, final: Final) -> None:
        """The signatures: believed only when they finish this very request, into this very transaction."""
        try:
            signed = Signed(final.signatures, final.signers)
            finished = self.subject.finish(signed)
        except BadRequest as bad:
            raise BadLetter("final-invalid", str(bad)) from None
        if finished.tx != final.transaction:
            raise BadLetter("final-invalid", "the transaction is not what these signatures finish")
        self.state, self.final, self.signed = "final", finished, signed


@dataclass(slots=True)
class KeygenView:
    """One proposed wallet as far as the client knows."""

    charter: Charter
    request: SignedLetter
    state: str = "unsent"
    codes: tuple[str, ...] = ()
    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    wallet: Wallet | None = None
    acks: tuple[bytes, ...] = ()

    def hear(self, status: Status) -> None:
        """How the coordinator says that it stands; a wallet that is here stays so."""
        if self.wallet is not None:
            return
        self.state, self.codes = status.state, status.codes
        self.nodes = {node.node: NodeView(node.reach) for node in status.nodes}

    def hear_final(self, final: KeygenFinal, known: Known) -> None:
        """The wallet: believed with recovery data that fits the charter, and every member's acknowledgement."""
        try:
            wallet = read_wallet(self.charter, final.recovery_data, known)
        except KeygenTrouble as trouble:
            raise BadLetter(trouble.code, "the recovery data does not fit the charter") from None
        if not wallet.acknowledged(final.acks):
            raise BadLetter("keygen-acks", "an acknowledgement is missing")
        self.state, self.codes, self.acks = "complete", (), final.acks
        self.wallet = replace(wallet, complete=True)


@dataclass(slots=True)
class ClusterView:
    """Who the coordinator says is there."""

    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    heard: bool = False


def check_versions(hello: Hello) -> None:
    """BadLetter, with both versions named, for a coordinator that speaks others than this program."""
    if hello.protocol != PROTOCOL_VERSION or hello.schemes != SCHEMES:
        raise BadLetter(
            "version-mismatch",
            f"the coordinator speaks protocol {hello.protocol}, {', '.join(hello.schemes)}; "
            f"this program {PROTOCOL_VERSION}, {', '.join(SCHEMES)}",
        )


def hear_nodes(
    nodes: dict[bytes, NodeView], status: Status, charter: Charter, request_id: bytes, wall_ms: int
) -> None:
    """Take what a status says of each node: a verdict only with that node's signature. BadLetter for any other."""
    for node in status.nodes:
        if charter.participant(node.node) is None:
            raise BadLetter("status-stranger", "a status about somebody who is no member")
        shown = nodes.setdefault(node.node, NodeView(node.reach))
        shown.reach = node.reach
        if node.verdict is None or node.verdict == shown.signed:
            continue  # nothing said, or what was checked before
        letter = read_verdict(node.verdict, charter, request_id, wall_ms)
        if letter.header.sender != node.node:
            raise BadLetter("status-verdict", "a verdict under another node's name")
        assert isinstance(letter.body, Verdict)
        shown.verdict, shown.signed = letter.body, node.verdict
