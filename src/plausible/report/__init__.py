"""What a run looks like: pictures of its samples, curves of its training, one HTML page with all of it."""

from plausible.report.pictures import filmstrip, grid, picture

__all__ = ["filmstrip", "grid", "picture"]
