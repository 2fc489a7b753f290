"""All six rules over one run."""

from __future__ import annotations

from cluster.audit.answers import every_record
from cluster.audit.approvals import every_approval
from cluster.audit.ends import every_end
from cluster.audit.heads import every_head
from cluster.audit.nonces import every_nonce
from cluster.audit.report import Report
from cluster.audit.run import Run
from cluster.audit.spending import every_budget


def audit(run: Run) -> Report:
    """Judge a run by every rule, in order."""
    rules = (every_end, every_record, every_nonce, every_budget, every_head, every_approval)
    return Report(tuple(rule(run) for rule in rules))
