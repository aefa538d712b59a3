"""Capabilities are what a model has, not what somebody wrote of it."""

from __future__ import annotations

import pytest
import torch
from support import DOMAINS, HOME, tiny

from plausible import capabilities
from plausible.capabilities import (
    CAPABILITIES,
    Autoregressive,
    CodeDensity,
    Density,
    in_place,
    require,
    supports,
)
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.models.registry import MODELS


def small(name: str) -> GenerativeModel:
    return tiny(name, "default", *DOMAINS[HOME[name]])


@pytest.mark.parametrize("name", MODELS)
def test_the_registry_lists_the_capabilities_that_the_class_has(name):
    model = small(name)
    has = {each for each, protocol in CAPABILITIES.items() if supports(model, protocol)}
    assert set(MODELS[name].capabilities) == {"sample", *has}


@pytest.mark.parametrize(
    "protocol", [each for each in capabilities._LACKING if each is not CodeDensity]
)  # the latent form's: test_codes_of
def test_the_error_names_models_that_have_it(protocol):
    class Plain(GenerativeModel):
        """A model that only samples."""

    with pytest.raises(PlausibleError, match="Plain has no ") as raised:
        require(Plain((2,), "real"), protocol, instead=["another way"])
    assert "another way, or train" in str(raised.value)
    examples = str(raised.value).partition("such as ")[2].replace(" or ", ", ").split(", ")
    assert examples
    for name in examples:
        assert supports(small(name), protocol), name


def test_a_model_of_ones_own_has_what_its_methods_are():
    class Mine(GenerativeModel):
        def log_prob(self, x):
            return x.flatten(1).sum(1)

    mine = Mine((2,), "real")
    assert require(mine, Density) is mine
    assert not supports(mine, Autoregressive)
    assert not supports(None, Density)
    Mine.log_prob_terms = lambda self, x: x.flatten(1)
    assert supports(mine, Autoregressive)
    mine.one_order = False
    assert not supports(mine, Autoregressive)
    with pytest.raises(PlausibleError, match=r"Mine has no single order .* train it with one order"):
        require(mine, Autoregressive)


def test_values_in_the_order_of_a_model_go_back_to_their_places():
    model = tiny("nade", "default", (1, 2, 2), "binary")
    model.order = torch.tensor([2, 0, 3, 1])
    assert in_place(model, torch.tensor([[10.0, 11, 12, 13]])).tolist() == [[[[11, 13], [10, 12]]]]
