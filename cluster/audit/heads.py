"""N5: every chain holds by itself, and every head that was stated of it lies on it.

A chain that was altered and hashed anew is whole in itself. What it cannot bring along is what its machine told
others: heads in verdicts, greetings and notes, and the boot ids under which it spoke.
"""

from __future__ import annotations

from itertools import combinations

from cluster.audit.chains import Chain
from cluster.audit.rebuilt import lost_lives, say_lost
from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.head_records import QuarantineKept
from cluster.records import Head, record_hash


def every_head(run: Run) -> Result:
    """Judge N5."""
    result = Result("N5", "records and stated heads")
    for chain in run.chains:
        result.checked += len(chain.source.rows)
        _alone(chain, result)
    _copies(run, result)
    _stated(run, result)
    _boots(run, result)
    say_lost(run, result)
    result.gaps += [
        f"no database of {name}" for role in ("node", "coordinator") for name in run.missing(role)
    ]
    if not run.transcripts:
        result.gaps.append("no transcript, so few heads are known to others")
    return result


def _alone(chain: Chain, result: Result) -> None:
    """The links of one chain, its tables, its records, and the note beside it."""
    if chain.source.altered:
        result.findings.append(Finding(chain.name, chain.file, chain.source.altered))
    head = Head()
    for row in chain.source.rows:
        expected = record_hash(head.hash, head.height, row.record)
        if (row.height, row.prev, row.hash) != (head.height, head.hash, expected):
            text = "a record does not follow the one before it"
            result.findings.append(Finding(chain.name, chain.file, text, row.height))
            break
        head = Head(head.height + 1, expected)
    for height, why in chain.senseless:
        result.findings.append(Finding(chain.name, chain.file, f"a record makes no sense ({why})", height))
    for _, kept in chain.of(QuarantineKept):
        result.notes.append(
            f"{chain.name}: its chain ended at {kept.height:_} records and had been at {kept.seen_height:_}; "
            f"it stopped until its owner let it go on ({chain.file})"
        )
    noted = chain.source.noted
    if chain.heads.get(noted.hash) != noted.height:
        text = f"its own note saw {noted.height:_} records, and this is another or older chain"
        result.findings.append(Finding(chain.name, chain.file, text))


def _copies(run: Run, result: Result) -> None:
    """Two databases of one machine: one may be an older copy of the other, or the chain has forked."""
    for one, other in combinations(run.chains, 2):
        if one.identity != other.identity:
            continue
        if one.begins(other) or other.begins(one):
            older = one if len(one.entries) < len(other.entries) else other
            result.notes.append(f"{older.file} is an older copy of {older.name}'s chain")
        elif one.succeeds(other) or other.succeeds(one):
            result.notes.append(
                f"{one.file} and {other.file} are {one.name}'s, before and after it was rebuilt"
            )
        else:
            pairs = zip(one.source.rows, other.source.rows, strict=False)
            height = next((a.height for a, b in pairs if a.hash != b.hash), 0)
            text = f"its chain forked: {one.file} goes on otherwise"
            result.findings.append(Finding(other.name, other.file, text, height))


def _stated(run: Run, result: Result) -> None:
    told: set[bytes] = set()
    lost = {chain.identity: lost_lives(run, chain.identity) for chain in run.chains}
    for stated in run.letters.heads:
        chains = [chain for chain in run.chains if chain.identity == stated.sender]
        if not chains or stated.letter.header.boot_id in lost[stated.sender]:
            continue
        result.checked += 1
        if any(chain.heads.get(stated.hash) == stated.height for chain in chains):
            continue
        if stated.sender not in told:  # one breach: all later heads lie beside the chain as well
            told.add(stated.sender)
            text = "stated a head that does not lie on its chain"
            request_id = stated.letter.header.request_id.strip(b"\0") and stated.letter.header.request_id
            result.findings.append(
                Finding(chains[0].name, stated.where, text, stated.height, request_id or b"")
            )


def _boots(run: Run, result: Result) -> None:
    """Whoever speaks under a boot id has a record of that start."""
    for (sender, boot_id), where in run.letters.boot_letters.items():
        chains = [chain for chain in run.of_role("node", "coordinator") if chain.identity == sender]
        known = any(boot_id in chain.boots for chain in chains)
        if chains and not known and boot_id not in lost_lives(run, sender):
            text = "spoke in a life that its chain knows nothing of"
            result.findings.append(Finding(chains[0].name, where, text))
