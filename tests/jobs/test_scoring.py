"""`score` and `encode`: all rows in their order, named scores, clear errors, nothing half-written."""

import warnings

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from PIL import Image
from scipy.stats import false_discovery_control
from sklearn.metrics import roc_auc_score
from support import opened, tiny_options, train

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs import loading
from plausible.jobs import opened as opening
from plausible.metrics import scores
from plausible.models.vae import VAE

pytestmark = pytest.mark.filterwarnings("ignore:log p.x. of a picture")
POINTS = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with runs of tiny models: vae (digits:binary), gan (digits), points (a table), and the table."""
    folder = tmp_path_factory.mktemp("scoring")
    np.save(folder / "points.npy", POINTS)
    np.savetxt(folder / "points.csv", POINTS, delimiter=",", fmt="%.9g", header="a,b,c", comments="")
    np.save(folder / "three.npy", POINTS[:3])
    small = {"latent": 8, "encoder": (100,), "decoder": (100,), "batch": 100}
    train("vae", "digits:binary", out=folder / "vae", epochs=40, lr=3e-3, **small)
    train("vae", str(folder / "points.npy"), out=folder / "points", epochs=2, **small | {"batch": 16})
    train("gan", out=folder / "gan", epochs=0.2, **tiny_options("gan", "default") | {"batch": 100})
    return folder


def of(folder, run="vae"):
    return opened(folder / run).model


def read(path):
    """(header, rows, scores) of a CSV of scores."""
    header, *lines = path.read_text().splitlines()
    cells = np.array([line.split(",") for line in lines], float)
    return header, cells[:, 0].astype(int), cells[:, 1]


@pytest.mark.parametrize(
    ("run", "spec"),
    [("gan", "digits"), ("vae", "digits:binary"), ("points", "points.npy"), ("points", "points.csv")],
)
def test_codes_stand_in_the_order_of_the_rows(folder, tmp_path, run, spec, monkeypatch):
    monkeypatch.setattr(scores, "ROWS", 100)
    spec = str(folder / spec) if spec.startswith("points") else spec
    represent = "features" if run == "gan" else "encode"
    path = getattr(opened(folder / run), represent)(spec, out=tmp_path / "z.npy")
    z, x = np.load(path), load_data(spec).rows.array()
    if run == "points":
        np.testing.assert_array_equal(x, POINTS)
    assert (len(z), z.dtype) == (len(x), np.float32)
    np.testing.assert_allclose(
        z, getattr(of(folder, run), represent)(torch.from_numpy(x)).numpy(), rtol=1e-4, atol=1e-5
    )
    assert [file.name for file in tmp_path.iterdir()] == ["z.npy"]


def test_a_view_keeps_the_rows_places(folder, tmp_path):
    gan = opened(folder / "gan")
    whole = read(gan.score("digits", by="critic", out=tmp_path / "all.csv"))
    threes = read(gan.score("digits:class=3", by="critic", out=tmp_path / "threes.csv"))
    places = np.flatnonzero(load_data("digits").rows.y == 3)
    np.testing.assert_array_equal(whole[1], np.arange(1797))
    np.testing.assert_array_equal(threes[1], places)
    np.testing.assert_allclose(threes[2], whole[2][places], rtol=1e-4, atol=1e-6)


def test_fewer_rows_than_any_split_needs_can_be_scored_and_encoded(folder, tmp_path):
    data = str(folder / "three.npy")
    assert np.load(opened(folder / "points").score(data, out=tmp_path / "s.npy")).shape == (3,)
    assert np.load(opened(folder / "points").encode(data, out=tmp_path / "z.npy")).shape == (3, 8)


@pytest.mark.parametrize(
    ("run", "by", "name", "means"),
    [
        ("vae", None, "log_prob_bound[k=5] [nats]", "higher is more plausible"),
        ("vae", "bound", "log_prob_bound[k=5] [nats]", "higher is more plausible"),
        (
            "vae",
            "reconstruction",
            "reconstruction: -sum of (x - reconstruct(x))^2 (real values in standard deviations)",
            "higher is more plausible",
        ),
        ("gan", "critic", "critic: the discriminator's logit", "not a density: it tells data from"),
        (
            "gan",
            "features",
            "features: -mean distance to the 5 nearest training rows",
            "higher is more plausible",
        ),
        (
            "gan",
            "latent",
            "latent: -smallest sum of (x - decode(z))^2 in 1 steps from 3 starts",
            "higher is more plausible",
        ),
    ],
)
def test_the_output_names_its_score(folder, tmp_path, run, by, name, means):
    said, data = [], "digits:binary" if run == "vae" else "digits"
    how = {"by": by, "samples": 5, "steps": 1}
    path = opened(folder / run).score(data, out=tmp_path / "s.csv", say=said.append, **how)
    header, _, scores = read(path)
    assert header == f"row,{name}"
    (line,) = said
    assert line.startswith(f"{name}, of 1,797 rows; {means}")
    assert ("higher is more plausible" in line) == (by != "critic")
    numbers = np.load(opened(folder / run).score(data, out=tmp_path / "s.npy", **how))
    assert (numbers.shape, numbers.dtype) == ((1797,), np.float32)
    np.testing.assert_array_equal(scores.astype(np.float32), numbers)


def test_scores_are_what_the_model_says(folder, tmp_path):
    x = torch.from_numpy(load_data("digits:binary").rows.array())
    found = np.load(
        opened(folder / "vae").score("digits:binary", out=tmp_path / "r.npy", by="reconstruction")
    )
    error = (x - of(folder).reconstruct(x)).square().sum((1, 2, 3)).numpy()
    np.testing.assert_allclose(found, -error, rtol=1e-4)
    found = np.load(opened(folder / "gan").score("digits", by="critic", out=tmp_path / "c.npy"))
    x = torch.from_numpy(load_data("digits").rows.array())
    np.testing.assert_allclose(found, of(folder, "gan").criticise(x).numpy(), rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_scores_and_torchs_randomness_is_kept(folder, tmp_path):
    def scores(seed):
        return np.load(
            opened(folder / "vae").score("digits:binary", out=tmp_path / "s.npy", samples=3, seed=seed)
        )

    before = torch.get_rng_state()
    first = scores(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    np.testing.assert_array_equal(scores(0), first)
    assert (scores(1) != first).any()


def test_a_score_does_not_depend_on_rows_beyond_its_block(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "ROWS", 30)
    changed = POINTS.copy()
    changed[30:] *= 2
    np.save(tmp_path / "changed.npy", changed)
    a, b = (
        np.load(opened(folder / "points").score(str(data), out=tmp_path / "s.npy"))
        for data in (folder / "points.npy", tmp_path / "changed.npy")
    )
    np.testing.assert_array_equal(a[:30], b[:30])
    assert (a[30:] != b[30:]).all()


@pytest.mark.parametrize("by", ["bound", "reconstruction"])
def test_noise_is_less_plausible_than_digits(folder, tmp_path, by):
    digits = load_data("digits:binary").rows.array()
    test = load_data("digits:binary").test.ids
    share = digits.mean()
    noise = (np.random.default_rng(1).random((200, 1, 8, 8)) < share).astype(np.float32)
    np.save(tmp_path / "noise.npy", noise)
    inside = np.load(
        opened(folder / "vae").score("digits:binary", out=tmp_path / "in.npy", by=by, samples=10)
    )[test]
    outside = np.load(
        opened(folder / "vae").score(str(tmp_path / "noise.npy"), out=tmp_path / "out.npy", by=by, samples=10)
    )
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    area = roc_auc_score(truth, np.concatenate([inside, outside]))
    print(f"AUROC of {by}: {area:.4f}")
    assert area > 0.95


@pytest.mark.parametrize(
    ("run", "data", "options", "said"),
    [
        ("gan", "digits", {}, r"GAN has no score of its own.*--by latent.*features.*critic.*train .*nade"),
        ("gan", "digits", {"by": "typicality"}, r"GAN has no density.*--by latent or features or critic"),
        ("vae", "digits:binary", {"by": "latent", "steps": 0}, r"--steps.*0"),
        ("vae", "digits:binary", {"by": "latent", "starts": 0}, r"--starts.*0"),
        (
            "gan",
            "digits",
            {"by": "critic", "calibrate": True},
            r"--calibrate needs .*--by latent or features",
        ),
        (
            "vae",
            "digits:binary",
            {"calibrate": True, "out": "s.npy"},
            r"s\.npy holds the scores alone.*\.csv",
        ),
        ("vae", "digits:binary", {"fdr": 1.0}, r"--fdr must be between 0 and 1.*not 1"),
        ("vae", "digits:binary", {"fdr": 0.0}, r"--fdr must be between 0 and 1.*not 0"),
        ("gan", "digits", {"by": "log_prob"}, r"GAN has no density.*critic.*parzen.*train .*nade"),
        ("gan", "digits", {"by": "bound"}, r"GAN has no bound.*critic.*train .*vae"),
        ("gan", "digits", {"by": "reconstruction"}, r"GAN has no reconstruction.*train .*vae"),
        ("vae", "digits:binary", {"by": "critic"}, r"VAE has no critic.*--by bound.*train .*gan"),
        ("gan", "digits", {"by": "luck"}, r"luck.*log_prob.*critic"),
        ("vae", "digits:binary", {"samples": 0}, r"--samples.*0"),
        ("gan", "ring", {"by": "critic"}, r"ring.*2 numbers.*8 × 8"),
        ("vae", "digits", {}, r"digits.*trained on 0 and 1.*:binary"),
        ("gan", "digitz", {"by": "critic"}, r"digitz.*digits"),
        ("gan", "digits", {"out": "s.txt"}, r"s\.txt.*\.csv, \.npy"),
        ("gan", "digits", {"out": "nowhere/s.csv"}, r"no folder nowhere"),
        ("gan", "digits", {"out": "folder.csv"}, r"is a folder"),
        ("no-run", "digits", {}, r"no-run is not a run"),
    ],
)
def test_what_cannot_be_scored_is_a_clear_error(folder, tmp_path, monkeypatch, run, data, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PlausibleError, match=said):
        opened(folder / run).score(data, **{"out": "s.csv"} | options)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize(
    ("run", "data", "out", "said"),
    [
        ("gan", "ring", "z.npy", r"ring.*2 numbers.*8 × 8"),
        ("gan", "digits", "z.txt", r"z\.txt: the ending must be one of \.npy, \.csv"),
        ("gan", "digits", "nowhere/z.npy", r"no folder nowhere"),
    ],
)
def test_what_cannot_be_encoded_is_a_clear_error(folder, tmp_path, monkeypatch, run, data, out, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlausibleError, match=said):
        opened(folder / run).features(data, out=out)
    assert not list(tmp_path.iterdir())


def test_a_model_without_any_of_it_says_what_would_do(folder, tmp_path, monkeypatch):
    plain = type("Plain", (GenerativeModel,), {})((1, 8, 8), "unit")
    monkeypatch.setattr(opening, "load_at", lambda *_: (plain, None))
    with pytest.raises(PlausibleError, match=r"Plain has no code .*: train .*vae"):
        opened(folder / "gan").encode("digits", out=tmp_path / "z.npy")
    with pytest.raises(
        PlausibleError, match=r"Plain has no score of its own: train .*nade, a bound, such as vae"
    ):
        opened(folder / "gan").score("digits", out=tmp_path / "s.npy")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_codes_stopped_in_the_middle_leave_what_was_there(folder, tmp_path, monkeypatch, raised):
    path = tmp_path / "z.npy"
    path.write_bytes(b"before")
    whole, calls = VAE.encode, []

    def encode(self, x):
        calls.append(len(x))
        if len(calls) == 3:
            raise raised
        return whole(self, x)

    monkeypatch.setattr(VAE, "encode", encode)
    monkeypatch.setattr(scores, "ROWS", 100)
    with pytest.raises(KeyboardInterrupt if raised is KeyboardInterrupt else PlausibleError):
        opened(folder / "vae").encode("digits:binary", out=path)
    assert calls == [100, 100, 100]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_own_randomness_is_seeded_and_kept_by_applied():
    before = torch.get_rng_state()
    x = torch.zeros(3)
    assert torch.equal(loading.applied(torch.rand_like, x, 4), loading.applied(torch.rand_like, x, 4))
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------------- names, p-values, warnings
def test_scores_of_pictures_have_the_files_names(folder, tmp_path):
    root, grey = tmp_path / "faces", load_data("digits").rows.array()[:12, 0]
    pixels = {f"{'12'[i % 2]}/{i:02d}, old.png": (each * 255).astype(np.uint8) for i, each in enumerate(grey)}
    for name, each in pixels.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).save(root / name)
    found = pd.read_csv(opened(folder / "gan").score(str(root), by="critic", out=tmp_path / "s.csv"))
    assert list(found.columns) == ["row", "file", "critic: the discriminator's logit"]
    assert found["file"].tolist() == sorted(pixels)
    x = torch.from_numpy(np.stack([pixels[name] for name in sorted(pixels)])[:, None] / np.float32(255))
    np.testing.assert_allclose(found.iloc[:, 2], of(folder, "gan").criticise(x), rtol=1e-3, atol=1e-5)
    some = pd.read_csv(opened(folder / "gan").score(f"{root}:class=2", by="critic", out=tmp_path / "b.csv"))
    assert some["file"].tolist() == sorted(pixels)[6:]
    assert some["row"].tolist() == list(range(6, 12))


@pytest.mark.parametrize(
    ("index", "heading", "names"),
    [
        (pd.Index(["x", "y", "z"], name="patient"), "patient", ["x", "y", "z"]),
        (pd.Index([7, 3, 5]), "index", ["7", "3", "5"]),
        (
            pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["who", "no"]),
            "who/no",
            ["a/1", "a/2", "b/1"],
        ),
        (pd.RangeIndex(3), None, None),
        (pd.RangeIndex(10, 13), "index", ["10", "11", "12"]),
    ],
)
def test_scores_of_a_frame_have_its_index(folder, tmp_path, index, heading, names):
    frame = pd.DataFrame(POINTS[:3], columns=list("abc"), index=index)
    found = pd.read_csv(opened(folder / "points").score(frame, out=tmp_path / "s.csv"), dtype=str)
    assert list(found.columns[:-1]) == ["row", *([heading] if heading else [])]
    if heading:
        assert found[heading].tolist() == names


def test_p_values_come_from_the_valid_rows_and_marks_from_them(folder, tmp_path):
    run, data = opened(folder / "vae"), load_data("digits:binary")
    noise = (np.random.default_rng(3).random((60, 1, 8, 8)) < 0.5).astype(np.float32)
    x, said = np.concatenate([data.test.array()[:60], noise]), []
    found = run.score(x, by="reconstruction", fdr=0.2, say=said.append)
    np.testing.assert_array_equal(found.scores, run.score(x, by="reconstruction"))
    valid = run.score(data.valid.array(), by="reconstruction")
    expected = [(1 + (valid <= score).sum()) / (len(valid) + 1) for score in found.scores]
    np.testing.assert_allclose(found.p_values, expected, rtol=1e-12)
    np.testing.assert_array_equal(found.marked, false_discovery_control(expected) <= 0.2)
    assert found.marked[60:].all()
    assert found.marked[:60].mean() < 0.5
    assert "share of 180 valid rows" in said[1]
    assert said[2] == f"marked: {found.marked.sum()} of 120 rows, at a false-discovery rate of 0.2"
    assert run.score(x, by="reconstruction", calibrate=True).marked is None
    written = pd.read_csv(run.score(x, by="reconstruction", fdr=0.2, out=tmp_path / "s.csv"))
    assert list(written.columns[2:]) == ["p", "marked"]
    np.testing.assert_allclose(written["p"], expected, rtol=1e-7)
    np.testing.assert_array_equal(written["marked"], found.marked)


def test_too_few_valid_rows_to_mark_anything_is_said(folder):
    said = []
    opened(folder / "points").score(POINTS, by="reconstruction", fdr=0.1, say=said.append)
    assert "no p-value is below 0.14, so fewer than 86 rows cannot be marked among 60" in said[3]


@pytest.mark.filterwarnings("default")
def test_likelihoods_of_pictures_and_of_simple_rows_come_with_a_warning(folder):
    run = opened(folder / "vae")
    with pytest.warns(UserWarning, match="may be higher for simpler pictures"):
        run.score("digits:binary", samples=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.score("digits:binary", by="typicality", samples=2)
        run.score("digits:binary", by="reconstruction")
        opened(folder / "points").score(POINTS * 3, samples=2)  # a table, less likely than its valid rows
    with pytest.warns(UserWarning, match="is far above that of the valid rows.*--by typicality"):
        opened(folder / "points").score(POINTS[:30] * 1e-3 + POINTS.mean(0), samples=20)


@pytest.mark.parametrize("kind", ["csv", "pandas", "polars"])
def test_scores_of_a_table_have_the_column_that_was_left_out(tmp_path, kind):
    people = pd.DataFrame(
        {"age": np.arange(90) % 7 + 0.5, "who": [f"p{i}" for i in range(90)], "pay": np.arange(90.0)}
    )
    run = opened(train("copula", people, drop=["who"], out=tmp_path / "run"))
    rows = people.iloc[::-1][["who", "pay", "age"]].reset_index(drop=True)
    if kind == "csv":
        rows.to_csv(tmp_path / "rows.csv", index=False)
    given = {"csv": str(tmp_path / "rows.csv"), "pandas": rows, "polars": polars.from_pandas(rows)}[kind]
    found = pd.read_csv(run.score(given, out=tmp_path / "s.csv"))
    assert list(found.columns)[:2] == ["row", "who"]
    assert list(found.who) == list(rows.who)
    np.testing.assert_allclose(found.iloc[:, 2], run.score(people)[::-1], rtol=1e-4)
