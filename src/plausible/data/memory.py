"""Read Python objects: arrays, tensors, torch Datasets, PIL images, dicts of splits.

torch and Pillow are never imported here: whoever passes their objects has imported them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plausible.data.checks import SPLITS
from plausible.data.images import check_size, prepared
from plausible.data.joining import join_cells
from plausible.data.labels import label_array
from plausible.data.pictures import fit_for
from plausible.data.raw import Raw, format_shape
from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = [
    "from_array",
    "from_dataset",
    "from_images",
    "from_splits",
    "from_tensor",
    "is_array",
    "is_dataset",
    "is_images",
    "is_splits",
    "is_tensor",
]


def _is(data: Any, module: str, *names: str) -> bool:
    """Whether data are an instance of a class of a module, if that module has been imported."""
    loaded = sys.modules.get(module)
    classes = tuple(kind for name in names if isinstance(kind := getattr(loaded, name, None), type))
    return isinstance(data, classes)


def is_array(data: Any) -> bool:
    return isinstance(data, np.ndarray)


def from_array(data: np.ndarray) -> Raw:
    """Read a NumPy array, (n, d), (n, h, w) or with 1 or 3 channels before or after height and width; not copied.

    Raises:
        PlausibleError: no rows of numbers, or masked values.
    """
    name = f"array of {format_shape(data.shape)}"
    if isinstance(data, np.ma.MaskedArray):
        if np.ma.is_masked(data):
            raise PlausibleError(f"{name} has masked values: fill them in, or drop their rows")
        data = data.data
    if data.dtype.hasobject:
        raise PlausibleError(f"{name} holds Python objects: give numbers, array.astype(np.float32)")
    return Raw.of(name, np.asarray(data), container="numpy")


def is_tensor(data: Any) -> bool:
    return _is(data, "torch", "Tensor")


def from_tensor(data: Any) -> Raw:
    """Read a torch tensor, as `from_array`; not copied if it is on the CPU.

    Raises:
        PlausibleError: no rows of real numbers, or a sparse tensor.
    """
    name = f"tensor of {format_shape(tuple(data.shape))}"
    return Raw.of(name, _values(name, data), container="torch", dtype=_dtype(data))


def _dtype(data: Any) -> str:
    return str(data.dtype).removeprefix("torch.")


def _values(name: str, data: Any) -> np.ndarray:
    """A tensor's values; bfloat16 as float32, since NumPy has no bfloat16."""
    try:
        data = data.detach().cpu()
        return (data.float() if _dtype(data) == "bfloat16" else data).resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise PlausibleError(
            f"{name} cannot be read ({error}): give a dense tensor of real numbers"
        ) from error


def is_dataset(data: Any) -> bool:
    return _is(data, "torch.utils.data", "Dataset")


def from_dataset(data: Any) -> Raw:
    """Read a map-style torch Dataset of x or of pairs (x, y), once, in the order of its index.

    Raises:
        PlausibleError: an iterable Dataset, or one without a length; items that differ in form, or of an unknown kind.
    """
    kind = type(data).__name__
    if _is(data, "torch.utils.data", "IterableDataset") or not hasattr(data, "__len__"):
        raise PlausibleError(
            f"{kind} is an iterable Dataset, which has no length and no fixed order to split: give a map-style "
            "Dataset, with __len__ and __getitem__, or an array of its rows"
        )
    if not len(data):
        raise PlausibleError(f"{kind} has no items: check how it was made")
    items = [data[i] for i in range(len(data))]
    paired = isinstance(items[0], (tuple, list))
    sizes = {len(item) if isinstance(item, (tuple, list)) else 0 for item in items}
    if len(sizes) > 1 or max(sizes) > 2:
        raise PlausibleError(
            f"{kind}: its items are neither all x nor all pairs (x, y): wrap it so that they are"
        )
    x = [item[0] for item in items] if paired else items
    y = [item[1] for item in items] if sizes == {2} else None
    raw = _stacked(f"{kind} of {len(items):,} items", x)
    return raw if y is None else replace(raw, y=_scalars(raw.name, y))


def _scalars(name: str, y: Sequence[Any]) -> np.ndarray:
    values = [label.item() if hasattr(label, "item") and np.ndim(label) == 0 else label for label in y]
    try:
        return label_array(name, values)
    except ValueError as error:
        raise PlausibleError(f"{name}: the labels differ in form: give one label per row") from error


def _stacked(name: str, items: Sequence[Any]) -> Raw:
    """Rows from items that are one example each."""
    first = items[0]
    if _is(first, "PIL.Image", "Image"):
        return replace(from_images(items), name=name)
    if not (is_array(first) or is_tensor(first)):
        raise PlausibleError(
            f"{name}: an item is of type {type(first).__name__}: give tensors, arrays or PIL images, or pairs of one "
            "of them and a label"
        )
    values = [_values(name, item) if is_tensor(item) else np.asarray(item) for item in items]
    forms = {(value.shape, value.dtype) for value in values}
    if len(forms) > 1:
        some = " and ".join(f"{shape} {dtype}" for shape, dtype in list(forms)[:2])
        raise PlausibleError(f"{name} differ in form: there are {some}: give one shape and one dtype")
    torch = is_tensor(first)
    return Raw.of(
        name,
        np.stack(values),
        container="torch" if torch else "numpy",
        dtype=_dtype(first) if torch else str(values[0].dtype),
    )


