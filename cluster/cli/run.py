"""`assent node run` and `assent coordinator run`: in the foreground, until told to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.values import gatherer_of
from cluster.effects import Notice, Question
from cluster.hardening import MEMORY_BYTES, bound_memory, lock_memory, raise_descriptors
from cluster.keys import Keys
from cluster.party import Party, opened
from cluster.roster import Roster

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cluster.runtime import Ready

__all__ = ["coordinator", "node"]


@click.group()
def coordinator() -> None:
    """Run the coordinator."""


@click.group()
def node() -> None:
    """Run a node."""


_with_transcript = click.option(
    "--transcript",
    type=click.Path(path_type=Path),
    help="Append every letter that is heard and said to this private file, for `assent audit`.",
)


@coordinator.command("run")
@common
@passphrase_options
@_with_transcript
def coordinator_run(call: Call, transcript: Path | None) -> None:
    """Carry letters between clients and nodes, until told to stop (Ctrl-C or SIGTERM)."""
    from cluster.runtime import check_backend, serve_coordinator

    check_backend()
    log = _logger("coordinator")
    with opened(call.place(), "coordinator") as party:
        keys = _unlocked(call, party, log)
        number = serve_coordinator(
            party,
            keys,
            lambda facts: _ready(call, facts, log),
            on_record=lambda kinds: _record(log, kinds),
            transcript=transcript,
        )
    _stopped(log, number)


@node.command("run")
@common
@passphrase_options
@_with_transcript
@click.option(
    "--rescue",
    "rescuers",
    multiple=True,
    help="Let this member of the roster gather a rescue, and nothing else: NAME=tcp://HOST:PORT (assent rescue).",
)
def node_run(call: Call, transcript: Path | None, *, rescuers: tuple[str, ...]) -> None:
    """Judge and sign by this node's policy, until told to stop (Ctrl-C or SIGTERM)."""
    from cluster.runtime import check_backend, serve_node

    check_backend()
    log = _logger("node")

    def asked(question: Question) -> None:
        log.info("the owner is asked", id=question.subject.hex()[:16], see="assent pending")

    def told(notice: Notice) -> None:
        if notice.code:  # its words name nodes and numbers of records, and no money
            log.warning("alarm", code=notice.code, what=notice.text, see="assent status")
            return
        log.warning("a notice of the policy", id=notice.subject.hex()[:16], see="assent status")

    def store_news(text: str) -> None:
        log.warning("the state store", says=text, see="assent status")

    with opened(call.place(), "node") as party:
        keys = _unlocked(call, party, log)
        number = serve_node(
            party,
            keys,
            lambda facts: _ready(call, facts, log),
            rescuers=dict(_rescuer(party.need_roster(), text) for text in rescuers),
            on_question=asked,
            on_notice=told,
            on_record=lambda kinds: _record(log, kinds),
            on_store=store_news,
            transcript=transcript,
        )
    _stopped(log, number)


def _rescuer(roster: Roster, text: str) -> tuple[bytes, str]:
    """Who gathers a rescue (identity key), and where; UsageError."""
    found = gatherer_of(text, roster, "--rescue")
    return found.identity, found.endpoint


def _stopped(log: FilteringBoundLogger, number: int) -> None:
    """SIGTERM is how a service ends; Ctrl-C is an interruption, and its exit code says so."""
    log.info("stopped", signal=signal.Signals(number).name if number else "none")
    if number == signal.SIGINT:
        raise KeyboardInterrupt


def _unlocked(call: Call, party: Party, log: FilteringBoundLogger) -> Keys:
    """The party's keys, in a process that keeps them to itself as far as the system lets it."""
    party.need_roster()
    raise_descriptors()
    fault = lock_memory(MEMORY_BYTES)
    if fault:
        log.warning("secrets may reach the swap", why=fault)
    seed = call.unlock(party.place)
    bound_memory(MEMORY_BYTES)  # not before: checking the passphrase takes much memory, once
    return party.keys(seed)


def _ready(call: Call, facts: Ready, log: FilteringBoundLogger) -> None:
    where = ", ".join(facts.where)
    verb = "listening at" if facts.role == "coordinator" else "dialling"
    call.output.talk(f"ready {facts.role} {facts.name} on {facts.network}, {verb} {where}")
    if facts.role == "node" and not facts.has_policy:
        log.warning("no policy is in force: everything is refused", see="assent policy set FILE")
    call.output.give(
        {
            "ready": True,
            "role": facts.role,
            "name": facts.name,
            "network": facts.network,
            "where": list(facts.where),
        },
        "",
    )


def _record(log: FilteringBoundLogger, kinds: Sequence[str]) -> None:
    """Which kinds of records a step wrote, and never what is in them."""
    told = [kind for kind in kinds if kind not in {"clock", "boot"}]
    if told:
        log.info("remembered", kinds=" ".join(told))


def _logger(name: str) -> FilteringBoundLogger:
    """Lines of key=value on stderr."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )
    log: FilteringBoundLogger = structlog.get_logger(role=name)
    return log
