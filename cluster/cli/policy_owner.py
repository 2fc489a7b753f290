"""What tells the owner of one policy: in prose, by its own tests, against the past, in the shadow, and what is left."""

from __future__ import annotations

import os
import re
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.cli.profile_files import profile_of, read_profile_files
from cluster.errors import ConfigError, StateError, UsageError, one_line
from cluster.party import opened
from cluster.profiles import Texts
from cluster.storage import DataDir
from policy import Profile
from policy.golden import CaseResult, reasons_for, run_cases
from policy.prose import Sentence, explain_profile

__all__ = ["OWNER_TOOLS", "explain_request", "show_budgets"]

Found = dict[str, object]
WIDTH = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_base = click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="The profile that FILE extends (default: NAME.yaml beside it).",
)
_wallet = click.option("--wallet", default="", help="For this wallet.")


# In prose.


@click.command("explain", short_help="A profile in plain English.")
@common
@_base
@_wallet
@click.argument("file", type=click.Path(path_type=Path), required=False)
def explain_policy(call: Call, *, file: Path | None, base: Path | None, wallet: str) -> None:
    """Say in plain English what the profile in FILE does, or the one in force here without FILE."""
    if file is not None:
        profile = profile_of(read_profile_files(file, base, None), str(file))
    else:
        profile = profile_of(_in_force(call.place(), wallet))
    sentences = explain_profile(profile)
    facts = [{"part": one.part, "line": one.line, "text": one.text} for one in sentences]
    call.output.give(
        {"name": profile.name, "digest": profile.digest.hex(), "sentences": facts},
        "\n".join(_prose(sentences)),
    )


def _prose(sentences: tuple[Sentence, ...]) -> list[str]:
    """Each part under its heading, each sentence with its line; a default has none."""
    rows: list[str] = []
    part = ""
    for one in sentences:
        if one.part != part:
            rows += ["", one.part] if rows else [one.part]
            part = one.part
        head = f"{one.line or '':>5}  "
        rows.append(textwrap.fill(one.text, WIDTH, initial_indent=head, subsequent_indent=" " * 10))
    return rows


def _in_force(place: DataDir, wallet: str) -> Texts:
    """The profile in force at a node, running or not."""
    try:
        found = cast("list[Found]", ask_node(place, {"do": "policy"})["policies"])
        texts = {one["wallet"]: Texts(str(one["text"]), str(one["base"] or "")) for one in found}
    except StateError:
        texts = _in_force_at_rest(place)
    if wallet and wallet in texts:
        return texts[wallet]
    if None not in texts:
        raise StateError("no policy is in force here, so everything is refused: `assent policy set FILE`")
    return texts[None]


def _in_force_at_rest(place: DataDir) -> dict[object, Texts]:
    from cluster.records import NO_WALLET
    from cluster.runtime import policies_in_force

    with opened(place, "node") as party:
        kept = policies_in_force(party)
        return {
            None if wallet_id == NO_WALLET else wallet_id.hex(): Texts(one.text, one.base)
            for wallet_id, one in kept.items()
        }


@click.command("explain")
@common
@click.argument("request", metavar="ID")
def explain_request(call: Call, *, request: str) -> None:
    """Say why this node thinks so of the request ID, rule by rule, and what would change it."""
    wanted = request.lower()
    if not _PREFIX.fullmatch(wanted):
        raise UsageError("ID: give at least 8 hex digits of it; `assent pending` shows the ids")
    found = cast("list[Found]", ask_node(call.place(), {"do": "explain", "prefix": wanted})["found"])
    if not found:
        raise UsageError(f"no request of id {wanted} is known to this node")
    if len(found) > 1:
        raise UsageError(f"several ids start with {wanted}: give more of it")
    about = found[0]
    rows = [f"request {about['id']} of wallet {about['wallet']}, {about['state']}"]
    rows += [f"  {one_line(line)}" for line in cast("list[str]", about["pays"])]
    rows += [one_line(line) for line in cast("list[str]", about["lines"])]
    call.output.give(about, "\n".join(rows))


# Its own tests.


