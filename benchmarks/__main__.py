"""`python -m benchmarks [--quick] [PART ...]` prints the tables of the given parts, or of all parts."""

import argparse
from importlib import import_module

from benchmarks.report import machine

SPEED = ("training", "sampling", "startup", "growth", "gains", "compiled", "profile")
QUALITY = ("frontier", "architectures", "curves", "quality", "ablations", "few", "finetuning", "labels")
QUICK = SPEED[:4]


def main() -> None:
    """Run the parts in turn. Nothing else should run on the machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*SPEED, *QUALITY, []], help="default: all parts")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"fewer steps and less data; without PART, only {', '.join(QUICK)}: under two minutes",
    )
    options = parser.parse_args()
    print(f"{machine()}\n", flush=True)
    for part in options.parts or (QUICK if options.quick else SPEED + QUALITY):
        folder = "speed" if part in SPEED else "quality"
        print(import_module(f"benchmarks.{folder}.{part}").run(options.quick), flush=True)


if __name__ == "__main__":
    main()
