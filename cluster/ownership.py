"""Makes sure that the code about to hold a key share is ours: nobody else may own our package names.

Assent is an application in an environment of its own, and its packages have plain names (`policy`, `curve`),
which other distributions use too. If one of them were installed beside us, `import policy` could load a
stranger's rules. The command asks `ownership_fault` before anything else, and refuses to run on an answer.
This finds mistakes and careless installs; it cannot stop someone who can already write into the environment.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["DISTRIBUTION", "PACKAGES", "ownership_fault"]

DISTRIBUTION = "assent"
PACKAGES = ("curve", "frost", "musig2", "taproot", "policy", "cluster")

# A first segment only: `policy/…`, `policy.py`, `policy.cpython-311-….so`; not `boto/policy.py`.
_TOP_LEVEL = re.compile(rf'^"?({"|".join(PACKAGES)})(?:/|\.)', re.MULTILINE)


def ownership_fault() -> str | None:
    """One line saying who else owns a name of ours, or which package is foreign; None if all is well."""
    home = Path(__file__).resolve().parent.parent
    return _claimed_by_another() or _not_from_home(home) or _not_installed_here(home)


def _claimed_by_another() -> str | None:
    """Look for a distribution other than ours whose files would stand under one of our names."""
    for distribution in distributions():
        for package in _claims(distribution):
            name = distribution.name or "a distribution without a name"
            if _same_name(name, DISTRIBUTION):
                break
            return (
                f"the package name '{package}' also belongs to the installed distribution {name} "
                f"{distribution.version}: install Assent in an environment of its own, or remove {name}"
            )
    return None


def _same_name(one: str, other: str) -> bool:
    """Compare two distribution names as installers do."""
    return re.sub(r"[-_.]+", "-", one).lower() == re.sub(r"[-_.]+", "-", other).lower()


def _claims(distribution: Distribution) -> list[str]:
    """Our names among the top-level names of a distribution, from its own list of files."""
    said = (distribution.read_text("top_level.txt") or "").split()
    files = distribution.read_text("RECORD") or distribution.read_text("installed-files.txt") or ""
    return [package for package in PACKAGES if package in said] + _TOP_LEVEL.findall(files)


def _not_from_home(home: Path) -> str | None:
    """Look for a package of ours that this process loaded, or would load, from some other place."""
    for package in PACKAGES:
        loaded = sys.modules.get(package)
        spec = loaded.__spec__ if loaded is not None else find_spec(package)
        if spec is None or spec.origin is None:
            return f"the package '{package}' is missing from Assent in {home}: install it anew"
        if Path(spec.origin).resolve().parent != home / package:
            return f"the package '{package}' comes from {spec.origin}, not from Assent's own place {home}"
    return None


def _not_installed_here(home: Path) -> str | None:
    """Look whether the distribution called assent is this very code, and the only one."""
    ours = tuple(distributions(name=DISTRIBUTION))
    if not ours:
        return f"Assent in {home} runs without being installed: use the environment that `make env` creates"
    for place in map(_place, ours):
        if place != home:
            return f"the installed '{DISTRIBUTION}' is in {place}, and this code in {home}: keep only one"
    return None


def _place(distribution: Distribution) -> Path:
    """Where a distribution's packages are loaded from; an editable one names it in direct_url.json."""
    try:
        direct = json.loads(distribution.read_text("direct_url.json") or "{}")
        if direct.get("dir_info", {}).get("editable"):
            return Path(unquote(urlsplit(direct["url"]).path)).resolve()
    except (ValueError, KeyError, AttributeError):
        pass
    return Path(str(distribution.locate_file(""))).resolve()
