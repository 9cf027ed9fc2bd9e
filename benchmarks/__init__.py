"""Benchmarks of speed and quality; `python -m benchmarks` prints their tables."""
