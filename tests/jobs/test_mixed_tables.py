"""Runs of mixed tables: what is trained, sampled, scored and refused, from the command line and from Python."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import plausible
from plausible import cli
from plausible.errors import PlausibleError
from plausible.metrics.registry import METRICS
from plausible.models.build import build, options_of
from plausible.models.registry import MODELS, model_class
from plausible.runs import RunFolder
from plausible.schema import Schema

WORDS = ("clerk", "cook", "smith")
N = 60


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main sets its own
    monkeypatch.chdir(tmp_path)


def written(name="t.csv"):
    rows = (f"{20 + i},{WORDS[i % 3]},{'' if i == 9 else 1000 + i},2024-01-{1 + i % 28:02}" for i in range(N))
    Path(name).write_text("age,job,pay,day\n" + "\n".join(rows) + "\n")
    return name


def run(*words):
    return cli.main([str(word) for word in words])


def trained(*more, out="r"):
    assert run("train", "independent", "--data", written(), "--out", out, "--quiet", *more) == 0
    return plausible.load(out)


def test_words_dates_and_gaps_go_in_and_come_out(capsys):
    assert run("train", "independent", "--data", written(), "--out", "r") == 0
    said = capsys.readouterr().err.splitlines()
    assert "mixed: 3 of 4 columns hold words, dates or missing cells" in said[0]
    table = [line.split() for line in said[1:] if line.strip()]
    assert table[0] == ["column", "type", "values", "missing"]
    assert table[1:5] == [
        ["age", "integer", "20", "to", "78"],
        ["job", "category", "3:", "clerk,", "cook,", "smith"],
        ["pay", "integer", "1,000", "to", "1,058", "2.1%"],
        ["day", "date", "2024-01-01", "to", "2024-01-28"],
    ]
    assert run("sample", "r", "--n", 2000, "--out", "new.csv") == 0
    new = pd.read_csv("new.csv", parse_dates=["day"])
    assert list(new.columns) == ["age", "job", "pay", "day"]
    assert {*new["job"].dropna()} == {*WORDS}
    assert new["age"].dropna().between(20, 78).all()
    assert (new["pay"].dropna() % 1 == 0).all()
    assert new["day"].dropna().between("2024-01-01", "2024-01-28").all()
    assert 0 < new["pay"].isna().mean() < 0.1
    assert run("score", "r", "--data", "new.csv", "--out", "scores.csv") == 0
    assert np.isfinite(pd.read_csv("scores.csv")["log_prob [nats]"]).all()
    assert run("evaluate", "r") == 0
    assert "log-likelihood" in capsys.readouterr().out
    assert run("report", "r") == 0


def test_a_frame_comes_back_as_one():
    frame = pd.DataFrame({"job": [WORDS[i % 3] for i in range(N)], "pay": [None, 1.5, 2.5] * 20})
    model = plausible.train("independent", frame, out="r", progress=False)
    new = model.sample(200)
    assert list(new.dtypes) == list(frame.dtypes)
    assert {*new["job"].dropna()} == {*WORDS}
    assert model.score(frame).shape == (N,)
    pd.testing.assert_frame_equal(model.sample(200), new)
    whole = model.complete(frame.head(1), 300, given=np.array([1, 0]))
    assert (whole["job"] == "clerk").all()


@pytest.mark.parametrize("median", [False, True])
def test_a_frame_is_filled_in_place_by_place(median):
    """Index, columns that the model does not know, types and known cells stay; a flag is no word."""
    frame = pd.DataFrame(
        {
            "name": [f"n{i}" for i in range(N)],
            "rich": pd.Series([True, False, None] * (N // 3), dtype=object),
            "pay": [None, 121.4, 2.5] * (N // 3),
            "age": pd.array([20, None, 31] * (N // 3), dtype="Int64"),
        }
    ).set_axis([f"row {i}" for i in range(N)])
    frame.to_csv("people.csv", index=False)
    for data in (frame, "people.csv"):
        options = {"hidden": 8, "layers": 1, "epochs": 1, "core_minutes": None}
        made = plausible.train(
            "mixed", data, drop=["name"], out=f"{median}-{data is frame}", progress=False, **options
        )
        filled = made.complete(frame, median=median)
        assert filled.index.equals(frame.index)
        assert list(filled.columns) == list(frame.columns)
        assert list(filled.dtypes) == list(frame.dtypes)
        assert not filled.isna().any(axis=None)
        assert {*filled["rich"]} <= {True, False}
        known = frame.notna()
        assert (filled[known].fillna(0) == frame[known].fillna(0)).all(axis=None)


def test_what_the_user_says_is_kept_for_later_verbs(capsys):
    model = trained("--column", "age=real", "--column", "job=ordinal:cook<clerk<smith", "--drop", "day")
    assert [column.kind for column in model.schema.columns] == ["real", "ordinal", "integer"]
    assert model.config.data.columns == {"age": "real", "job": "ordinal:cook<clerk<smith"}
    assert model.config.data.drop == model.schema.dropped == ("day",)
    assert model.data().hash == model.config.data.hash
    assert run("train", "independent", "--like", "r", "--seed", 1, "--out", "again", "--quiet") == 0
    again = RunFolder("again").config()
    assert again.rows == model.schema
    assert (again.data.columns, again.data.drop) == (model.config.data.columns, ("day",))
    with pytest.raises(PlausibleError, match="columns: the data of r are read as they were: give data, too"):
        plausible.train("independent", like="r", columns={"age": "real"}, progress=False)
    for words, says in (
        (["--column", "age"], "write NAME=TYPE"),
        (["--column", "age=number"], "there is no type 'number'"),
        (["--column", "wage=real"], "no column 'wage' for --column"),
        (["--drop", "wage"], "no column 'wage' for --drop"),
    ):
        assert run("train", "independent", "--data", "t.csv", "--out", "no", "--quiet", *words) == 2
        assert says in capsys.readouterr().err
        assert not RunFolder("no").path.exists()


def test_a_name_may_hold_an_equals_sign():
    pd.DataFrame({"a=b": [1, 2, 3] * 20, "c": np.arange(N) / 7}).to_csv("e.csv", index=False)
    assert (
        run("train", "independent", "--data", "e.csv", "--column", "a=b=ordinal", "--out", "r", "--quiet")
        == 0
    )
    assert RunFolder("r").config().rows.columns[0].kind == "ordinal"


def test_a_model_of_numbers_refuses_and_names_the_columns_and_what_takes_them(capsys):
    assert run("train", "rnade", "--data", written(), "--epochs", 1, "--out", "r", "--quiet") == 2
    said = capsys.readouterr().err
    assert "rnade takes no words and no missing cells" in said
    assert "job (category), pay (missing cells), day (date)" in said
    assert "independent" in said
    assert not RunFolder("r").path.exists()
    assert (
        run(
            "train",
            "rnade",
            "--data",
            "t.csv",
            "--epochs",
            1,
            "--drop",
            "job",
            "--drop",
            "pay",
            "--drop",
            "day",
        )
        == 0
    )


@pytest.mark.parametrize(
    ("gap", "asked", "says"),
    [
        (True, {}, "mixed: 1 of 2 columns hold words, dates or missing"),
        (False, {"a": "category"}, "a (category)"),
    ],
)
def test_a_refusal_says_why_where_no_training_row_shows_it(gap, asked, says):
    frame = pd.DataFrame({"a": np.arange(N) % 5, "b": np.arange(N) / 7})
    if gap:
        frame.loc[plausible.data.load(frame).test.ids[0], "b"] = np.nan
    with pytest.raises(PlausibleError) as caught:
        plausible.train("rnade", frame, columns=asked, out="r", progress=False)
    assert says in str(caught.value)
    assert "--target NAME" in str(caught.value)


def test_no_other_model_says_that_it_takes_them():
    for name in MODELS:
        takes = "mixed" in model_class(name).domains
        if takes:
            assert "column_levels" not in options_of(name)
        else:
            with pytest.raises(PlausibleError, match="not mixed: train a model that takes words"):
                build(name, (2,), "mixed", {})


def test_compare_refuses_a_model_of_numbers(capsys):
    assert run("compare", "independent", "rnade", "--data", written(), "--out", "c") == 2
    found = capsys.readouterr().err
    assert "rnade takes no words and no missing cells, and the table has" in found
    assert not Path("c").exists()


def test_verify_sums_a_small_table(capsys):
    trained()
    assert run("verify", "r") == 0
    assert "sums to one" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if not metric.mixed])
def test_a_metric_of_numbers_refuses(name):
    with pytest.raises(PlausibleError, match=rf"--metrics {name}: it is not defined for tables with words"):
        trained().evaluate(metrics=[name])


def test_a_label_column_is_the_target_by_either_name():
    x = np.random.default_rng(0).normal(size=N)
    pd.DataFrame({"x": x.round(4), "kind": np.arange(N) % 2}).to_csv("k.csv", index=False)
    words = (
        "train",
        "vae",
        "--classes",
        2,
        "--epochs",
        1,
        "--quiet",
        "--out",
        "r",
        "--data",
        "k.csv:label=kind",
    )
    assert run(*words) == 0
    assert RunFolder("r").config().rows.target == "kind"
    assert run("sample", "r", "--label", 1, "--n", 5, "--out", "new.csv") == 0


# ------------------------------------------------------------------ independent columns
def test_independent_columns_sum_to_one_and_are_counted():
    frame = pd.DataFrame({"job": ["a", "a", "b", None] * 25, "x": [0.5, None, 1.5, 2.5] * 25})
    model = plausible.train("independent", frame, out="r", progress=False, smoothing=1e-6)
    train = model.data().train.array()
    levels = torch.tensor([[0, np.nan], [1, np.nan], [np.nan, np.nan]], dtype=torch.float32)
    p = model.model.log_prob_terms(levels).exp()
    expected = [(train[:, 0] == 0).mean(), (train[:, 0] == 1).mean(), np.isnan(train[:, 0]).mean()]
    np.testing.assert_allclose(p[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(p[:, 1], np.isnan(train[:, 1]).mean(), rtol=1e-4)
    grid = torch.linspace(-20, 25, 90_001)
    rows = torch.stack([torch.zeros_like(grid), grid], 1)
    inside = torch.trapezoid(model.model.log_prob_terms(rows)[:, 1].exp(), grid)
    np.testing.assert_allclose(inside + p[0, 1], 1, atol=2e-3)
    new = model.model.sample(40_000)
    np.testing.assert_allclose(new.isnan().double().mean(0), np.isnan(train).mean(0), atol=0.01)
    np.testing.assert_allclose((new[:, 0] == 1).double().mean(), expected[1], atol=0.01)
    assert model.model.log_prob(torch.tensor([[7.0, 1.5]])).item() == -np.inf


def test_where_none_was_missing_none_is_sampled_and_a_missing_one_has_a_score():
    frame = pd.DataFrame(
        {"job": ["a", "a", "b", "c"] * 25, "x": [0.5, 3.5, 1.5, 2.5] * 25, "i": [0, 1, 2, 7] * 25}
    )
    model = plausible.train("independent", frame, out="r", progress=False)
    assert list(model.sample(5_000).dtypes) == list(frame.dtypes)
    score = model.score(frame.head(1).assign(job=None))
    assert np.isfinite(score).all()
    assert (score < model.score(frame.head(1))).all()


def test_the_schema_of_a_run_from_before_still_reads():
    old = '{"name": "x0", "kind": "real", "dtype": "float64", "low": 0, "high": 1, "decimals": null, "offset": 0}'
    text = f'{{"shape": [1], "domain": "real", "layout": [1], "columns": [{old}]}}'
    schema = Schema.model_validate_json(text, strict=True)
    assert (schema.levels, schema.columns[0].missing, schema.dropped) == ((0,), 0.0, ())


def test_the_pictures_of_a_code_say_how_levels_are_reconstructed():
    folder = plausible.train(
        "vae", written(), out="r", epochs=1, encoder=(8,), decoder=(8,), progress=False
    ).folder
    (file,) = folder.path.glob("pictures/*/reconstructions.png")
    with Image.open(file) as image:
        said = image.text["Description"]
    assert "nan" not in said
    assert "Reconstructed with the right level: job " in said
    with Image.open(next(folder.samples_dir.glob("*.png"))) as image:
        assert image.text["kind"] == "histograms"
