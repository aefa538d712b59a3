"""The estimators: scikit-learn's own checks, what is held out, what is reproducible, and what the numbers are."""

import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import plausible
from plausible.errors import PlausibleError
from plausible.metrics.calibration import conformal_p_values
from plausible.sklearn import PlausibleDetector, PlausibleEncoder, PlausibleSampler

SMALL = {"encoder": (16,), "decoder": (16,), "latent": 2}
RNG = np.random.default_rng(0)
X = RNG.multivariate_normal([0, 5, -3], [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], 400) * (1, 10, 1000)
NEW = RNG.multivariate_normal([0, 5, -3], [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], 300) * (1, 10, 1000)


def detector(**how):
    return PlausibleDetector(**{"options": SMALL, "epochs": 30, "random_state": 0, **how})


@pytest.fixture(scope="module")
def fitted():
    return detector().fit(X)


@pytest.fixture(scope="module")
def sampler():
    return PlausibleSampler("rnade", epochs=60, random_state=0).fit(X)


# ---------------------------------------------------------------------- scikit-learn's contract
@pytest.mark.parametrize(
    "estimator",
    [
        PlausibleDetector(epochs=1, options=SMALL),
        PlausibleEncoder(epochs=1, options=SMALL),
        PlausibleSampler("rnade", epochs=1, options={"hidden": 4, "components": 2}),
        PlausibleSampler(),
        PlausibleSampler("mixed", epochs=1, options={"hidden": 8}),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scikit_learns_own_checks_pass(estimator):
    found = check_estimator(estimator, on_skip=None)
    assert len(found) > 35
    skipped = [check["check_name"] for check in found if check["status"] != "passed"]
    assert skipped == ["check_array_api_input"]  # without SCIPY_ARRAY_API it does not run


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PlausibleDetector, PlausibleEncoder, PlausibleSampler])
def test_they_pass_with_the_defaults(kind):
    assert all(check["status"] in ("passed", "skipped") for check in check_estimator(kind(), on_skip=None))


def test_a_pipeline_a_search_and_a_cross_validation_run():
    y = np.tile([1, 1, 1, -1], 20)
    rows = X[:80].copy()
    rows[y == -1, 1] += 60
    pipeline = make_pipeline(StandardScaler(), detector(epochs=2, contamination=0.25))
    search = GridSearchCV(
        pipeline, {"plausibledetector__epochs": [1, 3]}, scoring="roc_auc", cv=2, error_score="raise"
    )
    assert search.fit(rows, y).best_params_["plausibledetector__epochs"] in (1, 3)
    coded = make_pipeline(PlausibleEncoder(options=SMALL, epochs=2, random_state=0), LogisticRegression())
    assert cross_val_score(coded, rows, y, cv=2, error_score="raise").shape == (2,)
    models = [{"hidden": 2}, {"hidden": 8}]
    search = GridSearchCV(PlausibleSampler("rnade", epochs=2, random_state=0), {"options": models}, cv=2)
    assert np.isfinite(search.fit(rows).cv_results_["mean_test_score"]).all()


# ---------------------------------------------------------------------- reproducible, pickled, saved
def test_a_random_state_gives_the_same_fit_and_touches_no_other(fitted):
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    again = clone(fitted).fit(X)
    scores = again.score_samples(NEW)
    PlausibleSampler("rnade", epochs=1, options={"hidden": 2}, random_state=3).fit(X).sample(5)
    after = np.random.get_state()[1], torch.get_rng_state()
    np.testing.assert_array_equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    np.testing.assert_array_equal(scores, fitted.score_samples(NEW))
    other = detector(random_state=1).fit(X)
    assert not np.array_equal(scores, other.score_samples(NEW))
    assert other.run_.config.training.seed != fitted.run_.config.training.seed


def test_a_rows_score_does_not_depend_on_the_others(fitted):
    alone = np.concatenate([fitted.score_samples(row[None]) for row in NEW[:30]])
    np.testing.assert_allclose(alone, fitted.score_samples(NEW)[:30], rtol=1e-12)


def test_pickled_and_saved_it_scores_as_before(fitted, tmp_path):
    scores = fitted.score_samples(NEW)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(NEW), scores)  # noqa: S301
    path = fitted.save(tmp_path / "run")
    assert (path / "report.html").is_file()
    again = plausible.load(path)
    np.testing.assert_allclose(
        again.encode(NEW), fitted.run_.applied(fitted.run_.precise.encode, NEW), rtol=1e-3, atol=1e-4
    )
    by_errors = detector(by="reconstruction").fit(X)
    np.testing.assert_allclose(again.score(NEW), by_errors.score_samples(NEW), rtol=1e-3)
    with pytest.raises(PlausibleError, match="already holds a run"):
        fitted.save(path)
    assert not list(path.rglob("*.pkl"))


