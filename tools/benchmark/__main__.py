"""The command behind `tools/bench`: measures everything, beside the native baseline, as one table."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from plenostream.integrator.xla.environment import prepare_jax

_ROOT = Path(__file__).resolve().parents[2]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description="Measure plenostream beside the native baseline of ../shared, where it is "
        "there: frames, streaming, first frames, orbits, reads, conversion, start-up, phases. "
        "Takes a quarter of an hour, some minutes more the first time, and 15 GB of disk; "
        "close other programs.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="still_128, small pictures, few repeats: under a minute",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--models", help="such as still_128,still_512; all unless said")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_ROOT / ".bench",
        help="where models, scenes and compiled programs are made, and used again (default: .bench)",
    )
    return parser.parse_args()


def main() -> int:
    """Run it; 0 if everything could be measured, whatever the figures."""
    arguments = _arguments()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # Compiled programs are kept apart from the user's, so that a run depends on earlier runs only.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    prepare_jax()
    # Late: JAX reads the environment when it is imported.
    from benchmark.models import Folders
    from benchmark.run import Plan, run

    names = arguments.models.split(",") if arguments.models else None
    if arguments.quick:
        plan = Plan.quick()
    else:
        plan = Plan(models=names, rounds=arguments.rounds)

    def save(told: dict[str, Any]) -> None:
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(told, indent=1) + "\n")

    print("\n".join(run(Folders(_ROOT, folder), plan, dict(os.environ), say=_say, save=save)))
    return 0


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
