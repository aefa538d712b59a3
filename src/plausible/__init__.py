"""Train, sample, score and compare generative models: "있을 법한" — data that does not exist but could.

```python
import plausible

run = plausible.train("vae", X, minutes=2)   # a SPEC, a path, an array, a DataFrame, PIL images, …
run.sample(100)                              # what came in comes out
run.score(new_rows)                          # (n,); higher is more plausible
run.report()
plausible.load("runs/x")
plausible.compare(["gan", "vae"], X)         # one split, one budget, one page
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plausible.version import __version__ as __version__

if TYPE_CHECKING:
    from plausible.comparison import compare
    from plausible.errors import PlausibleError
    from plausible.jobs import verify
    from plausible.run import Run, load, train

__all__ = ["PlausibleError", "Run", "compare", "load", "train", "verify"]


def __getattr__(name: str) -> Any:
    """Import the run, and torch with it, when it is first asked for."""
    if name == "PlausibleError":
        from plausible.errors import PlausibleError

        return PlausibleError
    if name == "verify":
        from plausible.jobs import verify

        return verify
    if name == "compare":
        from plausible.comparison import compare

        return compare
    if name in __all__:
        from plausible import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
