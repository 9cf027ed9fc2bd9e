"""`sequentia classify`: print the probability of each label of texts."""

import sys
from itertools import islice

from sequentia.commands.parser import Parser
from sequentia.commands.texts import READ_LIKE_DATA, add_texts, check_given, texts_of
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint
from sequentia.text import printable

_CHUNK = 10_000  # texts classified at a time


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia classify",
        description="Print which labels texts probably have, for a model of lines with labels (fit --data.label), as "
        "tab-separated columns: text, label and probability, the most probable label first.",
        epilog=READ_LIKE_DATA,
    )
    add_texts(parser)
    parser.add_argument("--top", type=int, metavar="K", help="only the K most probable labels of each text")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_intermixed_args(arguments)
    check_given(options)
    if options.top is not None and options.top < 1:
        raise UserError(f"--top must be at least 1, got {options.top}")
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.inference.classification import classify
    from sequentia.runs.checkpoint import load

    model = load(checkpoint, trust=options.trust)
    texts = texts_of(options)
    chunk, header = list(islice(texts, _CHUNK)), "text\tlabel\tprobability"
    while chunk or header:
        found = classify(model, chunk)
        if header:  # not before the file could be read and classified
            print(header)
            header = ""
        for text, probabilities in zip(chunk, found, strict=True):
            for label, probability in islice(probabilities.items(), options.top):
                columns = (text, label) if options.raw else (printable(text), printable(label))
                print(*columns, f"{probability:.4f}", sep="\t")
        chunk = list(islice(texts, _CHUNK))
    sys.stdout.flush()
    return 0
