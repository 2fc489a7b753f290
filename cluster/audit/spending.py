"""N4: no more was spent than the policies on record allow, counted anew from the requests themselves.

Each node by itself: whatever it signed fitted its part of every limit over time in `limits.velocity` of the profile
that was in force, base and all. And the wallet as a whole: where all nodes state the same limit, what they signed
together stays within it. Limits of a single tier are not counted here, as no record says which tier decided; and a
rescue, which no budget stops, only takes room from what comes after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cluster.audit.budget_model import Spend, at_most, breaches, inside, layers, limits, part_of, start_of
from cluster.audit.chains import Chain, Entry
from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.journal import AnswerKept, FinalKept, PolicyKept, RecoveredKept, SignedKept, UsedKept
from cluster.records import NO_WALLET
from cluster.schemes import Wallet
from cluster.subjects import Subject
from policy import Profile
from policy.rescuing import is_rescue
from policy.windows import Velocity


@dataclass(slots=True)
class _Book:
    """What one node had signed of each wallet, and by what it went, while its chain is read."""

    policies: dict[bytes, PolicyKept] = field(default_factory=dict)
    spends: dict[bytes, list[Spend]] = field(default_factory=dict)
    used: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    yes: dict[bytes, bool] = field(default_factory=dict)
    rescues: set[bytes] = field(default_factory=set)
    exhausted_ms: int | None = None


def every_budget(run: Run) -> Result:
    """Judge N4."""
    result = Result("N4", "spends signed")
    profiles = _Profiles(run)
    books: dict[bytes, _Book] = {}
    for chain in run.of_role("node"):
        books[chain.identity] = _node(run, chain, profiles, result)
    for wallet in run.wallets.values():
        _together(wallet, books, profiles, run, result)
    result.gaps += [f"no database of {name}" for name in run.missing("node")]
    return result


class _Profiles:
    """The profiles on record, each read once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._read: dict[tuple[str, str], Profile | None] = {}

    def of(self, kept: PolicyKept) -> Profile | None:
        """The profile; None where it no longer loads, so that the digest shows nothing."""
        key = (kept.text, kept.base)
        if key not in self._read:
            try:
                self._read[key] = self._run.read_texts(*key)
            except ValueError:
                self._read[key] = None
        return self._read[key]


def _node(run: Run, chain: Chain, profiles: _Profiles, result: Result) -> _Book:
    book = _Book()
    for entry in chain.entries:
        match entry.body:
            case PolicyKept() as kept:
                book.policies[entry.wallet_id] = kept
                profile = profiles.of(kept)
                if profile is None or profile.digest != kept.digest:
                    text = "a profile on record is not the one of its digest"
                    result.findings.append(Finding(chain.name, chain.file, text, entry.height))
            case RecoveredKept(at_ms=at_ms):
                book.exhausted_ms = max(book.exhausted_ms or 0, at_ms)
            case AnswerKept(spend_id=spend_id, yes=yes):
                book.yes[spend_id] = yes
            case SignedKept() as kept:
                _signed(run, chain, entry, kept, book, profiles, result)
                _saw(book, entry.wallet_id, kept)
            case FinalKept() | UsedKept() as kept:
                _saw(book, entry.wallet_id, kept)
            case _:
                pass
    return book


def _saw(book: _Book, wallet_id: bytes, kept: SignedKept | FinalKept | UsedKept) -> None:
    receive, change = book.used.get(wallet_id, (0, 0))
    book.used[wallet_id] = (max(receive, kept.next_receive), max(change, kept.next_change))


def _signed(
    run: Run,
    chain: Chain,
    entry: Entry,
    kept: SignedKept,
    book: _Book,
    profiles: _Profiles,
    result: Result,
) -> None:
    spends = book.spends.setdefault(entry.wallet_id, [])
    if kept.spend_id in {spend.spend_id for spend in spends}:
        return  # another session of the same spend: it counts once
    if run.lacks_wallet(kept.request_id):
        result.gaps.append(f"{chain.name}: a spend whose wallet no file here proves")
        return
    result.checked += 1

    def broken(text: str) -> None:
        result.findings.append(Finding(chain.name, chain.file, text, entry.height, kept.request_id))

    spend = _spend(run, kept, book.used.get(entry.wallet_id, (0, 0)))
    if isinstance(spend, str):
        broken(spend)
        spend = _as_kept(kept)
    if spends and spend.at_ms < spends[-1].at_ms:
        broken("its budget's clock ran backwards")
    spends.append(spend)
    policy = book.policies.get(entry.wallet_id) or book.policies.get(NO_WALLET)
    wallet = run.wallets.get(entry.wallet_id)
    profile = None if policy is None else profiles.of(policy)
    if profile is None or wallet is None:
        broken(
            "signed with no policy in force" if policy is None else "signed for a wallet that is not proven"
        )
        return
    if book.yes.get(kept.spend_id) and _is_rescue(run, kept, profile):
        book.rescues.add(kept.spend_id)
        return
    for layer, rule in _rules(profile):
        start_ms = start_of(rule.window, spend.at_ms)
        if book.exhausted_ms is not None and (start_ms is None or start_ms <= book.exhausted_ms):
            broken(f"signed after a recovery, before {rule.window} had passed")
        part = {key: _part(most, layer, wallet) for key, most in limits(rule).items()}
        for said in breaches(rule, spends, part):
            broken(f"signed beyond its part of a limit: {said}")


