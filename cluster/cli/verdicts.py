"""What a client tells of the nodes' verdicts, and which error a request that did not end in a signature is."""

from __future__ import annotations

from typing import Protocol

from cluster.cli.output import Facts, Output
from cluster.client_views import NodeView, SigningView
from cluster.errors import ClusterError, Misbehaviour, NoQuorum, PeerError, Refused, Waiting
from cluster.heads import UNPROVEN
from cluster.messages import Decision, Verdict
from cluster.roster import Roster
from cluster.subjects import request_number
from policy.tags import ASK_NUMBER

__all__ = ["Verdicts", "outcome_error", "tell_news"]

_SAID = {
    Decision.APPROVE: "approves",
    Decision.ASK: "asks its owner",
    Decision.WAIT: "waits",
    Decision.REFUSE: "refuses",
}


_UNPROVEN = (
    "rollback-unproven: since its restart too few peers told that node that its records are the newest; start the "
    "others, or end the wait there (assent quarantine end), at the price of used-up budgets; an anchor avoids it"
)

_PEOPLE = {"policy-ask-people", "policy-ask-distinct"}


class _Seen(Protocol):
    """A request whose nodes have spoken, or not."""

    @property
    def nodes(self) -> dict[bytes, NodeView]:
        """By identity key."""


class Verdicts:
    """Each node's newest word: a verdict only with its own signature, its reach as the coordinator says."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._told: dict[bytes, str] = {}
        self._nodes: dict[bytes, NodeView] = {}

    def news(self, view: _Seen) -> list[str]:
        """What has changed since the last call, a line each."""
        self._nodes = view.nodes
        lines = []
        for node, seen in view.nodes.items():
            said = _said(seen)
            if said and self._told.get(node) != said:
                self._told[node] = said
                lines.append(f"{self._roster.name_of(node)}: {said}")
        return lines

    def named(self, *decisions: Decision) -> list[str]:
        """Whoever decided so, with the codes."""
        return [
            f"{self._roster.name_of(node)}{_codes(seen)}"
            for node, seen in self._nodes.items()
            if seen.verdict is not None and seen.verdict.decision in decisions
        ]

    def ways_out(self) -> list[str]:
        """What helps where a node waits for its peers and not for its owner."""
        codes = {
            code for seen in self._nodes.values() if seen.verdict is not None for code in seen.verdict.codes
        }
        return [_UNPROVEN] if UNPROVEN in codes else []

    def reached(self, *reaches: str) -> list[str]:
        """Whoever stands so."""
        return [self._roster.name_of(node) for node, seen in self._nodes.items() if seen.reach in reaches]

    def willing(self) -> int:
        """How many can be reached and have not refused: as many as could sign, once asked and answered."""
        return sum(
            seen.reach == "online" and seen.verdict is not None and not seen.refuses
            for seen in self._nodes.values()
        )

    def facts(self) -> list[Facts]:
        """The same for `--json`."""
        return [
            {
                "node": self._roster.name_of(node),
                "reach": seen.reach,
                "decision": None if seen.verdict is None else Decision(seen.verdict.decision).name.lower(),
                "codes": [] if seen.verdict is None else list(seen.verdict.codes),
            }
            for node, seen in self._nodes.items()
        ]


def tell_news(output: Output, verdicts: Verdicts, view: SigningView) -> None:
    """Say what has changed; the number, where an owner must type it; and what helps a node that waits for its peers."""
    ways_out = verdicts.ways_out()
    for told in verdicts.news(view):
        output.talk(f"  {told}")
        if ASK_NUMBER in told:
            number = request_number(view.subject.request_id)
            output.talk(f"  the number for that owner: {number} (assent approve ID --number {number})")
    for way in verdicts.ways_out() if not ways_out else ():
        output.talk(f"  {way}")


def outcome_error(view: SigningView, verdicts: Verdicts, where: str, *, heard: bool) -> ClusterError:
    """Why there is no signature (yet), as the error whose exit code says so (DESIGN 9)."""
    again = "; ".join([*verdicts.ways_out(), "give the same command again to go on"])
    refusing = verdicts.named(Decision.REFUSE)
    misbehaved = verdicts.reached("misbehaved")
    if view.state == "refused":
        return Refused(f"refused by {', '.join(refusing) or 'too many nodes'}")
    if view.state == "rejected":
        return Refused(f"the coordinator did not take the request ({', '.join(view.codes) or 'no code'})")
    if view.state == "expired":
        return NoQuorum("the request expired before enough nodes had approved; ask anew")
    if view.state == "closed":
        return NoQuorum(f"the request was given up ({', '.join(view.codes) or 'no code'}); ask anew")
    if misbehaved:
        return Misbehaviour(
            f"{', '.join(misbehaved)} misbehaved (an invalid partial signature), and there is no quorum"
        )
    if not heard and not view.nodes:
        return PeerError(f"{where} did not answer")
    asking = verdicts.named(Decision.ASK, Decision.WAIT)
    away = verdicts.reached("unreachable", "version-mismatch")
    if asking and verdicts.willing() >= view.subject.route.approvals:
        return Waiting(f"waiting for {', '.join(asking)}; {again}")
    parts = (
        ("refused by ", refusing),
        ("waiting for ", asking),
        ("cannot reach ", away),
    )
    why = "; ".join(said + ", ".join(who) for said, who in parts if who) or "no signature in time"
    return NoQuorum(f"no quorum: {why}; {again}")


def _said(seen: NodeView) -> str:
    if seen.reach == "misbehaved":
        return "MISBEHAVED (an invalid partial signature), as the coordinator says"
    if seen.verdict is not None:
        return _decided(seen.verdict) + _codes(seen)
    return {"unreachable": "cannot be reached", "version-mismatch": "runs another version"}.get(
        seen.reach, ""
    )


def _decided(verdict: Verdict) -> str:
    """What a node decided, in words; asking, whom it asks."""
    decision = Decision(verdict.decision)
    if decision is not Decision.ASK or not _PEOPLE & set(verdict.codes):
        return _SAID[decision]
    alone = set(verdict.codes) <= _PEOPLE
    return "waits for people of the roster" if alone else "asks its owner, and people of the roster"


def _codes(seen: NodeView) -> str:
    return f" ({', '.join(seen.verdict.codes)})" if seen.verdict is not None and seen.verdict.codes else ""
