"""What a run knows of its data: names, types, ranges and the domain, decided once at training and stored with the run.

No NumPy and no torch here: a page that only watches runs can read a schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CONTAINERS", "Column", "Container", "Domain", "Record", "Schema"]

Domain = Literal["binary", "unit", "real"]
"""What values the data take: {0, 1}, [0, 1], or any real number."""

Container = Literal["file", "numpy", "torch", "pandas", "polars", "pyarrow", "images"]
"""What the data came in: a file, folder or named data set; an array; a tensor; a table; a list of PIL images."""

CONTAINERS: tuple[Container, ...] = ("numpy", "torch", "pandas", "polars", "pyarrow", "images")
"""What rows can be given back in (`as_=`)."""

Size = Annotated[int, Field(ge=1, le=2**31)]


class Record(BaseModel):
    """Something that is stored as JSON: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True)


class Column(Record):
    """One column of a table.

    Attributes:
        name: its own, or "x0", "x1", … where it has none.
        kind: binary if every value is 0 or 1, else real.
        dtype: as the column came, in its library's words ("float64", "Int64", "bool").
        low, high: the smallest and the largest value of the training rows.
        offset: subtracted in float64 before values become float32, and added to what a model makes: 0, unless
            float32 would merge distinct values.
    """

    name: str
    kind: Literal["binary", "real"]
    dtype: str = "float32"
    low: float
    high: float
    offset: float = 0.0


class Schema(Record):
    """What rows of a run's data look like.

    Attributes:
        shape: of one example as models see it, (features,) or (channels, height, width).
        domain: what values models see.
        rule: why that domain, in words: shown before training.
        container: what the data came in.
        dtype: of the values as they came.
        layout: the shape of one example as it came: (28, 28), (32, 32, 3), …
        scale: what stored values are divided by: 255 for pictures of bytes.
        columns: of a table; None for pictures.
        named: whether the columns have names of their own; columns are then matched by name.
        numbered: whether these names are whole numbers, not text, in the table that came.
        mode: of pictures: L (grey) or RGB.
        low, high: the smallest and the largest value of the training rows, as models see them.
        labels: the names of the classes, where there are labels.
        target: the column that the labels came from.
    """

    shape: tuple[Size, ...]
    domain: Domain
    rule: str = ""
    container: Container = "file"
    dtype: str = "float32"
    layout: tuple[Size, ...]
    scale: float = 1.0
    columns: tuple[Column, ...] | None = None
    named: bool = False
    numbered: bool = False
    mode: Literal["L", "RGB"] | None = None
    low: float = 0.0
    high: float = 1.0
    labels: tuple[str, ...] | None = None
    target: str | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The columns' names, of a table."""
        return None if self.columns is None else tuple(column.name for column in self.columns)

    @property
    def picture(self) -> bool:
        """Whether an example is a picture."""
        return len(self.shape) == 3
