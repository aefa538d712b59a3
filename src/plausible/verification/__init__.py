"""Checks of a model's density: that it sums to one, is causal, and that samples follow it."""
