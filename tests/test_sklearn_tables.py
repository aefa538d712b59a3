"""The estimators on tables with words, booleans, dates and missing cells."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import plausible
from plausible.errors import PlausibleError
from plausible.metrics.encoded import EncodedRows
from plausible.sklearn import PlausibleDetector, PlausibleEncoder, PlausibleSampler

SMALL = {"encoder": (16,), "decoder": (16,), "latent": 2}
MIXED = {"hidden": 32, "dropout": 0.0}
FRAMES = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


def table(seed, n=300):
    """A kind of bird decides its mass, beak and wildness; a tenth of two columns is missing."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    frame = pd.DataFrame(
        {
            "species": np.array(["Adelie", "Chinstrap", "Gentoo"])[kind],
            "mass": (3000 + 1500 * kind + rng.normal(0, 100, n)).round(),
            "beak": (40 + 3 * kind + rng.normal(0, 1, n)).round(1),
            "wild": rng.random(n) < 0.3 + 0.2 * kind,
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"),
            "island": pd.Categorical(np.array(["b", "a", "c"])[rng.integers(0, 3, n)]),
        }
    )
    frame.loc[rng.random(n) < 0.1, "mass"] = np.nan
    frame.loc[rng.random(n) < 0.1, "species"] = None
    return frame


X, NEW = table(0), table(1)


def pandas(frame):
    return frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()


@pytest.fixture(scope="module")
def detector():
    return PlausibleDetector(options=SMALL, epochs=60, random_state=0).fit(X)


@pytest.fixture(scope="module")
def sampler():
    return PlausibleSampler("mixed", options=MIXED, epochs=60, random_state=0).fit(X)


# ---------------------------------------------------------------------- detector
@pytest.mark.parametrize("library", FRAMES)
def test_a_detector_reads_frames_of_each_library(library):
    frame = FRAMES[library](X)
    found = PlausibleDetector(options=SMALL, epochs=2, random_state=0).fit(frame)
    assert [column.kind for column in found.run_.schema.columns] == [
        "category",
        "integer",
        "real",
        "binary",
        "date",
        "category",
    ]
    scores = found.score_samples(frame)
    assert scores.shape == (300,)
    np.testing.assert_allclose(found.explain(frame).sum(1), scores, rtol=1e-10)
    assert list(found.feature_names_in_) == list(X.columns)


def test_a_word_that_does_not_fit_the_rest_is_found_and_named(detector):
    rows = NEW[NEW.species.eq("Adelie") & NEW.mass.notna()].copy()
    before = detector.score_samples(rows)
    rows["species"] = "Gentoo"
    assert (detector.score_samples(rows) < before).mean() > 0.9
    worst = detector.explain(rows).argmin(1)
    assert (worst == 0).mean() > 0.5


def test_the_distances_are_those_of_encoded_rows(detector):
    """The nearest training rows by the definition of the distance, column by column."""
    run = detector.run_
    rows = EncodedRows((3, 0, 2), _Rows([[0, 1, 0], [1, 3, 1], [2, np.nan, 0], [0, 5, 1]]))
    a, b = rows.enter(np.array([[0, 1, 0], [2, np.nan, 0]]))
    deviation = np.std([1, 3, 5])
    assert np.square(a - b).sum() == pytest.approx(2 + ((1 - 3) / deviation) ** 2 + 1)
    np.testing.assert_allclose(
        rows.by_column(np.square(a - b)[None]), [[2, ((1 - 3) / deviation) ** 2 + 1, 0]], rtol=1e-6
    )
    points = detector._distances.space.points(run, NEW[:20])
    known = detector._distances.known
    near = np.sort(np.linalg.norm(points[:, None] - known[None], axis=2), axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(detector._distances._from_others(run, NEW[:20]).sum(1), near, rtol=1e-6)


class _Rows:
    def __init__(self, rows):
        self.rows = np.array(rows, np.float32)

    def blocks(self):
        yield self.rows


@pytest.mark.parametrize("by", ["reconstruction", "log_prob"])
def test_contributions_of_other_scores_sum_to_them(by):
    model, options = ("mixed", MIXED) if by == "log_prob" else ("autoencoder", SMALL)
    found = PlausibleDetector(model, by=by, options=options, epochs=2, random_state=0).fit(X)
    np.testing.assert_allclose(found.explain(NEW).sum(1), found.score_samples(NEW), rtol=1e-8)
    assert (found.explain(NEW).std(0) > 0).all()


def test_an_id_is_left_out_and_contributes_nothing():
    rows = X.assign(name=[f"bird {i}" for i in range(len(X))])[["name", *X.columns]]
    with pytest.warns(UserWarning, match="left out 'name'"):
        found = PlausibleDetector(options=SMALL, epochs=1, random_state=0).fit(rows)
    parts = found.explain(rows)
    assert parts.shape == (300, 7)
    assert (parts[:, 0] == 0).all()
    np.testing.assert_allclose(parts.sum(1), found.score_samples(rows), rtol=1e-10)


def test_pickled_and_saved_it_scores_as_before(detector, tmp_path):
    scores = detector.score_samples(NEW)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(NEW), scores)  # noqa: S301
    run = plausible.load(detector.save(tmp_path / "run"))
    assert run.schema.domain == "mixed"
    np.testing.assert_allclose(
        run.encode(NEW), detector.run_.applied(run.model.encode, NEW), rtol=1e-3, atol=1e-4
    )


