"""Train, sample, score and compare generative models: "있을 법한" — data that does not exist but could.

```python
import plausible

run = plausible.train("gan", data="digits", minutes=1, out="runs/digits")
model = plausible.load(run)                  # a torch module
images = plausible.draw(model, 16, seed=0)   # (16, 1, 8, 8) in [0, 1]
print(plausible.evaluate(run))
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plausible.jobs import draw, encode, evaluate, load, resume, sample, score, train, verify

__version__ = "0.1.0"
__all__ = ["draw", "encode", "evaluate", "load", "resume", "sample", "score", "train", "verify"]


def __getattr__(name: str) -> Any:
    """Import the jobs, and torch with them, when they are first asked for."""
    if name in __all__:
        from plausible import jobs

        return getattr(jobs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
