"""`sequentia import`: a model of Hugging Face transformers becomes a checkpoint."""

import sys
from pathlib import Path

from sequentia.commands.parser import Parser
from sequentia.runs.directory import BEST, ROOT, create_run, remove_if_never_begun


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia import",
        description="Make a checkpoint of a GPT-2 with a tokenizer of characters, such as `sequentia export --format "
        "gpt2` writes, and print the checkpoint's path.",
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="directory with config.json, tokenizer.json and model.safetensors"
    )
    parser.add_argument(
        "out",
        type=Path,
        nargs="?",
        metavar="OUT",
        help=f"checkpoint to write, which must not exist yet (default: {BEST} in a new run under {ROOT}/imported)",
    )
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)

    import torch

    from sequentia.export.importing import import_gpt2
    from sequentia.export.output import creating_file

    checkpoint = import_gpt2(options.directory)
    run = create_run(ROOT / "imported") if options.out is None else None
    out = options.out if run is None else run / BEST
    try:
        with creating_file(out) as file:
            torch.save(checkpoint, file)
    except BaseException:
        if run is not None:
            remove_if_never_begun(run)
        raise
    print(out)
    sys.stdout.flush()
    settings = checkpoint["hyper_parameters"]
    print(
        f"imported {options.directory}: a Transformer of {settings['n_layer']} layers with {settings['n_embd']} "
        f"channels, {len(settings['vocabulary']):,} characters, lines of up to {settings['context_length'] - 1:,}",
        file=sys.stderr,
    )
    return 0
