"""How good is it? The metrics of held-out lines and of samples, and the baselines to compare them with."""
