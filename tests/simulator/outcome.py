"""What came of a seed: what the audit found in its files, and what the run itself showed to be wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from simulator.losses import Losses

from cluster.audit import Finding, Report

REQUESTS = 20
"""A run has at least so many requests."""

FAULTS = 5
"""And at least so many faults."""


@dataclass
class Outcome:
    """What came of a seed."""

    seed: int
    report: Report
    evil: frozenset[str]
    requests: int
    faults: Counter[str]
    finals: int
    digest: str
    lively: bool
    unheard: str
    """Which honest node hears which no more, once all is well again; "" for none."""
    losses: Losses
    by_leaf: int
    """How many of the signed spends went by a recovery leaf."""

    @property
    def breaches(self) -> tuple[tuple[str, Finding], ...]:
        """What the audit found against anybody who was not made evil."""
        return tuple(
            (rule, finding)
            for rule, finding in self.report.findings
            if finding.party not in self.evil
            and not self._by_puppet(rule, finding)
            and not self.losses.explains(rule, finding)
        )

    def _by_puppet(self, rule: str, finding: Finding) -> bool:
        """Whoever else has the coordinator's key speaks in a life of its own, and tells nodes false endings."""
        lies = {"N5": "spoke in a life", "N1": "told of a final transaction"}
        known = rule in lies and finding.text.startswith(lies[rule])
        return finding.party == "coord" and known and self.faults["evil coordinator"] > 0

    @property
    def faulty(self) -> str:
        """What is wrong with it, in a line; "" where nothing."""
        if self.breaches:
            rule, finding = self.breaches[0]
            return f"{rule}: {finding.line}"
        if self.losses.wrong:
            return self.losses.wrong
        gaps = [gap for r in self.report.results for gap in r.gaps if not self.losses.expects(gap)]
        if gaps:
            return f"not proven: {gaps[0]}"
        if self.requests < REQUESTS or self.faults.total() < FAULTS:
            return f"a run of {self.requests} requests and {self.faults.total()} faults is none"
        if self.unheard:
            return f"{self.unheard} once all was well again"
        return "" if self.lively else "an honest request was not signed once all was well again"
