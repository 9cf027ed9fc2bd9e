"""What happens at each step? Checkpoints, exact resume, stopping, the run's length, fine-tuning."""
