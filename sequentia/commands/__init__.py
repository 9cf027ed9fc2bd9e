"""The subcommands, one file each; fit.py also has `validate` and `test`, and is the only one that needs a Trainer."""

COMMANDS = {
    "fit": ("train a model, or resume a run", "sequentia.commands.fit"),
    "validate": ("evaluate a checkpoint on the validation lines", "sequentia.commands.fit"),
    "test": ("evaluate a checkpoint on the test lines", "sequentia.commands.fit"),
    "sample": ("print new lines from a trained model", "sequentia.commands.sample"),
    "top": ("print the most probable lines of a trained model", "sequentia.commands.top"),
    "score": ("print the negative log-likelihood of texts", "sequentia.commands.score"),
    "classify": ("print which labels texts probably have", "sequentia.commands.classify"),
    "report": ("compare runs", "sequentia.commands.report"),
    "export": ("convert a trained model for Hugging Face, ONNX or the browser", "sequentia.commands.export"),
    "plot": ("draw a trained model, or the curves of its run", "sequentia.commands.plot"),
    "completion": ("print a script that lets a shell complete commands and options", "sequentia.commands.completion"),
}
"""Subcommand -> its help text, and the module whose `run(name, arguments)` runs it and returns the exit code."""
