"""Whether a grant covers a spend, so that nobody need say yes to it again.

What was used of a grant stands in the book, booked with each partial signature: a restart refills nothing, and a
replacement of a spend counts once. Whatever is not known (the time, what was signed before a recovery, who the named
node is) makes a grant cover nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from policy import tags
from policy.book import Book
from policy.bookings import EVER_MS, Scope, Usage
from policy.facts import Facts, WalletFacts
from policy.grants import Grant
from policy.profile import Profile
from policy.quorum import NO_DEMANDS, Conditions
from policy.velocity import node_part
from policy.wording import sats

_NONE_FOR_IT = (tags.GRANT, "no grant is for whom it pays")


@dataclass(frozen=True, slots=True)
class Covered:
    """The grant that covers a spend, if one does, and else why none: a tag and the words, each."""

    grant: Grant | None = None
    conditions: Conditions = NO_DEMANDS
    text: str = ""
    why: tuple[tuple[str, str], ...] = (_NONE_FOR_IT,)


@dataclass(frozen=True, slots=True)
class Share:
    """What a node may let pass of a grant: all of it, or only its own part."""

    sum_sats: int
    payments: int
    whole: bool

    def of(self, amount: str) -> str:
        """An amount of it in words, and whose it is."""
        return amount if self.whole else f"this node's part, {amount}"


@dataclass(frozen=True, slots=True)
class GrantLeft:
    """What is left of a grant at this node, of what it may let pass."""

    share: Share
    used: Usage

    @property
    def sum_sats(self) -> int:
        """The sum that is left."""
        return max(0, self.share.sum_sats - self.used.sum_sats)

    @property
    def payments(self) -> int:
        """How many payments are left."""
        return max(0, self.share.payments - self.used.count)


def share_of(grant: Grant, profile: Profile, wallet: WalletFacts) -> Share:
    """What this node may let pass: the whole where one named node must sign and counts it too, else its part."""
    if grant.must_sign:
        return Share(grant.sum_sats, grant.payments, whole=True)
    parts = node_part(grant.sum_sats, profile, wallet), node_part(grant.payments, profile, wallet)
    return Share(*parts, whole=parts == (grant.sum_sats, grant.payments))


def left_of(grant: Grant, profile: Profile, wallet: WalletFacts, book: Book) -> GrantLeft:
    """What is left of a grant here; nothing where this node cannot know what it used."""
    share = share_of(grant, profile, wallet)
    if book.is_exhausted(grant.made_at_ms):
        return GrantLeft(share, Usage(share.sum_sats, share.payments))
    return GrantLeft(share, book.usage(EVER_MS, Scope.grant(grant.id)))


def until(at_ms: int) -> str:
    """Until when something is good, in words: its last day, or the moment at which it is over."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    if (at.hour, at.minute, at.second) == (0, 0, 0):
        return (at - timedelta(days=1)).strftime("%Y-%m-%d")
    return at.strftime("%Y-%m-%d %H:%M UTC")


def covering(profile: Profile, facts: Facts) -> Covered:
    """The first grant that covers all a spend pays to others."""
    paid = {output.script_pubkey for output in facts.spend.outputs_to_others}
    candidates = [grant for grant in facts.grants if paid == {grant.script}]
    why: list[tuple[str, str]] = []
    for grant in candidates:
        faults = _faults(grant, profile, facts)
        if not faults:
            return Covered(grant, _conditions(grant), _text(grant, profile, facts), ())
        why += faults
    return Covered(why=tuple(why) or (_NONE_FOR_IT,))


def _conditions(grant: Grant) -> Conditions:
    return Conditions(0, (grant.must_sign,)) if grant.must_sign else NO_DEMANDS


def _faults(grant: Grant, profile: Profile, facts: Facts) -> list[tuple[str, str]]:
    """Why a grant for the right payee does not cover the spend; nothing when it does."""
    named = f"grant {grant.name}"
    if grant.must_sign and facts.wallet.roles.count(grant.must_sign) != 1:
        # Two nodes of that role would each count the whole of it for themselves.
        return [(tags.GRANT, f"{named}: not one node alone has the role {grant.must_sign} that must sign")]
    if facts.clock is None or facts.clock.in_doubt:
        text = f"{named}: whether it has run out cannot be told while this node's clock is in doubt"
        return [(tags.GRANT_EXPIRED, text)]
    if facts.clock.now_ms >= grant.until_ms:
        return [(tags.GRANT_EXPIRED, f"{named}: it was good until {until(grant.until_ms)}")]
    if facts.book is None or facts.book.is_exhausted(grant.made_at_ms):
        return [(tags.GRANT_SUM, f"{named}: this node cannot know what it used of it before its recovery")]
    earlier = facts.book.booked(facts.spend_id)
    if earlier is not None and earlier.grant != grant.id:
        # A spend is booked once: under this grant it would use up nothing, whatever it pays.
        return [(tags.GRANT, f"{named}: this very spend was signed before, and not under it")]
    left, used = left_of(grant, profile, facts.wallet, facts.book), _used_with(grant, facts.book, facts)
    share, sent = left.share, facts.spend.sent_sats
    faults = []
    if used.sum_sats > share.sum_sats:
        text = f"{named}: it pays {sats(sent)}, and left of {share.of(sats(share.sum_sats))}, is {sats(left.sum_sats)}"
        faults.append((tags.GRANT_SUM, text))
    if used.count > share.payments:
        what = "are used up" if share.payments else "round down to none"
        faults.append((tags.GRANT_COUNT, f"{named}: {share.of(f'{share.payments:_} payments')}, {what}"))
    return faults


def _used_with(grant: Grant, book: Book, facts: Facts) -> Usage:
    """What is used of a grant once this spend is; one that was signed under it already counts no second time."""
    assert facts.clock is not None  # _faults saw to it
    return book.usage_with(facts.booking(facts.clock.now_ms, grant.id), EVER_MS, Scope.grant(grant.id))


def _text(grant: Grant, profile: Profile, facts: Facts) -> str:
    assert facts.book is not None  # it covers the spend
    share, used = share_of(grant, profile, facts.wallet), _used_with(grant, facts.book, facts)
    sums = f"{sats(used.sum_sats)} of {share.of(sats(share.sum_sats))}"
    counts = f"{used.count:_} of {share.payments:_} payments"
    return (
        f"grant {grant.name} covers it: with it {sums} and {counts} are used, until {until(grant.until_ms)}"
    )