def test_nothing_is_drawn_in_a_fit(fitted):
    assert {name.partition("/")[0] for name in fitted.run_.files} == {
        "config.json",
        "events.jsonl",
        "best.json",
        "checkpoints",
    }
    assert "judged" not in {
        event["event"] for event in map(json.loads, fitted.run_.files["events.jsonl"].splitlines())
    }


def test_the_training_leaves_no_folder_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    detector(epochs=1).fit(X)
    with pytest.raises(PlausibleError):
        detector(options={"nonsense": 1}).fit(X)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- what is held out
def test_the_rows_held_out_do_not_touch_the_model(fitted):
    """Which rows these are depends on the seed and the number of rows: others in their place change no weight."""
    splits = fitted._splits(len(X), 80, int(np.random.RandomState(0).randint(2**31 - 1)))
    assert sorted(np.concatenate(list(splits.values()))) == list(range(len(X)))
    changed = X.copy()
    changed[splits["test"]] *= 1.5
    other = detector().fit(changed)
    for name, weights in fitted.run_.model.state_dict().items():
        assert torch.equal(weights, other.run_.model.state_dict()[name]), name
    assert not np.array_equal(fitted.calibration_scores_, other.calibration_scores_)
    changed = X.copy()
    changed[splits["train"]] *= 1.5
    assert not torch.equal(fitted.run_.model.scaling.mean, detector().fit(changed).run_.model.scaling.mean)


def test_nothing_is_held_out_that_nobody_reads():
    sizes = detector(epochs=1, contamination=0.1).fit(X).run_.config.data
    assert (sizes.train, sizes.valid) == (360, 40)
    sizes = detector(epochs=1, contamination=0.1, calibrate=True).fit(X).run_.config.data
    assert (sizes.train, sizes.valid, sizes.test) == (288, 32, 80)
    binary = (X > 0).astype(float)
    counted = detector(model="independent", options=None, contamination=0.1).fit(binary)
    assert counted.run_.config.data.train == 400


# ---------------------------------------------------------------------- decisions
def test_p_values_are_conformal_and_the_default_threshold_is_p_of_005(fitted):
    scores, p = fitted.score_samples(NEW), fitted.p_values(NEW)
    np.testing.assert_array_equal(p, conformal_p_values(scores, fitted.calibration_scores_))
    np.testing.assert_array_equal(fitted.predict(NEW) == -1, p <= 0.05)
    assert 0.005 < (p <= 0.05).mean() < 0.12
    at_the_edge = np.sort(fitted.calibration_scores_)
    assert fitted.offset_ == at_the_edge[3]  # 80 rows: (1 + 3)/81 ≤ 0.05 < (1 + 4)/81


def test_contamination_is_the_share_of_outliers_among_the_rows():
    found = detector(contamination=0.1).fit(X)
    assert (found.predict(X) == -1).sum() == 40
    np.testing.assert_allclose(found.decision_function(NEW), found.score_samples(NEW) - found.offset_)
    with pytest.raises(PlausibleError, match="calibrate=True"):
        found.p_values(X)


def test_with_few_rows_only_what_is_below_all_is_an_outlier():
    found = detector(epochs=2).fit(X[:30])
    assert found.offset_ == found.calibration_scores_.min()


def test_the_unit_of_a_column_does_not_matter_and_a_row_out_of_line_is_found(fitted):
    """A column in units of 1000 that tells nothing does not hide one in units of 1."""
    outliers = NEW[:100] + RNG.choice([-4, 4], (100, 1)) * (1, 0, 0)  # within each column, but off the line
    scores = fitted.score_samples(np.r_[NEW, outliers])
    y = np.r_[np.zeros(len(NEW)), np.ones(100)]
    assert roc_auc_score(y, -scores) > 0.95
    rescaled = detector().fit(X * (1024, 1, 2**-10)).score_samples(NEW * (1024, 1, 2**-10))
    np.testing.assert_allclose(rescaled, fitted.score_samples(NEW), rtol=0.05, atol=0.05)


def test_the_default_score_is_two_distances_by_their_medians():
    """By their definitions, in float64, from the run's splits."""
    found = detector(contamination=0.1).fit(X)
    splits = found._splits(len(X), 0, int(np.random.RandomState(0).randint(2**31 - 1)))
    train, valid = X[splits["train"]], X[splits["valid"]]
    spread = train.std(0)

    def distances(rows):
        back = found.run_.precise.reconstruct(torch.from_numpy(rows)).numpy()
        near = np.sort(cdist(rows / spread, train / spread), axis=1)[:, :5].mean(1)
        return np.linalg.norm((rows - back) / spread, axis=1), near

    of_new, of_valid = distances(NEW), distances(valid)
    expected = -sum(a / np.median(b) for a, b in zip(of_new, of_valid, strict=True))
    np.testing.assert_allclose(found.score_samples(NEW), expected, rtol=1e-4)
    assert np.isfinite(found.score_samples(train)).all()


