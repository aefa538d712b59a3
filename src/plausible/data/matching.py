"""Read rows for a trained run as its schema says, instead of deciding their domain anew."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from plausible.data.domains import BYTE_SCALE, REAL_MODELS
from plausible.data.raw import Raw, format_shape
from plausible.data.recoding import recode
from plausible.data.rows import FLOAT32_MAX, StoredRows
from plausible.data.scan import scan_values
from plausible.data.spec import Spec
from plausible.errors import PlausibleError
from plausible.schema import Domain, Schema

__all__ = ["check_names", "check_not_single", "match_schema"]


def match_schema(
    raw: Raw,
    schema: Schema,
    spec: Spec,
    y: np.ndarray | None,
    labels: tuple[str, ...] | None,
    *,
    given: bool,
) -> StoredRows:
    """The rows as the schema reads them.

    Args:
        raw: the rows as they came.
        schema: the run's schema.
        spec: the rows' SPEC or description, with views.
        y, labels: their class numbers, (N,), and class names; or None.
        given: whether the user passed the labels, rather than the data having some.

    Raises:
        PlausibleError: other columns, another size or mode of picture, a value that is not finite or outside the run's
            domain, or a label passed by the user that the run does not know.
    """
    if schema.domain == "mixed":
        return _match_mixed(raw, schema, y, labels, given=given)
    if raw.cells is not None:
        raise _not_numbers(raw)
    raw = _in_order(raw, schema)
    _check_shape(raw, schema)
    scale = _scale(raw, schema, spec)
    domain: Domain = "unit" if spec.binarization else schema.domain
    found = scan_values(raw)
    _check_values(raw, schema, spec, domain, scale)
    offset = np.array([column.offset for column in schema.columns or ()])
    centred = offset if offset.any() else None
    reach = np.maximum(np.abs(found.low - (offset if len(offset) else 0)), np.abs(found.high))
    beyond = np.flatnonzero(reach > FLOAT32_MAX)
    if len(beyond):
        _warn_beyond(raw, schema, beyond)
    y, labels = _renumbered(raw, schema, y, labels, given)
    return StoredRows(
        raw.name,
        tuple(raw.parts.values()),
        raw.shape,
        domain,
        scale,
        raw.channels_last,
        y=y,
        labels=labels,
        columns=schema.names if schema.named else raw.columns,
        offset=centred,
        limited=bool(len(beyond)),
        container=raw.container,
        names=raw.names,
    )


def _match_mixed(
    raw: Raw, schema: Schema, y: np.ndarray | None, labels: tuple[str, ...] | None, *, given: bool
) -> StoredRows:
    """The rows of a mixed table: a level that the run does not know counts as missing, with a warning."""
    if raw.columns is not None and schema.named and not raw.picture:
        check_names(raw.name, raw.columns, schema)
    else:
        _check_shape(raw, schema)
    y, labels = _renumbered(raw, schema, y, labels, given)
    raw = recode(raw, schema.columns or (), known_to="the run")
    return StoredRows(
        raw.name,
        tuple(raw.parts.values()),
        raw.shape,
        "mixed",
        y=y,
        labels=labels,
        columns=schema.names if schema.named else raw.columns,
        container=raw.container,
        names=raw.names,
    )


def _not_numbers(raw: Raw) -> PlausibleError:
    """The error for rows with words or missing cells, where the run knows only numbers."""
    found = []
    for i, (name, cells) in enumerate(zip(raw.feature_names, raw.cells or (), strict=True)):
        values = np.concatenate([part[:, i] for part in raw.parts.values()])
        gaps, odd = np.flatnonzero(np.isnan(values)), np.flatnonzero(~np.isnan(values))
        if not cells.plain and len(odd):
            word = repr(cells.words[int(values[odd[0]])]) if cells.words is not None else "a date"
            found.append(f"{name!r} holds {word} in {raw.where_row(int(odd[0]))}")
        elif len(gaps):
            found.append(f"{name!r} is missing in {raw.where_row(int(gaps[0]))}")
    some = "; ".join(found[:10]) + ("; …" if len(found) > 10 else "")
    return PlausibleError(
        f"{raw.name}: the run was trained on numbers without missing cells, and {some}: fill them in, or drop the rows"
    )


def check_names(name: str, found: Sequence[str], schema: Schema) -> None:
    """Check that the column names are those of the run, in any order.

    Raises:
        PlausibleError: some are missing, or there are others.
    """
    if not schema.named or schema.names is None:
        return
    missing = [column for column in schema.names if column not in found]
    others = {*schema.names, schema.target, *schema.dropped}
    extra = [column for column in found if column not in others]
    if missing or extra:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [
            f"not among the run's: {', '.join(extra)}"
        ] * bool(extra)
        raise PlausibleError(f"{name}: the columns are not those of the run: {'; '.join(parts)}")


def _in_order(raw: Raw, schema: Schema) -> Raw:
    """Columns in the run's order, matched by name if both have names."""
    if raw.columns is None or not schema.named or raw.picture:
        return raw
    check_names(raw.name, raw.columns, schema)
    if raw.columns == schema.names:
        return raw
    return raw.reordered([raw.columns.index(column) for column in schema.names or ()])


