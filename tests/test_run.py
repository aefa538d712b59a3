"""The Run: any container in, the same one out; verbs return data, files only with `out=`; what it says of itself."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from support import opened, tiny_options

import plausible
from plausible.errors import PlausibleError

RNG = np.random.default_rng(0)
POINTS = RNG.normal((5, -2, 100), (1, 3, 20), size=(60, 3))
FRAME = pd.DataFrame(
    {"age": RNG.integers(18, 80, 60), "height": RNG.normal(170, 9, 60), "owner": RNG.random(60) < 0.5}
)
PIXELS = RNG.integers(0, 256, (60, 6, 5), dtype=np.uint8)
COLOURS = RNG.integers(0, 256, (60, 6, 5, 3), dtype=np.uint8)


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, i):
        return torch.tensor(POINTS[i], dtype=torch.float32), i % 3


CONTAINERS = {
    "float32 array": POINTS.astype(np.float32),
    "float64 array": POINTS,
    "whole numbers": RNG.integers(-500, 500, (60, 4)),
    "tensor": torch.tensor(POINTS, dtype=torch.float32),
    "dataset": torch.utils.data.TensorDataset(torch.tensor(POINTS, dtype=torch.float32)),
    "pairs": Pairs(),
    "pandas": FRAME,
    "polars": pl.from_pandas(FRAME),
    "pyarrow": pa.Table.from_pandas(FRAME),
    "grey pictures": PIXELS,
    "colour pictures": COLOURS,
    "float pictures": (PIXELS / 255).astype(np.float32),
    "picture tensor": torch.from_numpy(COLOURS).permute(0, 3, 1, 2),
    "PIL grey": [Image.fromarray(each) for each in PIXELS],
    "PIL colour": [Image.fromarray(each) for each in COLOURS],
    "splits": {"train": FRAME[:40], "test": FRAME[40:]},
}
SMALL = {"latent": 2, "encoder": (8,), "decoder": (8,), "epochs": 1, "batch": 10, "network": "mlp"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A tiny VAE on each."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: plausible.train("vae", data, out=folder / name.replace(" ", "-"), progress=False, **SMALL)
        for name, data in CONTAINERS.items()
    }


def sample_of(data):
    """The container that samples should come in: of splits and data sets that of their rows."""
    if isinstance(data, dict):
        return data["train"]
    return torch.zeros(1, 3) if isinstance(data, torch.utils.data.Dataset) else data


def check_same_kind(found, data, n):
    like = sample_of(data)
    assert type(found) is type(like)
    assert len(found) == n
    if isinstance(like, np.ndarray | torch.Tensor):
        assert found.dtype == like.dtype
        assert found.shape[1:] == like.shape[1:]
    elif isinstance(like, list):
        assert {(each.mode, each.size) for each in found} == {(like[0].mode, like[0].size)}
    elif isinstance(like, pa.Table):
        assert found.schema.remove_metadata() == like.schema.remove_metadata()
    else:
        assert list(found.columns) == list(like.columns)
        assert list(found.dtypes) == list(like.dtypes)


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_came_in_comes_out(runs, name):
    check_same_kind(runs[name].sample(7), CONTAINERS[name], 7)
    check_same_kind(opened(runs[name].folder).sample(7), CONTAINERS[name], 7)


@pytest.mark.filterwarnings("ignore:log p:UserWarning", "ignore:the mean log p:UserWarning")
@pytest.mark.parametrize("name", [name for name in CONTAINERS if name not in ("splits", "dataset", "pairs")])
def test_every_verb_takes_what_trained_and_what_it_gave(runs, name):
    run, data = runs[name], CONTAINERS[name]
    check_same_kind(run.reconstruct(data), data, len(data))
    for rows in (data, run.sample(7)):
        codes, scores = run.encode(rows), run.score(rows, samples=3)
        assert (len(codes), tuple(codes.shape[1:])) == (len(rows), (2,))
        assert tuple(scores.shape) == (len(rows),)
        assert isinstance(scores, torch.Tensor if isinstance(rows, torch.Tensor) else np.ndarray)
        assert np.isfinite(np.asarray(scores)).all()
    check_same_kind(run.decode(np.zeros((4, 2))), data, 4)
    check_same_kind(run.interpolate(0, 1, 5), data, 5)


@pytest.mark.parametrize(
    "name", ["pandas", "polars", "pyarrow", "grey pictures", "PIL colour", "float64 array", "tensor"]
)
def test_as_asks_for_another(runs, name):
    run = runs[name]
    picture = "pict" in name or "PIL" in name
    kinds = {"numpy": np.ndarray, "torch": torch.Tensor}
    kinds |= (
        {"images": list} if picture else {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}
    )
    for as_, kind in kinds.items():
        assert isinstance(run.sample(3, as_=as_), kind), as_
    with pytest.raises(PlausibleError, match="numpy, torch, pandas"):
        run.sample(3, as_="excel")


def test_rows_without_a_name_are_matched_by_position_if_their_count_agrees(runs):
    by_name = runs["pandas"].score(FRAME.astype(float))
    np.testing.assert_array_equal(runs["pandas"].score(FRAME.to_numpy(float)), by_name)
    with pytest.raises(PlausibleError, match=r"2.*3|3.*2"):
        runs["pandas"].score(FRAME.to_numpy(float)[:, :2])


def test_columns_are_matched_by_name(runs):
    run = runs["pandas"]
    expected = run.score(FRAME)
    np.testing.assert_array_equal(run.score(FRAME[["owner", "age", "height"]]), expected)
    np.testing.assert_array_equal(run.score(pl.from_pandas(FRAME[["height", "owner", "age"]])), expected)
    with pytest.raises(PlausibleError, match="height"):
        run.score(FRAME.drop(columns="height"))
    with pytest.raises(PlausibleError, match="shoe"):
        run.score(FRAME.assign(shoe=42))


def test_scoring_takes_any_finite_value(runs):
    far = FRAME.astype(float)
    far.loc[0, "height"], far.loc[1, "height"], far.loc[2, "height"] = 1e9, -1e30, 1e300
    with pytest.warns(UserWarning, match=r"float32"):
        scores = runs["pandas"].score(far)
    assert not np.isnan(scores).any()
    assert scores[3:].min() > scores[:3].max()


def test_a_tensor_keeps_its_graph_through_decode(runs):
    for run in (runs["tensor"], runs["float32 array"]):
        z = torch.zeros(1, run.latent, requires_grad=True)
        out = run.decode(z)
        assert isinstance(out, torch.Tensor)
        out.square().sum().backward()
        assert z.grad.norm() > 0


def test_a_code_of_a_gan_is_found_by_gradient(tmp_path):
    run = plausible.train(
        "gan", "digits", epochs=1, out=tmp_path / "gan", progress=False, **tiny_options("gan", "default")
    )
    aim = run.decode(torch.randn(1, run.latent, generator=torch.Generator().manual_seed(1))).detach()
    z = torch.zeros(1, run.latent, requires_grad=True)
    optimizer, losses = torch.optim.Adam([z], 0.1), []
    for _ in range(200):
        loss = (run.decode(z) - aim).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 20
    assert run.interpolate(0, 1, 5).shape == (5, 1, 8, 8)
    assert run.features("digits").shape[0] == 1797
    with pytest.raises(PlausibleError, match="features"):
        run.encode("digits")


@pytest.mark.parametrize("name", ["pandas", "tensor", "PIL grey"])
def test_a_run_of_data_in_memory_says_when_it_needs_them_again(runs, name):
    run = opened(runs[name].folder)
    with pytest.raises(PlausibleError, match="data="):
        run.evaluate()
    with pytest.raises(PlausibleError, match="data="):
        run.resume(epochs=2, progress=False)
    assert run.evaluate(CONTAINERS[name], metrics=["fidelity"])["metrics"]


def test_data_in_memory_resume_by_their_hash(tmp_path):
    run = plausible.train("vae", FRAME, out=tmp_path / "run", progress=False, **SMALL)
    again = opened(run.folder)
    with pytest.raises(PlausibleError, match="hash"):
        again.resume(epochs=2, data=FRAME.assign(age=1), progress=False)
    again.resume(epochs=2, data=FRAME, progress=False)
    run.resume(epochs=3, progress=False)
    assert run.stopped()["reason"] == "finished"
    assert run.stopped()["tick"] == 12


def test_labels_come_as_y_as_pairs_or_as_a_column(tmp_path):
    kinds = np.array(["cat", "dog", "eel"])[np.arange(60) % 3]
    options = SMALL | {"classes": 3, "progress": False}
    a = plausible.train("vae", POINTS, y=kinds, out=tmp_path / "a", **options)
    b = plausible.train("vae", FRAME.assign(kind=kinds), target="kind", out=tmp_path / "b", **options)
    c = plausible.train("vae", Pairs(), out=tmp_path / "c", **options)
    assert a.schema.labels == b.schema.labels == ("cat", "dog", "eel")
    assert c.schema.labels == ("0", "1", "2")
    assert len(a.sample(6, label=["dog", "cat"])) == 6
    assert "kind" not in b.sample(3).columns
    np.testing.assert_array_equal(b.score(FRAME.assign(kind=kinds)), b.score(FRAME))
    with pytest.raises(PlausibleError, match="cow"):
        a.sample(3, label="cow")


def test_files_are_written_only_with_out(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = opened(runs["pandas"].folder)
    run.sample(3), run.score(FRAME), run.encode(FRAME)
    assert not list(tmp_path.iterdir())
    path = run.sample(3, out="s.csv")
    assert path.read_text().splitlines()[0] == "age,height,owner"
    assert np.load(run.score(FRAME, out="s.npy")).shape == (60,)


def test_a_run_shows_its_figures_once_it_is_evaluated(runs):
    run = runs["float32 array"]
    assert "coverage" not in run._repr_html_()
    run.evaluate(metrics=["fidelity"])
    assert "<td>coverage</td>" in run._repr_html_()


def test_a_run_says_what_it_is(runs):
    said = repr(runs["pandas"])
    assert "vae" in said
    assert "tick 4" in said
    assert "finished" in said
    assert str(runs["pandas"].path) in said


PROGRAM = """
import plausible
run = plausible.train("vae", "digits", epochs=2, out="r", encoder=(8,), decoder=(8,){more})
print(repr(run))
"""


def python(code, folder):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)


def test_training_from_python_shows_progress_on_stderr(tmp_path):
    done = python(PROGRAM.format(more=""), tmp_path)
    assert "tick" in done.stderr
    assert "ELBO" in done.stderr
    assert done.stdout.startswith("<Run ")


@pytest.mark.slow
def test_progress_can_be_silenced(tmp_path):
    assert python(PROGRAM.format(more=", progress=False"), tmp_path).stderr == ""


def test_progress_can_be_watched(tmp_path):
    seen = []
    plausible.train("vae", POINTS, out=tmp_path / "watched", progress=seen.append, **SMALL)
    assert seen[-1].done == 1


INTERRUPTED = """
import os, signal, plausible
def stop(report):
    os.kill(os.getpid(), signal.{name})
try:
    plausible.train("vae", "digits", epochs=50, out="r", encoder=(8,), decoder=(8,), progress=stop)
except KeyboardInterrupt:
    print("interrupted")
    raise
print("went on")
"""


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("SIGINT", -2),
        pytest.param("SIGTERM", 143, marks=pytest.mark.slow),
        pytest.param("SIGHUP", 129, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_training_saves_and_ends_the_script(tmp_path, name, status):
    done = python(INTERRUPTED.format(name=name), tmp_path)
    assert done.returncode == status
    assert "went on" not in done.stdout
    assert ("interrupted" in done.stdout) == (name == "SIGINT")
    run = plausible.load(tmp_path / "r")
    assert run.stopped()["reason"] == name
    assert run.tick == run.stopped()["tick"]
