"""What does a run log? Curves, samples, metrics.csv, TensorBoard, the progress bar, messages."""
