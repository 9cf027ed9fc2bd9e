"""What surrounds Lightning's trainer: the command line, checkpoints, exact resume, stopping, progress, TensorBoard."""
