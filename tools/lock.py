"""Is requirements.lock in step with pyproject.toml? `check` answers offline; `write` rewrites it.

In step means: the dependency tables have the digest recorded in the lock's first lines, every requirement
(all extras and the build system's too) is met by a pinned entry, and every entry is one exact version with
at least one SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
DIGEST_LINE = re.compile(r"^# dependency tables: sha256 ([0-9a-f]{64})$", re.MULTILINE)
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>\S+)(?: ; (?P<marker>[^\\]+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
HEADER = """\
# Every package that may enter the environment, with the SHA-256 of each of its files.
# Written by `make lock` from pyproject.toml; never by hand. `make check` fails when the two are out of step.
# dependency tables: sha256 {digest}
"""


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of the lock: this version and no other, and how many files of it are allowed in."""

    version: Version
    hashes: int


def dependency_tables(pyproject: str) -> dict[str, object]:
    """The parts of pyproject.toml that decide what is installed."""
    data = tomllib.loads(pyproject)
    project = data.get("project", {})
    return {
        "build-system": data.get("build-system", {}).get("requires", []),
        "requires-python": project.get("requires-python"),
        "dependencies": project.get("dependencies", []),
        "optional-dependencies": project.get("optional-dependencies", {}),
    }


def digest(pyproject: str) -> str:
    """The SHA-256 of the dependency tables, whatever their layout and comments."""
    canonical = json.dumps(dependency_tables(pyproject), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def requirements(pyproject: str) -> list[str]:
    """Every requirement of the project: its own, all extras', and the build system's."""
    data = tomllib.loads(pyproject)
    project = data.get("project", {})
    extras = project.get("optional-dependencies", {})
    return [*data["build-system"]["requires"], *project.get("dependencies", []), *chain(*extras.values())]


def read_lock(lock: str) -> tuple[dict[str, Pin], list[str]]:
    """The pins of a lock file, and what is wrong with its lines."""
    pins: dict[str, Pin] = {}
    wrong: list[str] = []
    name = ""
    for number, line in enumerate(lock.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if entry := ENTRY.match(line):
            name = canonicalize_name(entry["name"])
            if name in pins:
                wrong.append(f"requirements.lock:{number}: {name} is pinned twice")
            pins[name] = Pin(version=Version(entry["version"]), hashes=0)
        elif HASH.match(line) and name:
            pins[name] = Pin(version=pins[name].version, hashes=pins[name].hashes + 1)
        else:
            wrong.append(f"requirements.lock:{number}: no pin and no sha256: {line.strip()[:60]}")
    wrong += [f"requirements.lock: {name} has no hash" for name, pin in pins.items() if pin.hashes == 0]
    return pins, wrong


def faults(pyproject: str, lock: str) -> list[str]:
    """Everything that is out of step, one line each; empty when all is well."""
    pins, wrong = read_lock(lock)
    recorded = DIGEST_LINE.search(lock)
    if recorded is None:
        wrong.append("requirements.lock: the line `# dependency tables: sha256 …` is missing")
    elif recorded[1] != digest(pyproject):
        wrong.append(
            "requirements.lock: pyproject.toml's dependency tables have changed since it was written"
        )
    for text in requirements(pyproject):
        try:
            wanted = Requirement(text)
        except InvalidRequirement as bad:
            wrong.append(f"pyproject.toml: {text!r} is no requirement: {bad}")
            continue
        pin = pins.get(canonicalize_name(wanted.name))
        if pin is None:
            wrong.append(f"requirements.lock: {wanted.name} is not there")
        elif not wanted.specifier.contains(pin.version, prereleases=True):
            wrong.append(f"requirements.lock: {wanted.name}=={pin.version} does not meet `{text}`")
    return wrong


def write() -> None:
    """Resolve for all systems and Pythons from 3.11 on, and replace the lock in one step."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build.in"
        needed_to_build = tomllib.loads(pyproject)["build-system"]["requires"]
        build.write_text("".join(f"{text}\n" for text in needed_to_build), encoding="utf-8")
        body = Path(folder) / "lock"
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
        command += [
            "--python-version",
            "3.11",
            "--generate-hashes",
            "--all-extras",
            "--no-header",
            "--no-annotate",
        ]
        command += [
            "--no-emit-index-url",
            "--no-emit-find-links",
            "pyproject.toml",
            str(build),
            "-o",
            str(body),
        ]
        environment = dict(os.environ)
        if certificates := os.environ.get("PIP_CERT"):
            environment.setdefault("SSL_CERT_FILE", certificates)
        subprocess.run(command, cwd=ROOT, check=True, env=environment)
        text = HEADER.format(digest=digest(pyproject)) + body.read_text(encoding="utf-8")
    fresh = ROOT / "requirements.lock.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(ROOT / "requirements.lock")


def main() -> int:
    """`check` (exit code 1 when out of step) or `write`."""
    match sys.argv[1:]:
        case ["write"]:
            write()
        case ["check"]:
            pass
        case _:
            print("usage: python tools/lock.py check|write", file=sys.stderr)
            return 2
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = faults(pyproject, (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        print("the lock is out of step: run `make lock` and commit both files", file=sys.stderr)
        return 1
    pins, _ = read_lock((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    print(f"lock: {len(pins)} packages, in step with pyproject.toml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
