"""What a metric says, and of what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from plausible.data import Data
from plausible.game import GenerativeModel

SAMPLES = 10_000


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        name: what it is called.
        value: the figure.
        spread: its uncertainty, where there is one, …
        spread_is: … and what kind.
        unit: nats, bits, share, …; empty for a pure number.
        higher_is_better: False where lower is.
        details: estimator settings and sizes.
        note: what it can and cannot say.
    """

    name: str
    value: float
    spread: float | None = None
    spread_is: str = ""
    unit: str = ""
    higher_is_better: bool | None = True
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class Subject:
    """What is measured: a source of samples, and the data it should be like.

    Args:
        draw: n → (n, *shape) samples, the same at each call.
        data: with its splits.
        model: where the samples come from, for metrics that ask it for more than samples.
        trained: the SPEC with absolute path that it was trained on; None: the data's.
    """

    def __init__(
        self,
        draw: Callable[[int], Tensor],
        data: Data,
        model: GenerativeModel | None = None,
        trained: str | None = None,
    ) -> None:
        self.data, self.model, self._draw = data, model, draw
        self.trained = data.source if trained is None else trained

    @cached_property
    def samples(self) -> Tensor:
        """SAMPLES draws, made once for all metrics."""
        return self._draw(SAMPLES)
