"""The schema of a run's data: names, types, ranges and domain, decided once at training and stored with the run.

Does not import NumPy or torch, so that a page that only shows runs can read a schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CONTAINERS", "Column", "Container", "Domain", "Kind", "Record", "Schema"]

Domain = Literal["binary", "unit", "real", "mixed"]
"""The values of the data: in {0, 1}, in [0, 1], any real numbers, or the rows of a table with words or missing cells.

A row of a mixed table is (d,) float32 like any other: a number as it is, less the column's `offset`; a level as its
code, 0 … K − 1; a missing cell as NaN.
"""

Kind = Literal["real", "integer", "binary", "category", "ordinal", "date", "constant"]
"""The type of a table's column; see `plausible.data.columns` for the rule that finds it."""

Container = Literal["file", "numpy", "torch", "pandas", "polars", "pyarrow", "images"]
"""The form the data came in: a file, folder or named data set; an array; a tensor; a table; a list of PIL images."""

CONTAINERS: tuple[Container, ...] = ("numpy", "torch", "pandas", "polars", "pyarrow", "images")
"""The containers that samples can be returned in (`as_=`)."""

_Size = Annotated[int, Field(ge=1, le=2**31)]


class Record(BaseModel):
    """A record that is stored as JSON: immutable, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True)


class Column(Record):
    """One column of a table.

    Attributes:
        name: the column's name, or "x0", "x1", … if it has none.
        kind: the type. In a table that is not mixed: binary if every value is 0 or 1, else real.
        dtype: the original dtype, as its library names it ("float64", "Int64", "bool"); "str" for the words of a file.
        low, high: the smallest and the largest value of the training rows; of levels, their codes.
        decimals: digits after the decimal point, 0 for whole numbers; None: more than 6, or not known.
        offset: subtracted in float64 before the conversion to float32, and added to a model's samples: 0, unless
            float32 would merge distinct values.
        levels: the names of the levels of a binary, categorical or ordinal column of a mixed table: the code k stands
            for levels[k]. None: the values are numbers.
        missing: the share of the training rows whose cell is missing.
        unit: of a date: the values count these since 1970-01-01.
    """

    name: str
    kind: Kind
    dtype: str = "float32"
    low: float
    high: float
    decimals: int | None = None
    offset: float = 0.0
    levels: tuple[str, ...] | None = None
    missing: float = 0.0
    unit: Literal["day", "hour", "minute", "second"] | None = None


class Schema(Record):
    """The form of the rows of a run's data.

    Attributes:
        shape: shape of one example as models see it, (features,) or (channels, height, width).
        domain: the values models see.
        rule: the reason for the domain, in words; shown before training.
        container: the container the data came in.
        dtype: the original dtype of the values.
        layout: the original shape of one example: (28, 28), (32, 32, 3), …
        scale: stored values are divided by this: 255 for pictures of bytes.
        columns: the columns of a table; None for pictures.
        named: whether the columns have names; they are then matched by name.
        numbered: whether these names are integers, not text, in the original table.
        mode: of pictures: L (grey) or RGB.
        fit: of pictures that were brought to their size: by cropping the middle, or by white borders.
        low, high: the smallest and the largest value of the training rows, as models see them.
        labels: the names of the classes, if there are labels.
        target: the column that the labels came from.
        dropped: columns of the table that are not read: ids, free text, and what the user left out.
    """

    shape: tuple[_Size, ...]
    domain: Domain
    rule: str = ""
    container: Container = "file"
    dtype: str = "float32"
    layout: tuple[_Size, ...]
    scale: float = 1.0
    columns: tuple[Column, ...] | None = None
    named: bool = False
    numbered: bool = False
    mode: Literal["L", "RGB"] | None = None
    fit: Literal["crop", "pad"] | None = None
    low: float = 0.0
    high: float = 1.0
    labels: tuple[str, ...] | None = None
    target: str | None = None
    dropped: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The column names of a table; None for pictures."""
        return None if self.columns is None else tuple(column.name for column in self.columns)

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of levels of each column of a table, 0 for numbers; () of pictures."""
        return tuple(len(column.levels or ()) for column in self.columns or ())

    @property
    def level_names(self) -> tuple[tuple[str, ...] | None, ...]:
        """The names of the levels of each column of a mixed table, None of numbers; () of other data."""
        return tuple(column.levels for column in self.columns or ()) if self.domain == "mixed" else ()

    @property
    def picture(self) -> bool:
        """Whether an example is a picture."""
        return len(self.shape) == 3
