"""One fair comparison of models: one split, one budget of processor time each, the same figures for all.

`entries` reads what is to be compared, `training` trains it, `baselines` fits what needs no training, `measuring` takes
the figures of each, `advice` says what follows from them, and `job.compare` does all of it in one folder.
"""

from plausible.comparison.job import Outcome, compare

__all__ = ["Outcome", "compare"]
