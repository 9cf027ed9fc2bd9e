"""Measurements of speed and of quality; RESULTS.md has the results."""
