"""The command at a terminal: it asks, does not echo, lets a wrong passphrase be corrected, and can be interrupted."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

INIT = ["init", "--role", "node", "--name", "home", "--datadir", "home", "--kdf-memory", "19"]
POLICY = ["policy", "set", str(Path(__file__).parents[2] / "configs" / "home.yaml"), "--datadir", "home"]


def converse(home: Path, arguments: list[str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run a command at a pseudo terminal and answer each question once it was asked; exit code and all output."""
    command = [sys.executable, "-c", "from cluster.cli import main; main()", *arguments]
    pid, terminal = pty.fork()
    if pid == 0:
        # As a person's shell starts it; a job in the background would inherit a Ctrl-C that is ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(home)
        os.execv(command[0], command)
    shown, heard, end = b"", 0, time.monotonic() + 30
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if answers and answers[0][0].encode() in shown[heard:]:
            heard = len(shown)
            time.sleep(0.05)  # the question is written before the terminal stops to echo
            os.write(terminal, answers.pop(0)[1].encode())
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not answers, shown.decode()
    return status, shown.decode()


def test_a_person_sets_up_a_node(tmp_path: Path) -> None:
    code, shown = converse(
        tmp_path,
        INIT,
        [
            ("New passphrase", "hush one\n"),
            ("Repeat", "hush two\n"),
            ("New passphrase", "hush one\n"),
            ("Repeat", "hush one\n"),
            ("Press any key", " "),
        ],
    )
    assert code == 0, shown
    assert "do not match" in shown
    assert "hush" not in shown
    code, shown = converse(tmp_path, POLICY, [("Passphrase", "wrong\n"), ("Passphrase", "hush one\n")])
    assert code == 0, shown
    assert "wrong passphrase" in shown
    assert "wait 1 s" in shown
    code, shown = converse(
        tmp_path, POLICY, [("Passphrase", "a\n"), ("Passphrase", "b\n"), ("Passphrase", "c\n")]
    )
    assert code == 7
    code, shown = converse(tmp_path, POLICY, [("Passphrase", "\x03")])
    assert code == 130
    assert "Traceback" not in shown


def test_an_interrupted_init_leaves_nothing(tmp_path: Path) -> None:
    code, shown = converse(tmp_path, INIT, [("New passphrase", "\x03")])
    assert code == 130
    assert "interrupted" in shown
    assert list(tmp_path.iterdir()) == []
