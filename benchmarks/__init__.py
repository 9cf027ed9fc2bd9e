"""What measures speed and quality; `python -m benchmarks` prints the tables."""
