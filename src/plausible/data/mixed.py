"""Tables with words, dates or missing cells: which are, how models see them, and the schema of such a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plausible.data.columns import Asked, find_columns
from plausible.data.raw import Raw
from plausible.data.recoding import recode
from plausible.data.spec import Spec
from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = ["check_numbers", "described", "is_mixed", "read_mixed"]

_NUMBERS = ("real", "integer")


def is_mixed(raw: Raw, spec: Spec, asked: Mapping[str, Asked]) -> bool:
    """Whether a table has words, dates or missing cells, or the user asks for columns with levels or for `mixed`.

    Raises:
        PlausibleError: it is mixed, and a view asks for what such a table cannot be.
    """
    of_table = raw.cells is not None
    wanted = spec.domain == "mixed" or any(one.kind not in _NUMBERS for one in asked.values())
    if not (of_table or wanted):
        return False
    if raw.picture:
        raise PlausibleError(f"data {spec}: pictures have no columns: leave out :domain=mixed and --column")
    if spec.domain not in (None, "mixed") or spec.binarization:
        view = spec.binarization or f"domain={spec.domain}"
        why = _listed(_odd(raw)) if of_table else "columns with levels are asked for"
        raise PlausibleError(
            f"data {spec}: :{view} is for numbers, and {why}: leave out :{view}, or these columns"
        )
    return True


def _odd(raw: Raw) -> list[str]:
    """The columns that are not numbers alone."""
    names, cells = raw.feature_names, raw.cells or ()
    gaps = np.any([np.isnan(part).any(axis=0) for part in raw.parts.values()], axis=0)
    return [name for name, one, gap in zip(names, cells, gaps, strict=True) if gap or not one.plain]


def _listed(names: Sequence[str]) -> str:
    some = ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
    return f"there are words, dates or missing cells in {some}"


def read_mixed(
    raw: Raw,
    spec: Spec,
    train: np.ndarray,
    asked: Mapping[str, Asked],
    drop: Sequence[str],
    labels: tuple[str, ...] | None,
) -> tuple[Raw, Schema]:
    """The rows as models see them, float32, and their schema.

    Args:
        raw: the rows as they came.
        spec: of the data.
        train: mask of the training rows, (N,), bool: types, levels and ranges are theirs.
        asked: column → the type that the user asks for.
        drop: the columns that the user left out.
        labels: the names of the classes.

    Raises:
        PlausibleError: see `find_columns` and `recode`.
    """
    why = _odd(raw) if raw.cells is not None else []
    columns, left_out = find_columns(raw, train, asked)
    recoded = recode(raw, columns, known_to="the training rows")
    values = next(iter(recoded.parts.values()))[train]
    width = len(raw.feature_names)
    rule = (
        f"mixed: {len(why)} of {width} columns hold words, dates or missing cells"
        if why
        else "mixed: as asked for"
    )
    return recoded, Schema(
        shape=(len(columns),),
        domain="mixed",
        rule=rule,
        container=raw.container,
        dtype=raw.dtype or str(raw.values_dtype),
        layout=(len(columns),),
        columns=columns,
        named=raw.columns is not None,
        numbered=raw.numbered,
        low=float(np.nanmin(values)),
        high=float(np.nanmax(values)),
        labels=labels,
        target=raw.target,
        dropped=(*drop, *left_out),
    )


def check_numbers(raw: Raw, asked: Mapping[str, Asked]) -> None:
    """Check the types that are asked for of a table of numbers alone: real, or whole.

    Raises:
        PlausibleError: no such column, or one asked to be integer with other numbers.
    """
    names = () if raw.picture else raw.feature_names
    for name, one in asked.items():
        if name not in names:
            there = f"there is {', '.join(names)}" if names else "pictures have no columns"
            raise PlausibleError(f"{raw.name} has no column {name!r} for --column: {there}")
        for part in raw.parts.values() if one.kind == "integer" else ():
            column = np.asarray(part[:, names.index(name)])
            if len(odd := column[column != np.rint(column)]):
                raise PlausibleError(
                    f"{raw.name}: column {name!r} cannot be integer: {odd[0]:g} is not a whole number"
                )


def described(schema: Schema) -> bytes:
    """What the values of a mixed table mean, for its hash."""
    return repr(
        [(one.name, one.kind, one.levels, one.unit, one.offset) for one in schema.columns or ()]
    ).encode()