def check_not_single(shape: tuple[int, ...], schema: Schema) -> None:
    """Check that an array is not a single example without the axis of rows.

    Raises:
        PlausibleError: it is.
    """
    forms = {schema.layout, schema.shape}
    if schema.picture and schema.shape[0] == 1:
        forms.add(schema.shape[1:])
    if shape in forms and shape[1:] not in forms:
        raise PlausibleError(
            f"this is a single example of {format_shape(shape)}, without the axis of rows: give x[None]"
        )


def _check_shape(raw: Raw, schema: Schema) -> None:
    if raw.shape == schema.shape:
        return
    check_not_single((len(raw), *raw.stored), schema)
    if raw.picture and schema.picture:
        raise PlausibleError(
            f"{raw.name} holds pictures of {_form(raw.shape)}, and the run was trained on {_form(schema.shape)}: "
            f"convert them; of a folder or zip, the view :size={schema.shape[2]}x{schema.shape[1]} changes the size"
        )
    if not raw.picture and not schema.picture:
        raise PlausibleError(
            f"{raw.name} has {raw.shape[0]} columns, and the run was trained on {schema.shape[0]}: give these"
        )
    has, wants = (
        f"pictures of {_form(s)}" if len(s) == 3 else f"rows of {s[0]} numbers"
        for s in (raw.shape, schema.shape)
    )
    raise PlausibleError(
        f"{raw.name} holds {has}, and the run was trained on {wants}: reshape it to (rows, "
        f"{', '.join(map(str, schema.layout))})"
    )


def _form(shape: tuple[int, ...]) -> str:
    """(3, 32, 28) → "28 × 32 pixels, RGB"."""
    return f"{shape[2]} × {shape[1]} pixels, {'RGB' if shape[0] == 3 else 'L (grey)'}"


def _scale(raw: Raw, schema: Schema, spec: Spec) -> float:
    """The number that the rows' own values are divided by."""
    if schema.domain == "binary" and not spec.binarization:
        return raw.scale
    if raw.domain is not None and raw.scale != 1:
        return raw.scale
    if raw.values_dtype != np.uint8:
        return 1.0
    unit = schema.domain == "unit" or bool(spec.binarization)
    return schema.scale if schema.scale != 1 else BYTE_SCALE if raw.picture and unit else 1.0


def _check_values(raw: Raw, schema: Schema, spec: Spec, domain: Domain, scale: float) -> None:
    """Check that every value is in the run's domain."""
    if domain == "real":
        return
    if domain == "binary":
        found = raw.first(lambda block: (block != 0) & (block != scale))
        says, way = "is trained on 0 and 1", ""
        if found and raw.picture:
            way = ": binarize them with the view :binary"
    else:
        found = raw.first(lambda block: (block < 0) | (block > scale))
        says, way = "is trained on values in [0, 1]", ": divide grey levels by 255, or train " + REAL_MODELS
        if raw.picture and raw.values_dtype.kind == "f" and schema.domain == "unit":
            way = ": divide them by 255 if they are grey levels"
    if found:
        raise PlausibleError(f"{found[0]} is {found[1]}, and the run {says}{way}")


def _warn_beyond(raw: Raw, schema: Schema, columns: np.ndarray) -> None:
    names = schema.names or ()
    text = ", ".join(repr(names[i]) for i in columns) if names else "some pixels"
    warnings.warn(
        f"{raw.name}: values of {text} lie beyond float32's range and are clipped to its limits, ±3.4e38",
        stacklevel=2,
    )


def _renumbered(
    raw: Raw, schema: Schema, y: np.ndarray | None, labels: tuple[str, ...] | None, given: bool
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Labels as the run's class numbers. Labels of the data that the run does not know are dropped with a warning."""
    if y is None or labels is None or schema.labels is None:
        return y, labels
    unknown = [label for label in labels if label not in schema.labels]
    if not unknown:
        return np.array([schema.labels.index(label) for label in labels], np.int64)[y], schema.labels
    some = ", ".join(unknown[:10]) + (", …" if len(unknown) > 10 else "")
    if given:
        raise PlausibleError(
            f"{raw.name}: the run does not know the label {some}: it knows {', '.join(schema.labels[:20])}"
        )
    warnings.warn(f"{raw.name}: the run does not know the label {some}: the labels are ignored", stacklevel=2)
    return None, None
