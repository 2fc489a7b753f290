"""`python -m bench`: all parts, or those that are named."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from bench.table import render

PARTS = ("crypto", "policy", "machines", "process", "cluster", "flood")
RESULTS = Path(__file__).resolve().parent / "results.json"


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> int:
    """Run the parts, print each table as it is done, write the JSON file at the end."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all if none is named"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where the numbers go")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {unknown[0]} (there are {', '.join(PARTS)})")
    machine = {"python": platform.python_version(), "processor": processor(), "cores": os.cpu_count()}
    print(f"Python {machine['python']}, {machine['processor']}, {machine['cores']} cores\n", flush=True)
    done: dict[str, object] = {}
    for part in arguments.parts or PARTS:
        print(f"measuring {part} …", file=sys.stderr, flush=True)
        for table in importlib.import_module(f"bench.{part}").tables():
            print(render(table) + "\n", flush=True)
            done[table.name] = table.as_json()
    arguments.json.write_text(
        json.dumps({"machine": machine, "tables": done}, indent=2) + "\n", encoding="utf-8"
    )
    print(f"written to {arguments.json}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
