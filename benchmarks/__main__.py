"""`python -m benchmarks [--quick] [PART ...]` prints the tables of the given parts, or of all parts."""

import argparse
from importlib import import_module

from benchmarks.report import machine

SPEED = ("training", "sampling", "startup", "growth")
PARTS = (
    *SPEED,
    "gains",
    "compiled",
    "architectures",
    "generality",
    "quality",
    "reach",
    "ablations",
    "members",
    "best",
    "finetuning",
)


def main() -> None:
    """Run the parts in turn. Nothing else should run on the machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all parts")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"fewer steps and less data; without PART, only {', '.join(SPEED)}: under two minutes",
    )
    options = parser.parse_args()
    print(f"{machine()}\n", flush=True)
    for part in options.parts or (SPEED if options.quick else PARTS):
        print(import_module(f"benchmarks.{part}").run(options.quick), flush=True)


if __name__ == "__main__":
    main()
