"""Law 5: exact densities sum to one, look at nothing later, are what is sampled, and are what completion conditions on.

By `plausible verify`'s own functions, over all 2^D inputs of a twin of every preset, D = 9, whose weights are scaled
until the density is at least ½ nat from uniform. That they find what is broken: tests/verify/test_enumeration.py.
"""

from functools import cache

import pytest
import torch
from support import EVERY_PRESET, IMAGES, LAYERS, chosen

from plausible.capabilities import in_place
from plausible.errors import PlausibleError
from plausible.models.explicit import Explicit
from plausible.models.registry import model_class
from plausible.verification.enumeration import causal, completed, normalised, sampled
from plausible.verification.twins import twin

VALUES = {
    "binary": ((1, 3, 3), None),
    "grey": ((1, 2, 3), 4),
    "colour": ((3, 1, 2), 4),
    "binary colour": ((3, 2, 2), 2),
}
"""The shape of a twin, and the levels of its values."""
MORE = {
    "markov": [{"memory": 3}],
    "made": [
        {"hidden": (8, 8), "masks": 3, "test_masks": 3},
        {"masks": 3, "test_masks": 3, "order_agnostic": True},
        {"connectivity": "strided", "direct": False},
    ],
    "orderless": [{"orders": 3}],
    "pixelrnn": [
        {"values": "grey", "observation": "mixture"},
        *(
            {"values": values, "layer": layer}
            for values in ("grey", "colour", "binary colour")
            for layer in ("diagonal", "row")
        ),
    ],
    "pixelcnn": [
        {"values": "grey", "observation": "mixture"},
        *({"values": values} for values in ("grey", "colour", "binary colour")),
    ],
}
"""model → settings that deserve a twin besides its presets."""
CASES = [
    (name, preset, options)
    for name, preset in EVERY_PRESET
    if hasattr(model_class(name), "log_prob") and "binary" in model_class(name).domains
    for options in [{}, *(MORE.get(name, []) if preset == "default" else [])]
]


def case_id(name, preset, options):
    return "-".join([name, preset, *(f"{key} {options[key]}" for key in options)])


def cases(slow):
    """Parameters of a test; those cases that `slow` is true of are left to `make test-all`."""
    return pytest.mark.parametrize(
        ("name", "preset", "options"),
        [
            pytest.param(*case, id=case_id(*case), marks=pytest.mark.slow if slow(*case) else ())
            for case in CASES
        ],
    )


every_density = cases(slow=lambda *_: False)
every_sampler = cases(slow=lambda name, preset, options: name in IMAGES and (options or preset != "default"))
"""A network of pixels goes through the image for each value: the defaults every time, all else in test-all."""


@cache
def enumerated(name, preset, values="binary", **options):
    torch.manual_seed(0)
    settings = {**chosen(name, preset), "ordering": "random", "ordering_seed": 1, **options}
    shape, levels = VALUES[values]
    return twin(name, shape, settings | {"layers": LAYERS}, levels)


@every_density
def test_its_twin_is_far_from_uniform_and_from_independent(name, preset, options):
    every = enumerated(name, preset, **options)
    assert every.from_uniform() >= 0.5
    assert name == "independent" or every.from_independent() >= 0.1


@every_density
def test_it_sums_to_one(name, preset, options):
    assert normalised(enumerated(name, preset, **options)).holds


@every_density
def test_a_term_ignores_what_comes_later(name, preset, options):
    every = enumerated(name, preset, **options)
    torch.manual_seed(0)
    found = {finding.claim: finding for finding in causal(every)}
    assert not [finding for finding in found.values() if finding.holds is False]
    if every.model.one_order:
        assert len([finding for finding in found.values() if finding.holds]) == len(found) - (name == "table")
    else:
        with pytest.raises(PlausibleError, match=" to 1, or ask for log_prob"):
            every.model.log_prob_terms(in_place(every.model, every.x))


@every_sampler
def test_samples_follow_the_density(name, preset, options):
    torch.manual_seed(0)
    assert sampled(enumerated(name, preset, **options)).holds


@every_sampler
def test_completions_follow_the_conditional(name, preset, options):
    """Of a beginning of the order; and of any half by the models that can."""
    every = enumerated(name, preset, **options)
    torch.manual_seed(0)
    beginning, half = completed(every)
    one = every.model.one_order
    any_mask = type(every.model).sample_given is not Explicit.sample_given and name != "orderless"
    assert (beginning.holds, half.holds) == (one or None, (one and any_mask) or None)
