"""From a name and options to a model: the options are the constructor's own arguments, checked by their types."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, cast, get_type_hints

import docstring_parser
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from plausible.errors import PlausibleError
from plausible.game import Domain, GenerativeModel
from plausible.models.registry import Preset, model_class, name_of


def options_of(name: str | type) -> dict[str, tuple[Any, Any]]:
    """A model's options: argument → (type, default), in the constructor's order."""
    constructor = model_class(name).__init__
    hints = get_type_hints(constructor, include_extras=True)
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    return {
        p.name: (hints.get(p.name, Any), p.default) for p in parameters if p.name not in ("shape", "domain")
    }


def option_help(name: str | type) -> dict[str, str]:
    """What a model's class says of its arguments in its docstring: argument → description."""
    described = docstring_parser.parse(model_class(name).__doc__ or "").params
    return {item.arg_name: item.description or "" for item in described}


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
    name: str | type, shape: tuple[int, ...], domain: Domain, options: Mapping[str, Any]
) -> GenerativeModel:
    """Make a model from its options.

    Raises:
        PlausibleError: an option is unknown, or its value is not of its type or range.
    """
    return cast(GenerativeModel, model_class(name)(shape, domain, **checked_options(name, options)))


def checked_options(name: str | type, options: Mapping[str, Any], *, plain: bool = False) -> dict[str, Any]:
    """Options as the constructor takes them.

    Args:
        name: of the model, or its class.
        options: as given.
        plain: as JSON values instead.

    Raises:
        PlausibleError: an option is unknown, or its value is not of its type.
    """
    known = options_of(name)
    checked = {}
    for option, value in options.items():
        if option not in known:
            close = difflib.get_close_matches(option, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"its options are {', '.join(known) or 'none'}"
            raise PlausibleError(f"{name_of(name)} has no option {option!r}: {hint}")
        kind = TypeAdapter(known[option][0])
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
