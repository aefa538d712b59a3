"""One decorator makes a metric: it is named, refused where it does not fit, a default, shown on terminal and page."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from support import opened, restored, tiny, tiny_options, train

from plausible import data
from plausible.capabilities import Code
from plausible.errors import PlausibleError
from plausible.metrics import METRICS, Result, Shown, Subject, defaults, measure, metric
from plausible.metrics.needs import labels, values_in
from plausible.progress import show_metrics


@pytest.fixture
def own():
    """Registers a metric of the test's own, and forgets it."""
    with restored(METRICS):
        yield metric


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics") / "gan"
    return train("gan", out=folder, epochs=0.2, **tiny_options("gan", "default") | {"batch": 100})


def subject_of(spec, model=None):
    rows = data.load(spec)
    return Subject(lambda n: torch.zeros(n, *rows.shape), rows, model)


def test_a_registered_metric_shows_up_everywhere(own, run, capsys):
    @own("ink", needs=(values_in("unit"),))
    def ink(subject: Subject) -> list[Result]:
        """Mean of all pixels of the samples."""
        note = "How dark the samples are."
        return [
            Result(
                name, float(subject.samples.mean()), 0.012, "standard error", "share", None, {"rows": 7}, note
            )
            for name in ("ink", "ink again")
        ]

    found = opened(run).evaluate()
    assert {"parzen", "fidelity", "ink"} <= {line["metric"] for line in found["metrics"]}
    assert json.loads(run.evaluation_file.read_text()) == found
    show_metrics(found, as_json=False)
    terminal, page = capsys.readouterr().out, run.report_file.read_text()
    value = next(line["value"] for line in found["metrics"] if line["name"] == "ink")
    for text in (terminal, page):
        assert "ink again" in text
        assert f"{value:.3f} ± 0.012" in text
        assert text.count("How dark the samples are.") == 1
    for note in {line["note"] for line in found["metrics"]}:
        assert page.count(note[:40]) == 1, note


def test_a_metric_may_be_shown_in_a_way_of_its_own(own, run):
    def show(results):
        return Shown("All about ink", [("A table of ink.", results)])

    @own("ink", default=False, show=show)
    def ink(_subject: Subject) -> list[Result]:
        return [Result("ink", 0.5, note="Dark.")]

    assert "ink" not in defaults(Subject(lambda n: torch.zeros(n), data.load("digits")))
    opened(run).evaluate(metrics=["ink", "fidelity"])
    page = run.report_file.read_text()
    assert page.index("density") < page.index("All about ink") < page.index("A table of ink.")


@pytest.mark.parametrize(
    ("model", "spec", "said"),
    [
        (None, "digits", "--metrics own: it needs a model"),
        ("gan", "digits", r"--metrics own: GAN has no code .*fidelity.*train .*vae"),
        ("vae", "{tmp}/x.npy", r"--metrics own: it needs labels, and .*x\.npy has none"),
    ],
)
def test_each_need_that_is_not_met_is_one_error_and_no_default(own, tmp_path, model, spec, said):
    computed = []
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 2)))
    spec = spec.format(tmp=tmp_path)

    @own("own", needs=(Code, labels()))
    def measure_own(subject: Subject) -> list[Result]:
        computed.append(subject)
        return []

    rows = data.load(spec)
    subject = subject_of(spec, model and tiny(model, "default", rows.shape, rows.domain))
    with pytest.raises(PlausibleError, match=said):
        measure(subject, ["fidelity", "own"])
    assert "own" not in defaults(subject)
    assert computed == []
    assert "samples" not in vars(subject)  # refused before any work is done


class Nothing:
    """A model that can do nothing at all."""

    shape, domain, labels = (1, 8, 8), "unit", 0


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_needs_what_it_uses(name):
    """On a table without labels a model that can do nothing is refused by a need, or not used at all."""
    subject = subject_of("ring", Nothing())
    if not METRICS[name].needs or METRICS[name].is_default(subject):
        subject = Subject(lambda n: torch.randn(500, 2), subject.data, Nothing())
        assert measure(subject, [name])
        return
    with pytest.raises(PlausibleError, match=f"^--metrics {name}: "):
        METRICS[name].check(subject)
    assert METRICS[name].needs


def test_an_unknown_metric_is_answered_with_those_there_are():
    with pytest.raises(PlausibleError, match=r"no metric 'fid': choose from .*fidelity.*ladder \(minutes\)"):
        measure(subject_of("digits"), ["fid"])


def test_metrics_that_take_minutes_are_no_defaults():
    rows = data.load("digits:binary")
    model = tiny("vae", "default", rows.shape, "binary")
    assert not {"ladder", "iwae5000"} & set(defaults(Subject(model.sample, rows, model)))


def test_iwae5000_is_no_ladder(tmp_path):
    """Its rows are others than the ladder's: once a plot of one bound said that all had seen the same rows."""
    run = train("vae", "digits:binary", out=tmp_path / "run", epochs=0.1, **tiny_options("vae", "normal"))
    opened(run).evaluate(metrics=["iwae5000", "likelihood"])
    page = run.report_file.read_text()
    assert "IWAE-5000, all test rows" in page
    assert "by each estimate" not in page


def test_intervals_and_comparisons_stand_in_columns_where_there_are_any(own, run, capsys):
    @own("ink", default=False)
    def ink(_subject: Subject) -> list[Result]:
        compared = {"interval": (0.41, 0.62), "floor": 0.9876, "independent": 0.1234}
        return [Result("ink", 0.51234, **compared), Result("plain", 3.0)]

    found = opened(run).evaluate(metrics=["ink"])
    show_metrics(found, as_json=False)
    terminal, page = capsys.readouterr().out, run.report_file.read_text()
    row = next(line.split() for line in terminal.splitlines() if line.strip().startswith("ink"))
    assert row[:6] == ["ink", "0.51", "[0.41,", "0.62]", "0.99", "0.12"]
    cells = "".join(f'<td class="value">{cell}</td>' for cell in ("[0.41, 0.62]", "0.99", "0.12"))
    assert f"<b>0.51</b></td>{cells}" in page
    assert '<th scope="col">95 % interval</th><th scope="col">Real</th>' in page
    found["metrics"] = found["metrics"][1:]
    show_metrics(found, as_json=False)
    assert "interval" not in capsys.readouterr().out
