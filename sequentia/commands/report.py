"""`sequentia report`: compare runs."""

import sys

from sequentia.commands.parser import Parser, out_path
from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.reporting.report import COLUMNS, Run, differing_options, find_runs, read_run, shown, sort_runs
from sequentia.reporting.tables import as_csv, as_json, as_table
from sequentia.text import printable


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia report",
        description="Compare runs: their results, and the options in which they differ, sorted by validation NLL "
        "(val/loss, the lowest of the run, in nats per character). test/loss is the result of `sequentia test`; the "
        "samples are the 200 drawn at the best validation.",
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run directory, or a directory of runs (default: checkpoints)"
    )
    parser.add_argument(
        "--format",
        choices=["table", "csv", "json", "html"],
        default="table",
        help="html is one page without external resources, with the curves and samples of each run "
        "(default: %(default)s)",
    )
    parser.add_argument("--out", type=out_path, metavar="FILE", help="file to write (default: stdout); it is replaced")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    runs: list[Run] = []
    skipped: list[str] = []
    for path in find_runs(options.runs):
        try:
            runs.append(read_run(path))
        except UserError as error:
            skipped.append(f"skipped {printable(str(path))}: {printable(str(error))}")
    if not runs:
        raise UserError(f"there is no run to report: {skipped[0]}")
    for line in skipped:
        print(line, file=sys.stderr)
    text = _text(sort_runs(runs), options.format)
    if options.out is None:
        print(text)
        return 0
    with replacing(options.out) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
    return 0


def _text(runs: list[Run], form: str) -> str:
    differing = differing_options(runs)
    if form == "html":
        from sequentia.reporting.page import page  # imports matplotlib, which is slow

        return page(runs)
    if form == "table":
        rows = []
        for run in runs:
            own = {name: run.options[name] for name in differing if name in run.options}
            pairs = [f"{name}={'null' if value is None else shown(name, value)}" for name, value in own.items()]
            rows.append([*(shown(name, value) for name, value in run.row.items()), " ".join(pairs)])
        header = [*COLUMNS, "options that differ"] if differing else COLUMNS
        return as_table(header, [row[: len(header)] for row in rows], right=range(2, len(COLUMNS)))
    records = [run.row | {name: run.options[name] for name in differing if name in run.options} for run in runs]
    return as_json(records) if form == "json" else as_csv([*COLUMNS, *differing], records)
