"""The subcommands, one file each; fit.py also has `validate` and `test`, and is the only one that needs a Trainer."""
