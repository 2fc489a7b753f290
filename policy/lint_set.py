"""What is odd in the profiles of one wallet together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policy.exposure import Role, Survey
from policy.losses import DAY, Loss
from policy.places import layers
from policy.profile import Profile
from policy.remarks import Remark, Severity
from policy.values import CoinSet
from policy.wording import sats


def lint_set(profiles: Mapping[Role, Profile], found: Survey) -> tuple[Remark, ...]:
    """The remarks on a set, the worst first; their path is `set`, and they have no line."""
    remarks = [
        *_signable(found), *_rescue(profiles, found), *_losses(profiles, found), *_outvoted(profiles, found)
    ]  # fmt: skip
    remarks += [Remark.note(0, "set", note, "look at fewer rules at a time") for note in found.notes]
    return tuple(sorted(remarks, key=lambda remark: -remark.severity))


def _set(severity: Severity, text: str, mend: str) -> Remark:
    return Remark(severity, 0, "set", text, mend)


def _signable(found: Survey) -> Iterator[Remark]:
    paying = [band for band in found.bands if not band.place.own]
    if not any(band.asked for band in paying):
        text = "no quorum can pay anybody anything, whoever says yes"
        yield _set(
            Severity.ERROR, text, f"let {found.t} of the nodes have a tier for the same places and amounts"
        )
        return
    for place in dict.fromkeys(band.place for band in paying if band.place.listed):
        mine = [band for band in paying if band.place == place]
        willing = any(answer.need is not None for band in mine for answer in band.answers.values())
        if willing and not any(band.asked for band in mine):
            some = sorted(
                {r for band in mine for r, answer in band.answers.items() if answer.need is not None}
            )
            text = (
                f"{', '.join(some)} would pay {place.name}, and no quorum does: too few of the others know it"
            )
            yield _set(
                Severity.WARNING, text, f"put it into the lists of {found.t} nodes, each with a tier for it"
            )


def _rescue(profiles: Mapping[Role, Profile], found: Survey) -> Iterator[Remark]:
    named = {role: made.rescue_scripts for role, made in profiles.items() if made.rescue_scripts}
    if len(set(named.values())) > 1:
        yield _set(
            Severity.WARNING, f"{', '.join(sorted(named))} do not name the same places under `rescue`",
            "a rescue needs the same address at all nodes that sign it",
        )  # fmt: skip
    sure = len(named) == len(profiles) and bool(frozenset.intersection(*named.values()))
    if found.rescue.gap and not sure:
        yield _set(
            Severity.WARNING, f"there is no rescue path: {found.rescue.gap}",
            f"give every {found.t} of the nodes a tier for one listed place without a limit, such as "
            "`{ask: ..., wait: ...}`",
        )  # fmt: skip
    for kept in found.kept:
        if not any(most != 0 for name, most in kept.places if name != "the wallet itself"):
            text = f"without {' and '.join(kept.lost)} nobody can be paid anything"
            yield _set(Severity.WARNING, text, "let the other nodes have tiers in common")


def _losses(profiles: Mapping[Role, Profile], found: Survey) -> Iterator[Remark]:
    thief = found.worst(place="a stranger")
    if thief is not None and thief.sats != 0:
        text = (
            f"with {_who(thief)} stolen, {_most(thief)} can leave in {DAY} to an address that nobody listed"
        )
        yield _set(Severity.WARNING, text, "let automatic tiers pay lists only, or ask for more")
    stated = {
        (str(rule.window), rule.sum_sats)
        for profile in profiles.values()
        for layer in layers(profile)
        for rule in layer.velocity or ()
        if rule.sum_sats is not None and rule.per is None
    }
    for window in sorted({window for window, _ in stated}):
        worst = found.worst(window)
        limit = max(sum_sats for name, sum_sats in stated if name == window)
        if worst is not None and (worst.sats is None or worst.sats > limit):
            text = (
                f"with {_who(worst)} stolen, {_most(worst)} can leave in {window} without a yes, and the largest "
                f"limit for that in any profile is {sats(limit)}"
            )
            yield _set(
                Severity.WARNING, text, f"give every node that approves by itself a limit per {window}"
            )


def _outvoted(profiles: Mapping[Role, Profile], found: Survey) -> Iterator[Remark]:
    """What some demand of every spend binds nobody where others, who do not demand it, can sign without them."""
    demands = {
        "a signed intent": {
            r for r, p in profiles.items() if any(one.intents is not None for one in layers(p))
        },
        "that some coins stay frozen": {
            r for r, p in profiles.items() if any(one.frozen_coins != CoinSet() for one in layers(p))
        },
    }
    for what, demanding in demands.items():
        free = [quorum for band in found.bands for quorum in band.asked if demanding.isdisjoint(quorum)]
        if demanding and free:
            only = f"only {', '.join(sorted(demanding))} demand{'s' if len(demanding) == 1 else ''} {what}"
            text = f"{only}, and {' and '.join(sorted(free[0]))} can sign without"
            yield _set(
                Severity.WARNING, text, "let every quorum hold a node that demands it, as by a common base"
            )


def _who(loss: Loss) -> str:
    return " and ".join(loss.stolen) or "no node"


def _most(loss: Loss) -> str:
    return "everything" if loss.sats is None else f"{'' if loss.exact else 'at most '}{sats(loss.sats)}"