@click.command("test", short_help="Judge the golden cases in a file.")
@common
@_base
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def test_policy(call: Call, *, files: tuple[Path, ...], base: Path | None) -> None:
    """Judge the golden cases under `tests:` of each FILE; exit code 3 when one of them fails."""
    facts: list[Found] = []
    rows: list[str] = []
    failed = total = 0
    for file in files:
        profile = profile_of(read_profile_files(file, base, None), str(file))
        results = run_cases(profile)
        facts.append({"file": str(file), "cases": [_case_facts(result) for result in results]})
        rows += [_case_row(file, result) for result in results]
        if not results:
            rows.append(f"{one_line(str(file))}: no tests")
        total += len(results)
        failed += sum(not result.passes for result in results)
    rows.append(f"{total - failed} of {total} cases pass")
    call.output.give({"files": facts, "passed": total - failed, "failed": failed}, "\n".join(rows))
    if failed:
        raise ConfigError(f"{failed} of {total} cases fail")


def _case_facts(result: CaseResult) -> Found:
    return {
        "name": result.case.name,
        "line": result.case.line,
        "passes": result.passes,
        "expected": result.case.expect.name.lower(),
        "outcome": result.outcome.name.lower(),
        "codes": list(result.codes),
        "missing": list(result.missing),
    }


def _case_row(file: Path, result: CaseResult) -> str:
    case, outcome = result.case, result.outcome.name.lower()
    head = f"{'ok  ' if result.passes else 'FAIL'} {one_line(str(file))}:{case.line}: {case.name}: {outcome}"
    if result.passes:
        return head
    expected = " with ".join([case.expect.name.lower(), *result.missing])
    said = "; ".join(one_line(reason.text) for reason in reasons_for(result)) or ", ".join(result.codes)
    return f"{head}, expected {expected}\n       {said}"


# Against the past.


@click.command("simulate", short_help="Replay the past against a draft.")
@common
@passphrase_options
@_base
@_wallet
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    help="Past payments in a JSON file (docs/howto/try-a-policy.md), instead of a node's records.",
)
@click.argument("file", type=click.Path(path_type=Path))
def simulate_policy(call: Call, *, file: Path, base: Path | None, wallet: str, history: Path | None) -> None:
    """Say what the draft in FILE would have said of every past request, and where that differs.

    A running node looks at its newest 500 requests, one at rest at all (its passphrase opens the wallet).
    """
    if history is not None:
        facts = _from_file(history, profile_of(read_profile_files(file, base, None), str(file)))
    else:
        place = call.place()
        texts = read_profile_files(file, base, place.network)
        request: Found = {"do": "simulate", "text": texts.text, "base": texts.base, "wallet": wallet}
        facts = ask_node(place, request, 300.0) if _runs(place) else _at_rest(call, place, texts, wallet)
    call.output.give(facts, "\n".join(_report(facts)))


def _from_file(file: Path, draft: Profile) -> Found:
    from cluster.cli.policy_history import read_history
    from cluster.owner_tools import report_facts
    from policy.simulate import simulate

    return report_facts(simulate(draft, read_history(file, draft)))


def _at_rest(call: Call, place: DataDir, draft: Texts, wallet: str) -> Found:
    """The whole history of a node that does not run, from its own records."""
    from cluster.node import Node
    from cluster.owner_tools import simulated
    from cluster.runtime import policy_judge
    from cluster.vault import Vault

    with opened(place, "node") as party:
        keys = party.keys(call.unlock(place))
        roster = party.need_roster()
        judge = policy_judge(roster, party.part.identity)
        try:
            node = Node(
                roster=roster,
                roster_digest=party.roster_digest,
                identity=keys.identity(),
                boot_id=os.urandom(16),
                vault=Vault(keys.secrets, keys.sealing_key()),
                judge=judge,
                records=party.records,
            )
        except ValueError as error:
            raise StateError(f"{place.database}: a record makes no sense ({error})") from None
        return simulated(node, judge, draft, wallet, lambda: party.records)