def _is_rescue(run: Run, kept: SignedKept, profile: Profile) -> bool:
    """Whether it is what the profile lets a rescue be, which no budget stops once the owner has said yes."""
    subject = run.subject(kept.request_id)
    rules = [layer.rescue for layer in layers(profile) if layer.rescue is not None]
    return (
        not isinstance(subject, str)
        and is_rescue(profile, subject.spend)
        and all(subject.spend.fee_sats <= rule.fee_sats for rule in rules)
    )


def _rules(profile: Profile) -> Iterator[tuple[Profile, Velocity]]:
    for layer in layers(profile):
        for rule in layer.velocity or ():
            yield layer, rule


def _part(limit: int, layer: Profile, wallet: Wallet) -> int:
    """The fewest nodes that sign by any way the profile lets go decide the part."""
    allowed = layer.allowed_leaves
    ways = [
        route.approvals
        for name, route in wallet.routes.items()
        if not name or allowed is None or name in allowed
    ]
    return part_of(limit, layer, t=max(1, min(ways)), n=wallet.charter.n)


def _spend(run: Run, kept: SignedKept, used: tuple[int, int]) -> Spend | str:
    """The spend as its client signed it; a text where the record says another."""
    for subject in (run.subject(kept.request_id), run.subject(kept.request_id, used)):
        if isinstance(subject, str):
            return f"its request cannot be read: {subject}"
        spend = _as_asked(subject, kept.budget_ms, run.roster.name_of(subject.client))
        if spend == _as_kept(kept):
            return spend
    return "the record counts another amount, coin or payee than the request that its client signed"


def _as_asked(subject: Subject, at_ms: int, initiator: str) -> Spend:
    return Spend(
        subject.spend_id,
        at_ms,
        subject.spend.sent_sats + subject.spend.fee_sats,
        subject.spend.fee_sats,
        tuple((coin.outpoint.txid, coin.outpoint.vout) for coin in subject.spend.inputs),
        tuple((out.script_pubkey, out.amount_sats) for out in subject.spend.outputs_to_others),
        initiator,
    )


def _as_kept(kept: SignedKept) -> Spend:
    return Spend(
        kept.spend_id,
        kept.budget_ms,
        kept.leaving_sats,
        kept.fee_sats,
        kept.outpoints,
        kept.payments,
        kept.initiator,
    )


# The wallet as a whole.


def _together(
    wallet: Wallet, books: dict[bytes, _Book], profiles: _Profiles, run: Run, result: Result
) -> None:
    """Where every node states the same limit from beginning to end, the wallet keeps it, whoever signed."""
    members = [member.identity for member in wallet.charter.members]
    if any(identity not in books for identity in members):
        return
    common = _common([books[identity] for identity in members], wallet.wallet_id, profiles)
    signed = _complete(wallet, {identity: books[identity] for identity in members})
    for rule in common:
        for ends_ms in sorted({at_ms for times, _ in signed for at_ms in times}):
            held = [
                spend
                for times, spend in signed
                if all(at_ms <= ends_ms and inside(rule.window, at_ms, ends_ms) for at_ms in times)
            ]
            total, count = at_most(held)
            over = [
                f"{key} {used:_} of {most:_} per {rule.window}"
                for key, used, most in (("sum", total, rule.sum_sats), ("count", count, rule.count))
                if most is not None and used > most
            ]
            if over:
                text = f"its nodes together signed beyond the wallet's limit: {'; '.join(over)}"
                result.findings.append(Finding(f"wallet {wallet.charter.name}", "all databases", text))
                break


def _common(books: Iterable[_Book], wallet_id: bytes, profiles: _Profiles) -> list[Velocity]:
    """The limits of the whole wallet that stand in the one profile of every node."""
    found: list[set[Velocity]] = []
    for book in books:
        kept = book.policies.get(wallet_id) or book.policies.get(NO_WALLET)
        profile = profiles.of(kept) if kept is not None and kept.version == 1 else None
        if profile is None:
            return []
        found.append({rule for _, rule in _rules(profile) if rule.per is None})
    return sorted(set.intersection(*found), key=lambda rule: str(rule.plain())) if found else []


def _complete(wallet: Wallet, books: dict[bytes, _Book]) -> list[tuple[tuple[int, ...], Spend]]:
    """Every spend that enough nodes signed to be a transaction, and when each of them counted it.

    A rescue is what all who signed it count as one: a single node's policy, or lie, exempts nothing from the others'.
    """
    times: dict[bytes, list[int]] = {}
    spends: dict[bytes, Spend] = {}
    counted: set[bytes] = set()
    for book in books.values():
        for spend in book.spends.get(wallet.wallet_id, ()):
            times.setdefault(spend.spend_id, []).append(spend.at_ms)
            spends[spend.spend_id] = spend
            if spend.spend_id not in book.rescues:
                counted.add(spend.spend_id)
    fewest = min(route.approvals for route in wallet.routes.values())
    return [
        (tuple(times[key]), spends[key]) for key in spends if key in counted and len(times[key]) >= fewest
    ]
