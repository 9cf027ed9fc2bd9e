"""`sequentia export`: convert a trained model for other software."""

import sys

from sequentia.commands.parser import Parser, out_path
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia export", description="Convert a trained model for other software.")
    parser.add_argument(
        "out",
        type=out_path,
        metavar="OUT",
        help="directory (gpt2) or file (onnx, html) to write; nothing is overwritten",
    )
    parser.add_ckpt_path()
    parser.add_argument(
        "--format",
        required=True,
        choices=["gpt2", "onnx", "html"],
        help="gpt2: weights, tokenizer and model card in a directory for Hugging Face transformers (Transformer only); "
        "onnx: a graph that maps context (batch, time) to logits (batch, time, vocabulary), OUT.step.onnx for one step "
        "at a time, and OUT.json with the vocabulary and all names; "
        "html: a page that generates lines in the browser, without a network",
    )
    parser.add_argument("--push", metavar="USER/NAME", help="for gpt2: upload the directory to the Hugging Face Hub")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.push and options.format != "gpt2":
        raise UserError("--push is for --format gpt2: give both")
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.export import export_gpt2, export_html, export_onnx, push
    from sequentia.inference.sampling import drafts
    from sequentia.runs.checkpoint import load

    model = load(checkpoint, trust=options.trust)
    drafts(model, 1)  # refuses weights that give no probabilities
    export = {"gpt2": export_gpt2, "onnx": export_onnx, "html": export_html}[options.format]
    export(model, options.out)
    print(f"wrote {options.out}: {model.describe()}, from {checkpoint}", file=sys.stderr)
    if options.push:
        print(f"pushed to {push(options.out, options.push)}", file=sys.stderr)
    return 0
