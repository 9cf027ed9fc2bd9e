"""How is a model trained? Lightning's trainer, configured on the command line, with checkpoints and exact resume."""
