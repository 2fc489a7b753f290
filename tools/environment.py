"""Creates .venv from requirements.lock, and nothing else: every file that enters has its hash there.

Run by the Makefile with any Python 3.11+ (standard library only). Only wheels are taken, because building a
source archive would fetch build tools that no hash covers. A second run with the same lock does nothing; two
runs at once wait for each other.
"""

from __future__ import annotations

import argparse
import fcntl
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"


class SetUpError(Exception):
    """The environment could not be made; the text says which step failed and where the whole output is."""


def say(text: str) -> None:
    print(f"environment: {text}", file=sys.stderr, flush=True)


def run(command: list[str], log: Path, *, progress: int = 0) -> None:
    """Run one command, its output into the log; with `progress`, count the packages as they come."""
    seen = 0
    shows = sys.stderr.isatty()
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(command)}\n")
        out.flush()
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                out.write(line)
                if progress and line.startswith("Collecting "):
                    seen += 1
                    if shows:
                        sys.stderr.write(f"\renvironment: fetched {seen} of {progress}")
                        sys.stderr.flush()
                    elif seen % 15 == 0:
                        say(f"fetched {seen} of {progress}")
    if shows and progress:
        print(file=sys.stderr)
    if process.returncode != 0:
        tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-8:])
        what = " ".join(command[1:4])
        raise SetUpError(f"`python {what}` failed; its last lines ({log.relative_to(ROOT)} has all):\n{tail}")


def locked_packages() -> int:
    """How many packages the lock names (some are for other systems)."""
    return sum(
        1 for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line and line[0].isalnum()
    )


def make(stamp: Path) -> None:
    """Create or refresh the environment, and write the stamp as the last step."""
    started = time.monotonic()
    python = ENVIRONMENT / "bin" / "python"
    log = ENVIRONMENT / "install.log"
    if not python.exists():
        say(f"creating .venv with Python {sys.version.split()[0]}")
        # A process of its own: it must not inherit an environment that this Python may itself run in.
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    log.write_text("", encoding="utf-8")
    count = locked_packages()
    say(f"installing {count} locked packages (a minute or less, the first time)")
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    run([*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK)], log, progress=count)
    run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], log)
    for old in ENVIRONMENT.glob("ready-*"):
        old.unlink()
    stamp.touch()
    say(f"ready in {time.monotonic() - started:.0f} s")


def main() -> int:
    """Make the environment unless the stamp already stands; 1, with a clear text, when a step fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "stamp", type=Path, help="written when all is done; named for the lock it was made from"
    )
    stamp = ROOT / parser.parse_args().stamp
    with (ROOT / "requirements.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists():
            return 0
        try:
            make(stamp)
        except (SetUpError, OSError, subprocess.CalledProcessError) as failure:
            say(str(failure))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
