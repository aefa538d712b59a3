"""Verbs on tables with words and missing cells: conditions, filled cells, explanations."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pandas as pd
import pytest
from support import opened, train

import plausible
from plausible.errors import PlausibleError
from plausible.jobs.where import parse_where
from plausible.schema import Column, Schema
from plausible.verification.tables import check_table

N = 300


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    job = rng.choice(["clerk", "cook", "smith"], N)
    age = rng.integers(18, 80, N).astype(float)
    pay = 1000 + 10 * age + 500 * (job == "smith") + rng.normal(0, 20, N)
    age[rng.random(N) < 0.1] = np.nan
    return pd.DataFrame({"age": age, "job": job, "pay": pay.round(2), "owner": rng.random(N) < 0.4})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    frame().to_csv(path, index=False)
    options = {"hidden": 32, "layers": 2, "lr": 1e-2, "epochs": 150, "batch": 128}
    return opened(train("mixed", str(path), out=path.parent / "run", **options))


# ---------------------------------------------------------------------- conditions
SCHEMA = Schema(
    shape=(4,),
    layout=(4,),
    domain="mixed",
    columns=(
        Column(name="age", kind="integer", low=0, high=99, decimals=0),
        Column(name="job", kind="category", low=0, high=2, levels=("clerk", "cook", ">50K"), dtype="str"),
        Column(
            name="grade of wool", kind="ordinal", low=0, high=2, levels=("low", "mid", "high"), dtype="str"
        ),
        Column(name="born", kind="date", low=0, high=20000, decimals=0, unit="day"),
    ),
    named=True,
)
ROWS = np.array(
    [[20, 0, 0, 0], [61, 2, 1, 365], [np.nan, 1, 2, 10000], [80, np.nan, np.nan, np.nan]], np.float32
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age > 60", "0101"),
        ("age > 60 and job == '>50K'", "0100"),
        ('not age > 60 or job == "clerk"', "1010"),
        ("not (age > 60 or job == 'clerk')", "0010"),
        ("age != 20", "0101"),
        ("age is missing", "0010"),
        ("job is not missing", "1110"),
        ("job in ('clerk', 'cook')", "1010"),
        ("job not in ('clerk', 'cook')", "0100"),
        ("`grade of wool` >= 'mid'", "0110"),
        ("born < '1971-01-01'", "1000"),
        ("born == '1971-01-01'", "0100"),
        ("age >= 2e1 and age <= 61.0", "1100"),
        ("age < 30 or age > 70 and job is missing", "1001"),
    ],
)
def test_a_condition_chooses_the_rows_that_meet_it(text, expected):
    assert "".join(map(str, parse_where(text, SCHEMA)(ROWS).astype(int))) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at its end: expected the name"),
        ("agee > 3", "at 'agee > 3': there is no column 'agee': the columns are age, job"),
        ("age > ", "at its end: expected a number"),
        ("age > 'x'", "'age' holds numbers"),
        ("age 3", "expected one of =="),
        ("age > 3 job == 'cook'", "expected and, or, or the end"),
        ("job == 'baker'", "no level 'baker': there is 'clerk'"),
        ("job < 'cook'", "have no order"),
        ("(age > 3", "'\\)' is missing"),
        ("age > 3 & age < 5", "this is no number"),
        ("born > 'soon'", "holds dates"),
        ("__import__('os')", "there is no column|this is no"),
        ("job in 'cook'", "'\\(' is missing"),
    ],
)
def test_a_condition_that_cannot_be_read_says_where(text, says):
    with pytest.raises(PlausibleError, match=says) as raised:
        parse_where(text, SCHEMA)
    assert "\n" not in str(raised.value)


def test_samples_meet_the_condition_and_the_share_is_said(run, tmp_path):
    said = []
    found = run.sample(50, where='age > 60 and job == "smith"', say=said.append)
    assert len(found) == 50
    assert (found["age"] > 60).all()
    assert set(found["job"]) == {"smith"}
    assert "samples meet the condition" in said[0]
    same = run.sample(3000)
    expected = same[(same["age"] > 60) & (same["job"] == "smith")]
    pd.testing.assert_frame_equal(found[:20], expected[:20].reset_index(drop=True))
    path = run.sample(5, where="age is missing", out=tmp_path / "s.csv")
    assert pd.read_csv(path)["age"].isna().all()


def test_a_condition_that_hardly_any_sample_meets_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["plausible.jobs.sample"], "MOST_SAMPLED", 2000)
    with pytest.raises(PlausibleError, match=r"2,000 samples meet the condition"):
        run.sample(500, where="age > 78 and job == 'cook' and pay > 1780", out=tmp_path / "s.csv")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- filled cells
def test_missing_cells_are_filled_and_all_others_kept(run):
    table = frame()[:40]
    table.loc[3, "job"] = None
    filled = run.complete(table)
    assert filled.notna().all().all()
    for column in ("age", "job", "owner"):
        there = table[column].notna()
        assert filled[column][there].astype(str).tolist() == table[column][there].astype(str).tolist(), column
    np.testing.assert_allclose(filled["pay"], table["pay"], rtol=1e-6)
    assert len(run.complete(table, 3)) == 120
    assert run.complete(table, seed=1)["age"].tolist() != filled["age"].tolist()


def test_a_median_is_nearer_than_a_draw(run):
    table, true = frame(), frame()["pay"].to_numpy()
    table["pay"] = np.nan
    drawn, typical = run.complete(table)["pay"], run.complete(table, median=True)["pay"]
    assert np.abs(typical - true).mean() < 0.9 * np.abs(drawn - true).mean()
    with pytest.raises(PlausibleError, match="n must be 1 with median"):
        run.complete(table, 2, median=True)


def test_a_mask_is_given_as_for_any_model(run):
    found = run.complete(frame()[:2], 30, given=np.array([0, 1, 0, 0]))
    assert found["job"].tolist() == [frame()["job"][0]] * 30 + [frame()["job"][1]] * 30


def test_a_model_that_cannot_fill_says_which_can(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    other = plausible.train("independent", np.float32(x > 0), out=tmp_path / "run", progress=False)
    with pytest.raises(PlausibleError, match=r"way to fill any cells .*mixed or copula"):
        other.complete(x, given="known")


# ---------------------------------------------------------------------- explanations
def test_the_cell_that_does_not_fit_is_the_reason(run, tmp_path):
    table = frame()[:60]
    table.loc[7, "pay"] = 1100.0
    table.loc[7, "age"] = 79.0
    table.loc[7, "job"] = "smith"
    found = run.explain(table)
    assert found.shape == (60, 4)
    assert found[:, 2].argmax() == 7
    path = run.explain(table, out=tmp_path / "reasons.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0]) == ["row", "reason", "age", "job", "pay", "owner"]
    assert rows[7]["reason"] in ("pay", "age")
    assert float(rows[7]["pay"]) == pytest.approx(float(found[7, 2]), abs=1e-3)


def test_explain_refuses_a_model_that_has_no_such_conditionals(tmp_path):
    path = tmp_path / "t.csv"
    frame().to_csv(path, index=False)
    other = opened(train("independent", str(path), out=tmp_path / "run"))
    with pytest.raises(PlausibleError, match=r"surprises.*mixed"):
        other.explain(str(path), out=tmp_path / "reasons.csv")
    assert not (tmp_path / "reasons.csv").exists()


# ---------------------------------------------------------------------- verify
@pytest.mark.parametrize("whole", [True, False])
def test_every_claim_holds_on_a_small_table(whole):
    import torch

    torch.manual_seed(0)
    for options in ({}, {"orders": 1}):
        found = check_table("mixed", options, whole=whole)
        assert [finding.claim for finding in found if finding.holds is False] == []
    assert all(finding.holds for finding in found)


@pytest.mark.parametrize("broken", ["sum", "samples"])
def test_what_is_broken_is_found(broken, monkeypatch):
    import torch

    from plausible.models.cells import Levels, Numbers

    kind, name = (Numbers, "_log_background") if broken == "sum" else (Levels, "draw")
    before = getattr(kind, name)
    wrong = {
        "sum": lambda self, *given: before(self, *given) + 3,
        "samples": lambda self, outputs, i, *, present=False: before(
            self, outputs.roll(1, 1), i, present=present
        ),
    }
    monkeypatch.setattr(kind, name, wrong[broken])
    torch.manual_seed(0)
    failed = {f.claim for f in check_table("mixed", {"orders": 1}, whole=True) if f.holds is False}
    assert ("sums to one" if broken == "sum" else "samples follow the density") in failed
