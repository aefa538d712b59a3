"""`evaluate`: which split is measured and recorded, and what happens where a metric cannot be computed."""

import json
import math

import numpy as np
import pytest
import torch
from support import opened, restored, tiny_options, train

from plausible import cli, data
from plausible.errors import PlausibleError
from plausible.metrics import METRICS, Result, Subject, measure, metric
from plausible.metrics.registry import NOT_COMPUTED


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluating") / "made"
    return train(
        "made", "digits:binary", out=folder, epochs=0.5, **tiny_options("made", "default") | {"batch": 100}
    )


@pytest.fixture
def failing():
    """A metric that fits everything, and cannot be computed."""
    with restored(METRICS):

        @metric("hopeless")
        def hopeless(_subject: Subject) -> list[Result]:
            raise PlausibleError("k = 5 needs more than k rows, got 4 real: take more rows")

        yield "hopeless"


# ---------------------------------------------------------------------- the split
def test_split_valid_measures_the_valid_rows_and_the_records_say_so(run):
    made, rows = opened(run), data.load("digits:binary")
    of = {split: made.evaluate(metrics=["likelihood"], split=split) for split in ("test", "valid")}
    for split, found in of.items():
        x = torch.from_numpy(getattr(rows, split).array())
        expected = float(made.model.log_prob(x).detach().double().mean())
        assert found["split"] == split
        assert found["metrics"][0]["value"] == pytest.approx(expected, rel=1e-6)
        assert f"{split} rows" in found["metrics"][0]["note"]
        assert found["metrics"][0]["spread_is"] == f"standard error over {split} rows"
    assert of["test"]["metrics"][0]["value"] != of["valid"]["metrics"][0]["value"]
    stored = json.loads(run.evaluation_file.read_text())
    assert stored == of["valid"]
    assert "Measured on the valid split" in run.report_file.read_text()
    pictures = sorted(path.stat().st_mtime_ns for path in run.path.glob("pictures/*/*"))
    made.evaluate(metrics=["likelihood"], split="valid")
    assert pictures == sorted(path.stat().st_mtime_ns for path in run.path.glob("pictures/*/*"))


def test_the_command_line_takes_the_split(run, capsys):
    assert cli.main(["evaluate", str(run.path), "--split", "valid", "--metrics", "likelihood"]) == 0
    assert "valid split" in capsys.readouterr().out
    assert cli.main(["evaluate", str(run.path), "--split", "valid", "--metrics", "parzen"]) == 2
    assert "chooses something on the valid rows" in capsys.readouterr().err
    with pytest.raises(PlausibleError, match="--split train: choose valid or test"):
        opened(run).evaluate(split="train")


def test_the_defaults_on_valid_leave_out_what_chooses_there(run):
    found = opened(run).evaluate(split="valid")
    names = {line["metric"] for line in found["metrics"]}
    assert {"likelihood", "memorisation"} <= names
    assert not {"parzen", "probe", "two-sample", "fidelity"} & names


# ---------------------------------------------------------------------- what cannot be computed
def test_a_metric_that_fails_says_why_and_does_not_stop_the_others(run, failing, capsys):
    found = opened(run).evaluate(metrics=[failing, "likelihood"])
    lines = {line["name"]: line for line in found["metrics"]}
    assert math.isfinite(lines["log-likelihood"]["value"])
    assert lines[failing]["metric"] == failing
    assert lines[failing]["value"] is None or math.isnan(lines[failing]["value"])
    assert lines[failing]["note"] == f"{NOT_COMPUTED}k = 5 needs more than k rows, got 4 real: take more rows"
    assert cli.main(["evaluate", str(run.path), "--metrics", failing, "likelihood"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "hopeless – " in said
    assert "not computed: k = 5 needs more than k rows, got 4 real: take more rows" in said
    assert "not computed: k = 5 needs more than k rows" in run.report_file.read_text()


def test_where_none_can_be_computed_it_is_an_error_and_nothing_is_written(run, failing, capsys):
    opened(run).evaluate(metrics=["likelihood"])
    before = run.evaluation_file.read_bytes()
    assert cli.main(["evaluate", str(run.path), "--metrics", failing]) == 2
    assert "no metric could be computed: k = 5 needs" in capsys.readouterr().err
    assert run.evaluation_file.read_bytes() == before


def test_forty_rows_are_too_few_for_fidelity_alone(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    rows = data.load(x)
    model = type(
        "Flat", (), {"shape": (2,), "domain": "real", "labels": 0, "log_prob": lambda _, x: x.sum(1)}
    )()
    results = measure(Subject(lambda n: torch.randn(n, 2), rows, model))
    by_metric = {result.metric: result for result in results}
    assert math.isfinite(by_metric["likelihood"].value)
    assert by_metric["fidelity"].note.startswith(f"{NOT_COMPUTED}k = 5 needs")


def test_other_mistakes_are_not_hidden(failing):
    with restored(METRICS):

        @metric("broken")
        def broken(_subject: Subject) -> list[Result]:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            measure(Subject(lambda n: torch.zeros(n, 2), data.load("ring")), ["broken", failing])