def test_searches_pipelines_and_cross_validations_take_frames():
    y = np.where(X.beak > 43, 1, -1)
    search = GridSearchCV(
        PlausibleDetector(options=SMALL, random_state=0),
        {"epochs": [1, 2]},
        scoring="roc_auc",
        cv=2,
        error_score="raise",
    )
    assert search.fit(X, y).best_params_["epochs"] in (1, 2)
    coded = make_pipeline(PlausibleEncoder(options=SMALL, epochs=20, random_state=0), LogisticRegression())
    assert cross_val_score(coded, X, y, cv=2, error_score="raise").mean() > 0.7


# ---------------------------------------------------------------------- arrays with gaps
def test_an_array_with_missing_values_is_a_table_to_a_model_that_takes_it():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 3))
    rows[:, 1] += rows[:, 0]
    holes = np.where(rng.random(rows.shape) < 0.1, np.nan, rows)
    found = PlausibleDetector(options=SMALL, epochs=2, random_state=0).fit(holes)
    assert np.isfinite(found.score_samples(holes)).all()
    filled = PlausibleSampler("mixed", options=MIXED, epochs=2, random_state=0).fit(holes).impute(holes)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~np.isnan(holes)], holes[~np.isnan(holes)])
    with pytest.raises(ValueError, match="NaN"):
        PlausibleDetector("rnade", epochs=1).fit(holes)
    with pytest.raises(ValueError, match="NaN"):
        PlausibleDetector(options=SMALL, epochs=1).fit(rows).score_samples(holes)
    holes[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        found.score_samples(holes)


# ---------------------------------------------------------------------- sampler
@pytest.mark.parametrize("library", FRAMES)
def test_frames_come_back_as_they_went_in(library):
    frame = FRAMES[library](X)
    found = PlausibleSampler("mixed", options=MIXED, epochs=1, random_state=0).fit(frame)
    rows = found.sample(50, random_state=1)
    assert type(rows) is type(frame)
    assert list(pandas(rows).columns) == list(X.columns)
    assert set(pandas(rows).species.dropna()) <= {"Adelie", "Chinstrap", "Gentoo"}
    filled = found.impute(frame)
    assert type(filled) is type(frame)
    before, after = pandas(frame), pandas(filled)
    assert not after.isna().any(axis=None)
    for name in X:
        there = before[name].notna()
        assert (after[name][there] == before[name][there]).all(), name


def test_words_are_imputed_from_the_numbers(sampler):
    holes = NEW.dropna().copy()
    true = holes.species.copy()
    holes["species"] = None
    found = sampler.impute(holes, random_state=0)
    assert (found.species == true).mean() > 0.85
    pd.testing.assert_frame_equal(found, sampler.impute(holes, random_state=0))
    one = sampler.impute(holes, draws=1, random_state=1)
    assert (one.species == true).mean() <= (found.species == true).mean() + 0.02


def test_a_word_that_the_fit_did_not_know_is_left_as_it_is(sampler):
    rows = NEW[:3].copy()
    rows["species"] = ["Emperor", None, "Adelie"]
    with pytest.warns(UserWarning, match="'Emperor' of 'species'"):
        found = sampler.impute(rows)
    assert found.species.iloc[0] == "Emperor"
    assert found.species.iloc[1] in ("Adelie", "Chinstrap", "Gentoo")


def test_frames_of_numbers_keep_their_types():
    rows = pd.DataFrame({"a": np.arange(200) % 7, "b": np.random.default_rng(0).normal(size=200)})
    found = PlausibleSampler(random_state=0).fit(rows)
    assert found.run_.schema.domain == "real"
    new = found.sample(30)
    assert list(new.dtypes) == list(rows.dtypes)
    holes = rows.astype("float64")
    holes.loc[:4, "a"] = np.nan
    filled = found.impute(holes)
    assert not filled.isna().any(axis=None)
    pd.testing.assert_frame_equal(filled[5:], holes[5:])


# ---------------------------------------------------------------------- encoder
def test_codes_and_back_to_words():
    found = PlausibleEncoder(
        options={**SMALL, "corruption": 0.0}, n_components=3, epochs=200, random_state=0
    ).fit(X)
    back = found.inverse_transform(found.transform(NEW))
    assert list(back.columns) == list(X.columns)
    there = NEW.species.notna()
    assert (back.species[there] == NEW.species[there]).mean() > 0.8


# ---------------------------------------------------------------------- mistakes
def test_a_model_of_numbers_names_the_columns_in_its_way():
    with pytest.raises(
        PlausibleError, match=r"rnade takes no words.*species \(category with missing cells\)"
    ):
        PlausibleDetector("rnade", epochs=1).fit(X)
    booleans = X[["beak", "wild"]]
    assert (
        PlausibleDetector("rnade", options={"hidden": 2}, epochs=1).fit(booleans).run_.schema.domain == "real"
    )


def test_words_where_the_fit_knew_numbers_are_named():
    numbers = X[["beak"]].assign(other=np.random.default_rng(0).normal(size=300))
    found = PlausibleDetector(options=SMALL, epochs=1).fit(numbers)
    with pytest.raises(PlausibleError, match=r"beak \(Python objects: float, str\)"):
        found.score_samples(numbers.astype({"beak": object}).replace({"beak": {numbers.beak[2]: "long"}}))


def test_other_columns_and_too_few_rows(detector):
    with pytest.raises(ValueError, match="feature names"):
        detector.score_samples(NEW.rename(columns={"beak": "bill"}))
    with pytest.raises(ValueError, match="minimum of 4"):
        PlausibleDetector(epochs=1).fit(X[:3])
