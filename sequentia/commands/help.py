"""The short help of `fit`, `validate` and `test`: the options that people use, out of several hundred."""

OPTIONS = {
    "fit": {
        "--config NAME_OR_FILE": "a shipped config (default: mixture), or YAML; several are merged",
        "--data.path FILE": "one example per line: a packaged dataset (names), a file or a URL",
        "--data.val_path FILE": "ready-made validation lines; also --data.test_path",
        "--data.column NAME_OR_NUMBER": "the column of the lines, if the file is a table",
        "--data.encoding NAME": "encoding of the files (default: utf-8)",
        "--data.batch_size N": "lines per step (default: from the size of the data)",
        "--data.max_length N": "leave out longer lines (default: 256, 512 or 1024)",
        "--data.long_lines split": "cut longer lines into pieces instead",
        "--data.seed N": "seed of the split and of the order of the lines",
        "--model NAME": "architecture by class name, such as GRU; its defaults are its config's",
        "--model.OPTION VALUE": "its options, such as n_layer, n_embd, n_head, n_hidden, dropout",
        "--optimizer CLASS": "a class of torch.optim or sequentia.optim; --optimizer.lr is its option",
        "--lr_scheduler CLASS": "learning-rate schedule; null keeps the rate constant",
        "--trainer.max_steps N": "length in optimizer steps (default: from the size of the data)",
        "--trainer.max_epochs N": "length in epochs",
        "--trainer.max_time TIME": "length in time, such as 00:10:00 (default of mixture: one minute)",
        "--trainer.val_check_interval N": "steps between two validations",
        "--extra_metrics false": "log losses only: no samples, accuracy, learning rates, pictures",
        "--trainer.accelerator NAME": "cpu or gpu (default: what is available)",
        "--trainer.devices N": "number of devices or processes",
        "--trainer.precision NAME": "32-true or bf16-mixed",
        "--trainer.default_root_dir DIR": "where runs are saved (default: checkpoints/<config>)",
        "--checkpoint.every_n_train_steps N": "steps between two writes of last.ckpt (default: one minute)",
        "--ckpt_path PATH": "resume the newest run (last), a run directory or a checkpoint",
        "--init_from PATH": "start a new run from the weights of a run or a checkpoint",
        "--trust MODULE": "a module of yours that a checkpoint may import",
        "--seed_everything N": "seed of initial weights and dropout",
        "--print_config": "print the resulting configuration and exit",
    },
    "validate": {
        "--ckpt_path PATH": "a checkpoint, a run (its best) or a directory of runs (default: newest)",
        "--data.path FILE": "other lines than those of the run",
        "--trust MODULE": "a module of yours that a checkpoint may import",
        "--format table|json|csv": "how to print the result (default: table)",
        "--valid MODULE:FUNCTION": "measure the fraction of valid samples, by a function of a text",
        "--trainer.accelerator NAME": "cpu or gpu (default: that of the run)",
    },
}
OPTIONS["test"] = OPTIONS["validate"]

_INTRODUCTIONS = {
    "fit": "Train a model, or resume a run.",
    "validate": "Evaluate a checkpoint on the validation lines of its run, and its samples.",
    "test": "Evaluate a checkpoint on the test lines of its run, and its samples.",
}


def short_help(command: str) -> str:
    """The help of a subcommand."""
    options = "\n".join(f"  {option:36}{text}" for option, text in OPTIONS[command].items())
    return (
        f"usage: sequentia {command} [options]\n\n{_INTRODUCTIONS[command]}\n\n{options}\n\n"
        f"`sequentia {command} --help_all` lists every option of trainer, model, data, optimizer and checkpoints.\n"
    )
