"""The subcommands, a file each; `validate` and `test` are in fit.py. Only that one needs a Trainer."""
