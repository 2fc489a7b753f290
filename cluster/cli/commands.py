"""The table of commands: each is imported only when it is called, so that the command starts fast."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import click

from cluster.cli.output import Output, report_bug, report_error
from cluster.errors import ClusterError, ConfigError, UsageError

__all__ = ["run"]

_COMMANDS = {
    "init": ("setup:init", "Make a data directory: seed, keys, database, public part."),
    "roster": ("setup:roster", "Build, show and accept the roster: who is in the cluster."),
    "policy": ("policies:policy", "Set and show the policy in force at a node."),
    "coordinator": ("run:coordinator", "Run the coordinator."),
    "node": ("run:node", "Run a node."),
    "keygen": ("keygen:keygen", "Make a wallet with the nodes of the roster (client)."),
    "pending": ("owner:pending", "What waits for this node's owner."),
    "requests": ("people:requests", "What is open, each request read here (person)."),
    "approve": (
        "owner:approve",
        "Say yes to a request or a proposed wallet (node), or to a request (person).",
    ),
    "refuse": ("owner:refuse", "Say no to a request or a proposed wallet (node), or to a request (person)."),
    "explain": ("policy_owner:explain_request", "Why a node thinks so of a request, and what would help."),
    "freeze": ("freezing:freeze", "Refuse every spend of a wallet: at this node, or at every node."),
    "quarantine": ("quarantine:quarantine", "Records that are an older copy, here or at a peer."),
    "thaw": ("freezing:thaw", "Let a frozen wallet spend again at this node."),
    "grant": ("grants:grant", "Grant a payee so much until a date, list and end grants (node)."),
    "intent": ("intents:intent", "Sign what is about to be asked, on the device that asks (client)."),
    "clock": ("owner:clock", "Confirm this node's clock after a restart or a jump."),
    "backup": ("copies:backup", "Show and check the backup of a wallet."),
    "wallet": ("wallet:wallet", "Make wallets of every kind, show them, verify a descriptor."),
    "evidence": ("evidence:evidence", "What is proven of whom, and check such a proof."),
    "wallets": ("wallets:wallets", "List the wallets."),
    "address": ("wallets:address", "Show an address of a wallet."),
    "descriptor": ("wallets:descriptor", "Show the descriptor that watches a wallet."),
    "sign": ("sign:sign", "Ask the nodes to sign a PSBT, and wait (client)."),
    "psbt": ("psbt:psbt", "Show a PSBT, and exchange it with cosigners that are no nodes."),
    "status": ("status:status", "How this node, the coordinator or the cluster stands."),
    "audit": ("audit:audit_command", "Judge a whole run from its databases and transcripts."),
    "drill": ("drill:drill", "Every node shows that its share signs and that its copy fits (client)."),
    "rescue": ("rescue:rescue", "Give a wallet up: everything to where its policies said beforehand."),
    "store": ("store:store", "Look at a node's state store, and write it anew."),
    "recover": (
        "recovery:recover",
        "Rebuild a node from its 24 words and a backup or its state store, or a coordinator.",
    ),
    "demo": ("demo:demo", "Three nodes, a coordinator and a chain on this machine: see it work."),
}


class _Commands(click.Group):
    """The table as click wants it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"cluster.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with docs/tutorial.md. Every command has --help, --json and --datadir.",
)
@click.version_option(package_name="assent", prog_name="assent")
def _assent() -> None:
    """Sign Bitcoin Taproot transactions with a threshold of devices, each with its own policy."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code of DESIGN 9."""
    arguments = list(arguments)
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    output = Output(as_json="--json" in words)
    debug = "--debug" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no file name and no locale may end a command
    try:
        _check_house(arguments)
        _assent.main(arguments, prog_name="assent", standalone_mode=False, obj=output)
    except ClusterError as error:
        return report_error(output, error)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return UsageError.exit_code
    except click.ClickException as error:
        return report_error(output, UsageError(error.format_message()))
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("assent: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone: say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return report_bug(output, error, debug=debug)
    return 0


def _check_house(arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in {"-h", "--help", "--version"} or "--help" in arguments:
        return
    from cluster.ownership import ownership_fault

    fault = ownership_fault()
    if fault is not None:
        raise ConfigError(fault)
