"""Runs: what a model's inputs are, the values that enter it, and how its results are printed and saved."""
