"""The short help of `fit`, `validate` and `test`: the options that people use, out of several hundred."""

import textwrap

from sequentia import _MODULES  # type: ignore[attr-defined]  # the stub has the public names only
from sequentia.commands.parser import Parser

_OTHERS = ("ARCHITECTURES", "LanguageModel")
_ARCHITECTURES = [name for name, module in _MODULES.items() if module == "sequentia.models" and name not in _OTHERS]

OPTIONS = {
    "fit": {
        "--config NAME_OR_FILE": "a shipped config, or a YAML file",
        "--data.path FILE": "the same as FILE: a file, a URL, or names",
        "--data.val_path FILE": "validation lines; also --data.test_path",
        "--data.column NAME_OR_NUMBER": "the lines, if FILE is a table",
        "--data.label NAME_OR_NUMBER": "their labels: of which kind each line is",
        "--data.encoding NAME": "of the files (default: utf-8)",
        "--data.batch_size N": "lines per step (default: from the data)",
        "--data.max_length N": "longest line (default: 256, 512 or 1024)",
        "--data.long_lines split": "cut longer lines into pieces",
        "--data.seed N": "of the split and the order of the lines",
        "--model NAME": f"architecture ({', '.join(_ARCHITECTURES)}); its defaults are its config's",
        "--model.OPTION VALUE": "n_layer, n_embd, n_head, n_hidden, dropout",
        "--optimizer CLASS": "of torch.optim or sequentia.optim",
        "--lr_scheduler CLASS": "null keeps the learning rate constant",
        "--trainer.max_steps N": "optimizer steps (default: from the data)",
        "--trainer.max_epochs N": "length in epochs",
        "--trainer.max_time TIME": "00:10:00 (default of mixture: a minute)",
        "--trainer.val_check_interval N": "steps between two validations",
        "--extra_metrics false": "log losses only, and draw nothing",
        "--trainer.accelerator NAME": "cpu or gpu (default: what is available)",
        "--trainer.devices N": "number of devices or processes",
        "--trainer.precision NAME": "32-true or bf16-mixed",
        "--trainer.default_root_dir DIR": "of runs (default: checkpoints/<config>)",
        "--checkpoint.every_n_train_steps N": "between two last.ckpt (default: a minute)",
        "--ckpt_path PATH": "resume a run; last is the newest",
        "--init_from PATH": "start from the weights of a run",
        "--trust MODULE": "yours, which a checkpoint may import",
        "--seed_everything N": "of initial weights and dropout",
        "--print_config": "print the resulting options and exit",
    },
    "validate": {
        "--ckpt_path PATH": "the same as RUN (default: the newest)",
        "--data.path FILE": "other lines than those of the run",
        "--trust MODULE": "yours, which the checkpoint may import",
        "--format table|json|csv": "how to print the result (default: table)",
        "--valid MODULE:FUNCTION": "measure how many samples a function accepts",
        "--trainer.accelerator NAME": "cpu or gpu (default: that of the run)",
    },
}
OPTIONS["test"] = OPTIONS["validate"]

_EXAMPLES = """\
examples:
  sequentia fit brands.txt
  sequentia fit names --config transformer --trainer.max_time 00:02:00
  sequentia fit last_names.csv --data.column name --data.label country"""

_USAGE = {
    "fit": ("[FILE]", "Train a model on the lines of FILE, or resume a run."),
    "validate": ("[RUN]", "Evaluate a checkpoint on the validation lines of its run, and its samples."),
    "test": ("[RUN]", "Evaluate a checkpoint on the test lines of its run, and its samples."),
}


def option_parser(command: str) -> Parser:
    """The same options as an argument parser, which only completion needs: LightningCLI parses them."""
    parser = Parser(prog=f"sequentia {command}")
    parser.add_argument("first", nargs="?", metavar=_USAGE[command][0].strip("[]"))
    for option, meaning in OPTIONS[command].items():
        name, metavar = option.split(maxsplit=1) if " " in option else (option, None)
        parser.add_argument(name, metavar=metavar, help=meaning)
    return parser


_WIDTH, _INDENT = 80, 38  # of a terminal, and of the meanings


def short_help(command: str) -> str:
    """The help of a subcommand."""
    usage, introduction = _USAGE[command]
    every = f"`sequentia {command} --help_all` lists every option of trainer, model, data, optimizer and checkpoints."
    options = (_option(option, meaning) for option, meaning in OPTIONS[command].items())
    blocks = [f"usage: sequentia {command} {usage} [options]", introduction, "\n".join(options)]
    if command == "fit":
        blocks += [_EXAMPLES]
    return "\n\n".join([*blocks, textwrap.fill(every, _WIDTH)]) + "\n"


def _option(option: str, meaning: str) -> str:
    start = f"  {option}".ljust(_INDENT - 1) + " "
    return textwrap.fill(meaning, _WIDTH, initial_indent=start, subsequent_indent=" " * _INDENT)
