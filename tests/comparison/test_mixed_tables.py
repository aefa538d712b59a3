"""A comparison on a table with words and missing cells: what is measured, of what, and what is damaged."""

import numpy as np
import pandas as pd
import pytest
import torch

import plausible
from plausible.cli import main
from plausible.cli.options import column_types
from plausible.comparison.baselines import BASELINES, Rows, fit_baseline
from plausible.comparison.damage import damaged_rows
from plausible.comparison.entries import read_entries
from plausible.comparison.measuring import OF_ROWS
from plausible.data import load
from plausible.errors import PlausibleError
from plausible.metrics import registry
from plausible.report.compare import comparison_tables
from plausible.runs import RunFolder


def birds(n=240):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, n)
    frame = pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c"])[kind],
            "mass": (3000 + 1500 * kind + rng.normal(0, 100, n)).round(),
            "beak": (40 + 3 * kind + rng.normal(0, 1, n)).round(1),
            "wild": rng.random(n) < 0.2 + 0.3 * kind,
            "sort": np.array(["x", "y"])[(kind > 0).astype(int)],
        }
    )
    frame.loc[rng.random(n) < 0.2, "mass"] = np.nan
    frame.loc[rng.random(n) < 0.1, "kind"] = None
    return frame


DATA = load(birds(), target="sort")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "SAMPLES", 200)
        out = tmp_path_factory.mktemp("comparison") / "c"
        models = ["copula", "independent", "vae"]
        return plausible.compare(models, birds(), target="sort", out=out, core_minutes=0.005)


def named(outcome, name):
    return next(each for each in outcome.record.results if each.name == name)


# ---------------------------------------------------------------------- the whole
def test_models_and_baselines_have_the_figures_that_apply(finished):
    for each in finished.record.results:
        assert not each.failed
        assert each.missing == ()
        assert each.anomalies
    for name in ("copula", "independent", "vae", "independent marginals", "kde", "gmm"):
        figures = [figure.name for figure in named(finished, name).generate]
        assert {"AUC of trees", "exact copies", "column distance, mean"} <= set(figures)
        assert len([figure for figure in figures if figure.startswith("column distance")]) == 1
    assert {each.name for each in finished.record.results if each.represent} == {"vae", "k-NN", "PCA"}
    assert finished.report.is_file()


def test_unlike_densities_share_no_table(finished):
    tables = {
        table.title.partition(": ")[2]: [row[0] for row in table.rows if row[1] != "against other real rows"]
        for table in comparison_tables(finished.record)
        if table.section == "density"
    }
    exact, bound = (f"log p(x), {kind}, {OF_ROWS}" for kind in ("exact", "lower bound"))
    assert {title.partition("sort: ")[2] or title: names for title, names in tables.items()} == {
        exact: ["copula", "independent", "independent marginals"],
        bound: ["vae"],
    }
    ours, baseline = (
        named(finished, name).density[0].value for name in ("independent", "independent marginals")
    )
    assert ours == pytest.approx(baseline, rel=1e-5)
    assert named(finished, "copula").density[0].value > ours + 0.5


def test_the_advice_ranks_by_the_trees(finished):
    text = next(each.text for each in finished.record.advice if each.job == "To generate")
    assert "AUC of trees" in text


def test_a_model_of_numbers_is_refused_before_anything_is_trained():
    with pytest.raises(PlausibleError, match=r"rnade takes no words.*kind \(category with missing cells\)"):
        read_entries(["copula", "rnade"], birds(), 0, target="sort")


def test_columns_are_left_out_and_types_corrected(tmp_path):
    frame = birds().assign(site=[f"site {i}" for i in range(240)])
    how = {"columns": {"mass": "integer"}, "drop": ["site", "kind"]}
    rows = load(frame, target="sort", **how)
    _, (entry,) = read_entries(["copula"], frame, 0, target="sort", **how)
    assert entry.data.hash == rows.hash
    assert "kind" not in entry.data.columns
    frame.to_csv(tmp_path / "birds.csv", index=False)
    asked = ["--target", "sort", "--column", "mass=integer", "--drop", "site", "--drop", "kind"]
    command = ["compare", "copula", "--data", str(tmp_path / "birds.csv"), *asked, "--core-minutes", "0.005"]
    assert main([*command, "--out", str(tmp_path / "c"), "--quiet"]) == 0
    asked = RunFolder(tmp_path / "c" / "runs" / "copula").config().data
    assert (asked.columns, asked.drop) == ({"mass": "integer"}, ("site", "kind"))
    with pytest.raises(PlausibleError, match="--column and --drop say how a table is read"):
        read_entries([str(tmp_path / "c" / "runs" / "copula")], None, 0, drop=["kind"])
    with pytest.raises(PlausibleError, match="no column 'kin'"):
        read_entries(["copula"], frame, 0, drop=["kin"])
    with pytest.raises(PlausibleError, match="write NAME=TYPE"):
        column_types(["mass"])


# ---------------------------------------------------------------------- baselines
@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_tells_damaged_rows_by_the_encoding(name):
    contender = fit_baseline(name, DATA, 0).contender
    real, damaged = damaged_rows(DATA, 0)
    score = contender.score[0]
    without_dependence = name in ("independent marginals", "isolation forest")
    rows = damaged["uniform rows" if without_dependence else "shuffled columns"]
    assert (score(real)[:, None] > score(rows)[None]).mean() > 0.6
    if contender.sample is not None:
        made = contender.sample(300).numpy()
        assert set(np.unique(made[:, 0][~np.isnan(made[:, 0])])) <= {0, 1, 2}
        assert 0.05 < np.isnan(made[:, 1]).mean() < 0.4


def test_rows_come_back_from_the_encoding():
    space = Rows.of(DATA, 0).space
    x = DATA.test.array()
    np.testing.assert_allclose(space.leave(space.enter(x), DATA.shape, "mixed"), x, rtol=1e-5)


# ---------------------------------------------------------------------- damage
def test_damaged_rows_keep_to_the_table():
    real, damaged = damaged_rows(DATA, 0)
    train = DATA.train.array()
    for name, rows in damaged.items():
        assert rows.shape == real.shape
        assert set(np.unique(rows[:, 0][~np.isnan(rows[:, 0])])) <= {0, 1, 2}
        assert not np.isnan(rows[:, 2:]).any()
        mass = rows[:, 1][~np.isnan(rows[:, 1])]
        np.testing.assert_array_equal(mass, mass.round())
        assert np.nanmin(train[:, 1]) <= mass.min() <= mass.max() <= np.nanmax(train[:, 1])
        assert name == "uniform rows" or np.isnan(rows[:, 1]).sum() == np.isnan(real[:, 1]).sum()
        assert not np.array_equal(np.nan_to_num(rows), np.nan_to_num(real))
    noisy = damaged["noise"]
    changed = (noisy[:, 0] != real[:, 0]) & ~np.isnan(real[:, 0])
    assert 0 < changed.mean() < 0.2
    assert torch.isfinite(torch.from_numpy(np.nan_to_num(noisy))).all()


def test_a_view_of_loaded_data_leaves_out_the_same_columns(tmp_path):
    values = np.random.default_rng(0).random((60, 3))
    pd.DataFrame(values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    data = load(f"{tmp_path / 't.csv'}:domain=unit", drop=["b"])
    _, (entry,) = read_entries(["independent"], data, 0)
    assert entry.data.domain == "binary"
    assert entry.data.columns == ("a", "c")
