"""What is saved, and where? Run directories, checkpoint files, and what a run has recorded."""
