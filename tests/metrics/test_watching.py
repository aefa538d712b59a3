"""What a training's samples are watched by: real rows pass, damaged ones do not, and dear models are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import tiny

from plausible.data import load as load_data
from plausible.jobs import train
from plausible.metrics.watching import samples_needed, watch_samples
from plausible.models.build import build


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


def others(data, n):
    """Training rows that the test's classifier is not fitted to: it takes the first ones of the same permutation."""
    return torch.from_numpy(data.train.take(np.random.default_rng(0).permutation(len(data.train))[-n:])[0])


def test_real_rows_in_place_of_samples_pass(digits):
    found = watch_samples(others(digits, 270), digits)
    assert found.alarm is None
    assert found.test.interval[0] < 0.5 < found.test.interval[1]
    assert found.collapse.distinctness == pytest.approx(1, abs=0.2)
    assert found.collapse.coverage > 0.9


def test_copies_raise_an_alarm_and_noise_is_told_apart(digits):
    rows = others(digits, 270)
    assert "copies" in watch_samples(rows[:10].repeat(27, 1, 1, 1), digits).alarm
    noise = watch_samples(torch.rand(rows.shape, generator=torch.Generator().manual_seed(0)), digits)
    assert noise.test.interval[0] > 0.9
    assert "NaN" in watch_samples(rows * torch.nan, digits).alarm


def test_a_few_rows_are_enough_or_nothing_is_said():
    data = load_data(np.random.default_rng(0).normal(size=(40, 3)).astype("f4"))
    assert samples_needed(tiny("gan", "default", (3,), "real"), data) == 0


@pytest.mark.parametrize("rows", [20, 21, 23, 31])
def test_any_number_of_valid_rows_does(rows):
    """An odd row too many used to leave too few samples for the test."""
    x = np.random.default_rng(0).normal(size=(200, 3)).astype("f4")
    data = load_data({"train": x, "valid": x[:rows], "test": x})
    n = samples_needed(tiny("gan", "default", (3,), "real"), data)
    assert n == 3 * (rows // 2)
    assert watch_samples(torch.from_numpy(x[:n]), data).test.rows == rows // 2


def test_models_that_sample_slowly_are_not_watched(digits):
    assert samples_needed(tiny("gan", "default", digits.shape, digits.domain), digits) == 270
    large = build("made", (1, 28, 28), "binary", {})
    assert samples_needed(large, load_data("digits:binary")) == 0


def test_a_gans_training_logs_what_its_samples_are_like(tmp_path):
    run = train("gan", "digits", epochs=3, out=tmp_path / "run", generator=(8,), discriminator=(8,))
    judged = [event for event in run.events() if event["event"] == "judged"]
    assert [event["tick"] for event in judged] == [0, 22, 44, 66]
    assert [event.get("final", False) for event in judged] == [False, False, False, True]
    assert all(0.5 < event["two_sample"]["accuracy"] <= 1 for event in judged)
    page = run.report_file.read_text()
    assert page.index("Told apart") < page.index("Samples")
