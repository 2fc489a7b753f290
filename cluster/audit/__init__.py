"""Judges a whole run of a cluster afterwards, from files alone: six rules, each a function of one `Run`.

Pure: what is read from disks comes in as values (`ChainFile`, `SpokenFile`), and what was found goes out as a
`Report`. It is no part of signing, and nothing in it is believed because a machine said so: letters count with their
signatures, wallets with all acknowledgements, signatures with the transaction that they finish.
"""

from cluster.audit.chains import ChainFile, Row
from cluster.audit.report import RULES, Finding, Report, Result
from cluster.audit.rules import audit
from cluster.audit.run import Run, SpokenFile, Unreadable

__all__ = [
    "ChainFile",
    "Row",
    "SpokenFile",
    "Run",
    "Unreadable",
    "audit",
    "RULES",
    "Report",
    "Result",
    "Finding",
]
