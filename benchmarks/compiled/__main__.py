"""Parts of the benchmarks of the compiled step: ``python -m benchmarks.compiled --only lecture,wide --rounds 5``."""

from __future__ import annotations

import argparse

from benchmarks.compiled import compile_time, crowd, memory, page, speed, width
from benchmarks.compiled.workloads import WORKLOADS

PARTS = {"speed": speed, "compile_time": compile_time, "memory": memory, "width": width, "crowd": crowd}


def main() -> None:
    """Measure the parts that were asked for, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"among {', '.join(PARTS)} (default: all)")
    parser.add_argument("--only", help=f"workloads of the part speed: among {', '.join(WORKLOADS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=speed.ROUNDS, help="turns of each form (default: %(default)s)")
    asked = parser.parse_args()
    parts, only = asked.parts.split(","), asked.only.split(",") if asked.only else None
    unknown = [p for p in parts if p not in PARTS] + [w for w in only or () if w not in WORKLOADS]
    if unknown or asked.rounds < 1:
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "at least one round")
    for part in parts:
        if part == "speed":
            speed.main(only, asked.rounds)
        else:
            PARTS[part].main()
    page.main()


if __name__ == "__main__":
    main()
