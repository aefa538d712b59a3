"""From a name and options to a model and its recipe.

A model's options are its constructor's arguments, and those of its parents' constructors where it hands `**options` on;
how it is trained is its class's `recipe`. Both are checked by their types, and are given side by side.
"""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import docstring_parser
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from torch import nn

from plausible.errors import PlausibleError
from plausible.game import Domain, GenerativeModel
from plausible.models.registry import MODELS, Preset, model_class, name_of
from plausible.recipe import Recipe
from plausible.schema import Column, Schema

__all__ = [
    "build",
    "check_takes",
    "checked_options",
    "default_recipe",
    "network_options",
    "networks_in",
    "option_help",
    "options_of",
    "preset_of",
    "presets_of",
    "recipe_of",
    "recipe_options",
    "split_options",
    "with_networks",
]

NOTHING: Mapping[str, nn.Module] = MappingProxyType({})
OF_DATA = ("shape", "domain", "column_levels")
"""Arguments of a constructor that describe the data and are no options."""


def options_of(name: str | type) -> dict[str, tuple[Any, Any]]:
    """A model's own options: argument → (type, default), in the constructor's order, then those it inherits."""
    found: dict[str, tuple[Any, Any]] = {}
    for constructor in _constructors(model_class(name)):
        hints = get_type_hints(constructor, include_extras=True)
        for p in list(inspect.signature(constructor).parameters.values())[1:]:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.name in OF_DATA:
                continue
            found.setdefault(p.name, (hints.get(p.name, _type_of(p.default)), p.default))
    return found


def recipe_options(name: str | type) -> dict[str, tuple[Any, Any]]:
    """How a model can be trained: field of its recipe → (type, default); empty of one that is counted, not trained.

    A field that the constructor has as an option of its own is left out.
    """
    recipe = default_recipe(name)
    if recipe is None:
        return {}
    own, hints = options_of(name), get_type_hints(type(recipe), include_extras=True)
    names = [
        field for kind in reversed(type(recipe).__mro__) for field in vars(kind).get("__annotations__", {})
    ]
    return {
        field: (hints[field], getattr(recipe, field))
        for field in dict.fromkeys(names)
        if field in type(recipe).model_fields and field not in own
    }


def option_help(name: str | type) -> dict[str, str]:
    """What the docstrings of a model's class and of its recipe say of their options: option → description."""
    kind, recipe = model_class(name), default_recipe(name)
    classes = [*reversed(type(recipe).__mro__), *reversed(kind.__mro__)]
    known = {**options_of(name), **recipe_options(name)}
    return {
        item.arg_name: " ".join((item.description or "").split())
        for each in classes
        if issubclass(each, Recipe | GenerativeModel)
        for item in docstring_parser.parse(each.__doc__ or "").params
        if item.arg_name in known
    }


def default_recipe(name: str | type) -> Recipe | None:
    """The recipe that a model's class declares: its defaults; None for a model that is counted, not trained."""
    return model_class(name).recipe