def test_models_with_a_density_score_by_it():
    assert detector(model="rnade", options={"hidden": 2}, epochs=1).fit(X).by_ == "log_prob"


# ---------------------------------------------------------------------- explain
@pytest.mark.parametrize("by", ["distances", "reconstruction"])
def test_contributions_sum_to_the_score_and_name_the_column(by):
    fitted = detector(by=by).fit(X)
    rows = NEW[:50].copy()
    rows[:, 2] += 20_000
    found = fitted.explain(rows)
    np.testing.assert_allclose(found.sum(1), fitted.score_samples(rows), rtol=1e-10)
    assert (found.argmin(1) == 2).all()


ORDER = [1, 2, 0]
"""Of the seed below."""


def test_a_density_explains_in_the_order_of_the_columns():
    options = {"hidden": 8, "ordering": "random", "ordering_seed": 1}
    found = detector(model="rnade", options=options, epochs=5).fit(X)
    assert found.run_.model.order.tolist() == ORDER
    rows = NEW[:20].copy()
    rows[:, 1] += 1000
    contributions = found.explain(rows)
    np.testing.assert_allclose(contributions.sum(1), found.score_samples(rows), rtol=1e-10)
    assert (contributions[:, 1] < -100).all()
    alone = NEW[:20].copy()
    alone[:, ORDER[2]] += 1  # nothing comes after it
    np.testing.assert_array_equal(
        (found.explain(NEW[:20]) != found.explain(alone)).any(0), np.arange(3) == ORDER[2]
    )


@pytest.mark.parametrize("by", ["typicality", "latent", "features"])
def test_other_scores_are_no_sums_over_columns(by):
    model = {"typicality": "rnade", "latent": "autoencoder", "features": "gan"}[by]
    options = {
        "rnade": {"hidden": 2},
        "autoencoder": SMALL,
        "gan": {"generator": (4,), "discriminator": (4,)},
    }[model]
    found = detector(model=model, by=by, options=options, epochs=1).fit(X[:60])
    assert np.isfinite(found.score_samples(NEW[:5])).all()
    with pytest.raises(PlausibleError, match="no sum over columns"):
        found.explain(NEW[:5])


# ---------------------------------------------------------------------- tables
@pytest.mark.parametrize("library", [pd, pl])
def test_columns_keep_their_names(library, tmp_path):
    table = library.DataFrame({"age": X[:, 0], "height": X[:, 1], "pay": X[:, 2]})
    found = detector(epochs=1).fit(table)
    assert list(found.feature_names_in_) == ["age", "height", "pay"]
    run = plausible.load(found.save(tmp_path / "run"))
    assert run.schema.names == ("age", "height", "pay")
    turned = pd.DataFrame(X[:20, ::-1], columns=["pay", "height", "age"])
    np.testing.assert_allclose(run.score(turned), run.score(table[:20]), rtol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        found.score_samples(turned)


# ---------------------------------------------------------------------- encoder
def test_codes_and_back():
    encoder = PlausibleEncoder(
        n_components=3, options={"encoder": (32,), "decoder": (32,), "corruption": 0.0}
    )
    encoder.set_params(epochs=150, random_state=0).set_output(transform="pandas")
    codes = encoder.fit_transform(X)
    assert list(codes.columns) == ["plausibleencoder0", "plausibleencoder1", "plausibleencoder2"]
    back = encoder.inverse_transform(codes.to_numpy())
    assert (back.dtype, back.shape) == (np.float64, X.shape)
    assert (np.square(X - back).mean(0) < 0.2 * X.var(0)).all()
    far = X + np.array([0, 0, 1e9])  # where float32 would merge values
    encoder.fit(far)
    assert (
        np.square(far - encoder.inverse_transform(encoder.transform(far).to_numpy())).mean(0) < 0.2 * X.var(0)
    ).all()
    with pytest.raises(PlausibleError, match="codes have 3 columns, not 2"):
        encoder.inverse_transform(codes.to_numpy()[:, :2])
    with pytest.raises(PlausibleError, match="RNADE has no"):
        PlausibleEncoder("rnade", epochs=1).fit(X)


# ---------------------------------------------------------------------- sampler
def test_samples_are_like_the_rows(sampler):
    rows = sampler.sample(2000, random_state=1)
    assert (rows.shape, rows.dtype) == ((2000, 3), np.float64)
    np.testing.assert_allclose(rows.mean(0) / X.std(0), X.mean(0) / X.std(0), atol=0.2)
    assert np.corrcoef(rows.T)[0, 1] > 0.7
    np.testing.assert_array_equal(rows[:10], sampler.sample(2000, random_state=1)[:10])
    assert not np.array_equal(rows[:10], sampler.sample(10, random_state=2))


def test_the_score_is_the_mean_log_probability(sampler):
    assert sampler.score(NEW) == pytest.approx(sampler.score_samples(NEW).mean())
    exact = torch.distributions.MultivariateNormal
    cov = torch.tensor([[1, 9, 0], [9, 100, 0], [0, 0, 1e6]], dtype=torch.float64)
    best = exact(torch.tensor([0, 50, -3000], dtype=torch.float64), cov).log_prob(torch.from_numpy(NEW))
    assert best.mean() - 0.5 < sampler.score(NEW) < best.mean() + 0.05


def test_missing_values_are_imputed_from_what_is_given(sampler):
    holes = NEW[:60].copy()
    holes[:, 1:] = np.nan
    holes[:20, 0] = np.nan
    holes[40:] = NEW[40:60]
    found = sampler.impute(holes, draws=50, random_state=0)
    given = ~np.isnan(holes)
    np.testing.assert_array_equal(found[given], holes[given])
    expected = 50 + 9 * NEW[20:40, 0]  # E[x_1 | x_0]
    assert np.abs(found[20:40, 1] - expected).mean() < 3
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, sampler.impute(holes, draws=50, random_state=0))
    assert not np.array_equal(found, sampler.impute(holes, draws=50, random_state=1))
    one = sampler.impute(holes, draws=1, random_state=0)
    assert one[:20, 1].std() > 2 * found[:20, 1].std()  # samples spread, means do not


