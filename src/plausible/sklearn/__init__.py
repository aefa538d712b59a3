"""scikit-learn estimators over the library's models: detect outliers, sample rows, encode rows.

```python
from plausible.sklearn import PlausibleDetector

detector = PlausibleDetector(random_state=0).fit(X)
detector.predict(X_new)  # +1 ordinary, -1 outlier
detector.p_values(X_new)  # conformal
detector.explain(X_new)  # which columns
detector.save("runs/detector")  # an ordinary run folder
```

They train through `plausible.train`, in a temporary run folder that is removed, and hold the run in memory.
"""

from __future__ import annotations

from plausible.sklearn.detector import PlausibleDetector
from plausible.sklearn.encoder import PlausibleEncoder
from plausible.sklearn.sampler import PlausibleSampler

__all__ = ["PlausibleDetector", "PlausibleEncoder", "PlausibleSampler"]