def recipe_of(name: str | type, options: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a model with some fields set.

    Raises:
        PlausibleError: a field is unknown, or its value is not of its type or range.
    """
    recipe = default_recipe(name)
    checked = checked_options(name, options)
    return None if recipe is None else type(recipe)(**recipe.model_dump() | checked)


def split_options(name: str | type, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options given side by side: those of the model itself, and those of its recipe.

    Raises:
        PlausibleError: the model has no such option.
    """
    own = _known(name, options)[0]
    mine = {option: value for option, value in options.items() if option in own}
    return mine, {option: value for option, value in options.items() if option not in own}


def _known(name: str | type, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model's own options and those of its recipe, if each of the options given is one of them."""
    own, of_recipe = options_of(name), recipe_options(name)
    known = {**own, **of_recipe}
    for option in options:
        if option not in known:
            close = difflib.get_close_matches(option, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"its options are {', '.join(known) or 'none'}"
            raise PlausibleError(f"{name_of(name)} has no option {option!r}: {hint}")
    return own, of_recipe


def presets_of(name: str | type) -> Mapping[str, Preset]:
    """A model's presets by name; every model has at least `default`."""
    presets: Mapping[str, Preset] = getattr(model_class(name), "presets", {})
    return {"default": Preset("the constructor's own defaults")} | dict(presets)


def preset_of(name: str | type, preset: str) -> Preset:
    """One of a model's presets.

    Raises:
        PlausibleError: it has no preset of that name.
    """
    presets = presets_of(name)
    if preset not in presets:
        raise PlausibleError(f"{name_of(name)} has no preset {preset!r}: choose one of {', '.join(presets)}")
    return presets[preset]


def build(
    name: str | type,
    shape: tuple[int, ...],
    domain: Domain,
    options: Mapping[str, Any],
    column_levels: tuple[int, ...] | None = None,
) -> GenerativeModel:
    """Make a model from its options; of networks of the user's own it gets copies.

    Args:
        name: of the model, or its class.
        shape, domain: of the data.
        options: of the model.
        column_levels: of a mixed table: the number of levels of each column, 0 for numbers.

    Raises:
        PlausibleError: an option is unknown, or its value is not of its type or range.
    """
    checked = checked_options(name, options)
    checked |= {option: copy.deepcopy(network) for option, network in networks_in(checked).items()}
    if column_levels is not None:
        checked["column_levels"] = column_levels
    return model_class(name)(shape, domain, **checked)


def check_takes(name: str | type, schema: Schema) -> None:
    """Check that a model takes a mixed table, if the data are one.

    Raises:
        PlausibleError: it does not; the message names the columns that make the table mixed, and models that take it.
    """
    if schema.domain != "mixed" or "mixed" in model_class(name).domains:
        return
    why = [f"{column.name} ({_why_mixed(column)})" for column in schema.columns or () if _why_mixed(column)]
    some = ", ".join(why[:10]) + (", …" if len(why) > 10 else "")
    able = [model for model in MODELS if "mixed" in model_class(model).domains]
    raise PlausibleError(
        f"{name_of(name)} takes no words and no missing cells, and the table has {some or schema.rule}: train "
        f"{' or '.join(able)}, leave columns out with --drop NAME (Python: drop=[…]), or name the "
        "label with --target NAME"
    )


def _why_mixed(column: Column) -> str:
    """What keeps a column from being one of numbers alone; empty if nothing does."""
    reasons = [] if column.levels is None and column.kind != "date" else [column.kind]
    return " with ".join(reasons + ["missing cells"] * bool(column.missing))


def networks_in(options: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Those of the options that are networks of the user's own."""
    return {option: value for option, value in options.items() if isinstance(value, nn.Module)}


def with_networks(
    name: str | type, options: Mapping[str, Any], networks: Mapping[str, nn.Module] = NOTHING
) -> dict[str, Any]:
    """Options as a configuration holds them, with the user's own networks in place of their classes' names.

    Raises:
        PlausibleError: a network is missing, is of another class, or is given where the model has none.
    """
    for option, network in networks.items():
        stored, found = options.get(option), _class_path(network)
        if stored == found:
            continue
        if not _is_class_path(stored):
            raise PlausibleError(f"{option}: the {option} of this {name_of(name)} is no network of your own")
        raise PlausibleError(f"{option}: this {name_of(name)}'s is a {stored}, not a {found}")
    takes = network_options(name)
    for option, value in options.items():
        if option in takes and _is_class_path(value) and option not in networks:
            raise PlausibleError(
                f"the {option} of this {name_of(name)} is a network of the user's own, {value}, which plausible "
                f"neither stores nor imports: open the run in Python and give one like it, "
                f"plausible.load(RUN, {option}={value.rpartition(':')[2]}(…))"
            )
    return dict(options) | dict(networks)


def network_options(name: str | type) -> list[str]:
    """The options that can be a network of the user's own."""
    return [option for option, (kind, _) in options_of(name).items() if nn.Module in get_args(kind)]


def checked_options(name: str | type, options: Mapping[str, Any], *, plain: bool = False) -> dict[str, Any]:
    """Options as the constructor and the recipe take them.

    Args:
        name: of the model, or its class.
        options: as given: of the model, of its recipe, or both.
        plain: as JSON values instead; a network is "module:Class".

    Raises:
        PlausibleError: an option is unknown, or its value is not of its type.
    """
    own, of_recipe = _known(name, options)
    known, checked = {**own, **of_recipe}, {}
    for option, value in options.items():
        if isinstance(value, nn.Module) and nn.Module in get_args(known[option][0]):
            checked[option] = _class_path(value) if plain else value
            continue
        kind = TypeAdapter(known[option][0], config=ConfigDict(arbitrary_types_allowed=True))
        try:
            found = kind.validate_python(value)
            checked[option] = kind.dump_python(found, mode="json") if plain else found
        except (ValidationError, PydanticSerializationError) as error:
            problems = error.errors() if isinstance(error, ValidationError) else [{"msg": str(error)}]
            reasons = "; ".join(problem["msg"] for problem in problems)
            raise PlausibleError(
                f"{name_of(name)}: option {option!r} cannot be {value!r}: {reasons}"
            ) from error
    return checked


def _constructors(kind: type) -> Iterator[Callable[..., None]]:
    """The class's own constructor, and those that its `**options` are handed on to."""
    for each in kind.__mro__:
        constructor = vars(each).get("__init__")
        if constructor is None:
            continue
        yield constructor
        if all(p.kind != p.VAR_KEYWORD for p in inspect.signature(constructor).parameters.values()):
            return


def _class_path(network: nn.Module) -> str:
    return f"{type(network).__module__}:{type(network).__qualname__}"


def _is_class_path(value: Any) -> bool:
    return isinstance(value, str) and ":" in value


def _type_of(default: Any) -> Any:
    """The type of an argument without annotation: its default's, where that says enough."""
    return type(default) if isinstance(default, bool | int | float | str) else Any
