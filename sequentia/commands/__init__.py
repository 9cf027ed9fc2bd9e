"""The subcommands that need no Trainer, a file each."""
