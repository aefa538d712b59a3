"""Layers that the papers need and PyTorch lacks."""