def _report(facts: Found) -> list[str]:
    said, would = cast("dict[str, int]", facts["said"]), cast("dict[str, int]", facts["would"])
    rows = [f"{facts['requests']} requests       said   would"]
    rows += [f"  {outcome:<12}{said[outcome]:>9}{would[outcome]:>8}" for outcome in said]
    surprises = cast("list[Found]", facts["surprises"])
    rows.append(f"{len(surprises)} would be otherwise{':' if surprises else ''}")
    for one in surprises:
        signed = ", and it was signed" if one["signed"] else ""
        rows.append(
            f"  would {one['would']} where it said {one['said']}{signed}: {one_line(str(one['id']))[:24]}, "
            f"{_moment(cast('int', one['at_ms']))}"
        )
        paid = cast("list[str]", one["pays"])[:-3]  # without what comes back, the fee and the sum
        rows.append(f"    {one_line('; '.join(paid))}")
        rows += [f"    because {one_line(text)}" for text in cast("list[str]", one["reasons"])]
    return rows


def _moment(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M UTC")


def _runs(place: DataDir) -> bool:
    """Whether a process works on this data directory."""
    try:
        ask_node(place, {"do": "policy"})
    except StateError:
        return False
    return True


# In the shadow.


@click.command("shadow", short_help="Let a draft judge beside the policy in force.")
@common
@passphrase_options
@_base
@_wallet
@click.option("--off", is_flag=True, help="End it.")
@click.option("--report", is_flag=True, help="Show what the draft would have said.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
def shadow_policy(
    call: Call, *, file: Path | None, base: Path | None, wallet: str, off: bool, report: bool
) -> None:
    """Let the draft in FILE judge every request beside the policy in force, without a say; a restart keeps it."""
    if (file is not None) + off + report != 1:
        raise UsageError("give FILE to begin, --report to look, or --off to end")
    place = call.place()
    if report:
        facts = ask_node(place, {"do": "shadow-report"})
        call.output.give(facts, "\n".join(_shadow_rows(cast("list[Found]", facts["drafts"]))))
        return
    texts = Texts("") if file is None else read_profile_files(file, base, place.network)
    if off and not ask_node(place, {"do": "shadow-report"})["drafts"]:
        raise StateError("no draft is in the shadow here")
    proven(call, place, {"do": "set-shadow", "text": texts.text, "base": texts.base, "wallet": wallet})
    digest = None if off else profile_of(texts).digest.hex()
    said = "the draft is in the shadow no more" if off else f"in the shadow: {digest}"
    call.output.give({"shadow": not off, "digest": digest}, said)


def _shadow_rows(drafts: list[Found]) -> list[str]:
    rows = []
    for draft in drafts:
        whose = f" for wallet {draft['wallet']}" if draft["wallet"] else ""
        since, count = _moment(cast("int", draft["since_ms"])), cast("int", draft["differences"])
        rows.append(
            f"draft{whose} in the shadow since {since}: {count} difference{'' if count == 1 else 's'}"
        )
        for one in cast("list[Found]", draft["newest"]):
            why = one_line(str(one["note"])) or ", ".join(cast("list[str]", one["codes"]))
            rows.append(
                f"  {_moment(cast('int', one['at_ms']))} {str(one['id'])[:16]}: would {one['would']}, "
                f"where {one['said']} was said ({why})"
            )
    return rows or ["no draft is in the shadow here; `assent policy shadow FILE` begins"]


# What is left.


def show_budgets(call: Call, place: DataDir, wallet: str) -> None:
    """Print how much of each limit over time is used and left, with a bar; the node must run."""
    facts = ask_node(place, {"do": "budgets", "wallet": wallet})
    call.output.give(facts, "\n".join(_budget_rows(cast("list[Found]", facts["wallets"]))))


def _budget_rows(wallets: list[Found]) -> list[str]:
    rows = []
    for wallet in wallets:
        rows.append(
            f"wallet {wallet['wallet']}" + (f" ({wallet['part_of']})" if wallet.get("part_of") else "")
        )
        if wallet["clock_in_doubt"]:
            rows.append("  the clock is in doubt, so nothing comes back: `assent clock confirm`")
        shown = [*cast("list[Found]", wallet["budgets"]), *cast("list[Found]", wallet["grants"])]
        for one in shown:
            head, stands = cast("list[str]", one["lines"])
            rows += [f"  {one_line(head)}", f"    {one_line(stands)}"]
        if wallet["digest"] is None:
            rows.append("  no policy is in force, so everything is refused")
        elif not shown:
            rows.append("  nothing is limited over time")
    return rows


OWNER_TOOLS: tuple[click.Command, ...] = (explain_policy, test_policy, simulate_policy, shadow_policy)
"""The commands that tell the owner of one policy; `assent policy` has them all."""