def test_the_default_fills_any_gap_and_keeps_whole_numbers_whole():
    whole = X.round()
    sampler = PlausibleSampler(random_state=0).fit(whole)
    rows = sampler.sample(500)
    np.testing.assert_array_equal(rows, rows.round())
    assert (rows.min(0) >= whole.min(0)).all()
    assert (rows.max(0) <= whole.max(0)).all()
    holes = np.where(np.random.default_rng(0).random(NEW[:50].shape) < 0.3, np.nan, NEW[:50].round())
    found = sampler.impute(holes, draws=1)
    np.testing.assert_array_equal(found, found.round())
    np.testing.assert_array_equal(found[~np.isnan(holes)], holes[~np.isnan(holes)])


def test_binary_rows_give_binary_samples():
    binary = (X > 0).astype(float)
    made = PlausibleSampler("made", options={"hidden": (8,)}, epochs=2, random_state=0).fit(binary)
    assert set(np.unique(made.sample(50))) == {0, 1}


def test_a_model_without_the_capability_lacks_the_method():
    gan = PlausibleSampler("gan", epochs=1)
    assert not hasattr(gan, "impute")
    assert not hasattr(gan, "score_samples")
    assert hasattr(PlausibleSampler(), "impute")


# ---------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"contamination": 0}, r"contamination must be 'auto' or in \(0, 0\.5\], not 0"),
        ({"contamination": "some"}, "contamination must be 'auto'"),
        ({"by": "critic"}, "by must be one of distances, log_prob, .*not 'critic'"),
        ({"by": "log_prob"}, "Autoencoder has no density"),
        ({"model": "gan", "options": None, "epochs": 1}, "GAN has no score of its own"),
        ({"model": "no-such"}, "no-such"),
        ({"options": {"seed": 1}}, "seed is not an option of the model"),
        ({"validation_fraction": 0}, "validation_fraction must be between 0 and 1, not 0"),
        ({"epochs": -1}, "epochs must be a positive number"),
    ],
)
def test_a_mistake_is_one_clear_error(how, message):
    with pytest.raises(PlausibleError, match=message):
        detector(**how).fit(X)


def test_nothing_works_before_fit():
    for call in (
        detector().score_samples,
        detector().explain,
        detector().p_values,
        PlausibleSampler().impute,
    ):
        with pytest.raises(NotFittedError):
            call(X)
    with pytest.raises(NotFittedError):
        detector().save("nowhere")


def test_a_row_at_the_threshold_is_ordinary_whatever_it_is_scored_with(fitted):
    held = fitted._splits(len(X), 80, int(np.random.RandomState(0).randint(2**31 - 1)))["test"]
    together = fitted.predict(X)
    alone = np.concatenate([fitted.predict(X[place : place + 1]) for place in held])
    np.testing.assert_array_equal(alone, together[held])
    edge = held[np.flatnonzero(fitted.score_samples(X[held]) == fitted.offset_)]
    assert len(edge)
    assert (together[edge] == 1).all()