def is_images(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and bool(data) and all(_is(x, "PIL.Image", "Image") for x in data)


def from_images(
    data: Sequence[Any], *, size: str | None = None, fit: str | None = None, schema: Schema | None = None
) -> Raw:
    """Read PIL images, (n, height, width) or (n, height, width, 3), uint8; grey if all are; as `images` says.

    Args:
        data: the images; they are not changed.
        size, fit, schema: as in `pictures.read_folder`.

    Raises:
        PlausibleError: sizes that differ although no size is asked for, or an image of another depth than 8 or 16 bits.
    """
    wanted, name = fit_for(size, fit, schema), "image {} (counted from 0)"
    found = [prepared(name.format(i), image, wanted) for i, image in enumerate(data)]
    for i, (image, _) in enumerate(found):
        check_size((name.format(0), found[0][0].size), name.format(i), image.size)
    grey = all(grey for _, grey in found) and (schema is None or schema.mode != "RGB")
    return Raw.of(
        f"{len(data):,} PIL images",
        np.stack([np.asarray(image.convert("L" if grey else "RGB")) for image, _ in found]),
        container="images",
        domain="unit",
        scale=255.0,
        last=not grey,
        fit=None if wanted is None else wanted.how,
    )


def is_splits(data: Any) -> bool:
    return isinstance(data, Mapping)


def from_splits(data: Mapping[Any, Any], *, target: str | None = None, **how: Any) -> Raw:
    """Read a dict of splits of any kind, with or without labels; a missing valid or test is split off train later.

    Args:
        data: name of the split → its rows, or a pair of rows and labels.
        target: the column that is the label.
        how: schema, columns and drop, as in `reading.read`.

    Raises:
        PlausibleError: no train, other keys, or splits that do not fit together.
    """
    if "train" not in data or not set(data) <= set(SPLITS):
        found = ", ".join(map(str, data)) or "nothing"
        raise PlausibleError(
            f"a dict of splits has the keys train and, optionally, valid and test: this one has {found}: rename them"
        )
    raws = {name: _split(name, data[name], target, how) for name in SPLITS if name in data}
    first = raws["train"]
    raws = join_cells({name: _ordered(name, raw, first) for name, raw in raws.items()})
    first = raws["train"]
    parts = {f"{name}: {what}": part for name, raw in raws.items() for what, part in raw.parts.items()}
    counts = {name: len(raw) for name, raw in raws.items()}
    text = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return replace(
        first,
        name=f"dict of splits ({text})",
        parts=parts,
        y=_together(raws),
        labels=None,
        counts=counts,
        lines=None,
        names=_names_together(raws),
        notes=tuple(f"{name}: {note}" for name, raw in raws.items() for note in raw.notes),
    )


def _names_together(raws: Mapping[str, Raw]) -> tuple[str, list[str]] | None:
    """What the rows of all splits are called, and the name of each, if all have names of one kind."""
    found = [raw.names for raw in raws.values() if raw.names is not None]
    if len(found) < len(raws) or len({heading for heading, _ in found}) > 1:
        return None
    return found[0][0], [name for _, names in found for name in names]


def _split(name: str, value: Any, target: str | None, how: Mapping[str, Any]) -> Raw:
    from plausible.data.reading import read

    pair = isinstance(value, (tuple, list)) and len(value) == 2 and not is_images(value)
    x, y = value if pair else (value, None)
    spec, _, raw = read(x, y=y, target=target, **how)
    if raw.counts is not None or set(spec.views) - {f"target={target}"}:
        raise PlausibleError(f"{name}: {spec} has its own views or splits: give its rows as an array")
    return raw


def _ordered(name: str, raw: Raw, first: Raw) -> Raw:
    """A split with its columns in the order of the first split."""
    if (raw.domain, raw.scale, raw.last) != (first.domain, first.scale, first.last):
        raise PlausibleError(f"{name} is {raw.name} and train {first.name}: give both in one form")
    if raw.columns == first.columns:
        return raw
    if raw.columns is None or first.columns is None or set(raw.columns) != set(first.columns):
        raise PlausibleError(
            f"{name} has the columns {', '.join(raw.columns or ['without names'])} and train "
            f"{', '.join(first.columns or ['without names'])}: give both the same"
        )
    order = [raw.columns.index(column) for column in first.columns]
    return raw.reordered(order)


def _together(raws: Mapping[str, Raw]) -> np.ndarray | None:
    """The labels of all splits, concatenated, (N,)."""
    without = [name for name, raw in raws.items() if raw.y is None]
    if len(without) == len(raws):
        return None
    if without:
        raise PlausibleError(
            f"{', '.join(without)} has no labels, and others have: give all splits labels or none"
        )
    found = []
    for name, raw in raws.items():
        y = np.array(raw.labels)[raw.y] if raw.labels is not None else label_array(name, raw.y)
        if len(y) != len(raw):
            raise PlausibleError(
                f"{name}: x has {len(raw)} rows and y {len(y)} labels: give one label per row"
            )
        found.append(y)
    if len({y.dtype.kind for y in found}) > 1:
        found = [y.astype(str) for y in found]
    return np.concatenate(found)
