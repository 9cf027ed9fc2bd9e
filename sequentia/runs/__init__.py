"""What is saved, and where? Run directories, checkpoint files, and the records of a run."""
