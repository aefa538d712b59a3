"""Models trained on the codes of a trained coder, `train --codes-of RUN`."""

import json
import shutil

import numpy as np
import pytest
import torch
from killed import files
from support import opened, same, train

import plausible
from plausible.capabilities import CodeDensity, Density, supports
from plausible.cli import main
from plausible.data import load
from plausible.errors import PlausibleError
from plausible.jobs.session import trainer_of
from plausible.metrics.scoring import SCORES, scorable
from plausible.models.latent import Latent
from plausible.runs import RunFolder
from plausible.training.distributed import World

CODER = {"encoder": (12,), "decoder": (12,), "latent": 3, "epochs": 2, "show": False}
FLOW = {"hidden": 8, "layers": 1, "show": False}


@pytest.fixture(scope="module")
def coder(tmp_path_factory):
    return train("autoencoder", "digits", out=tmp_path_factory.mktemp("coder") / "ae", **CODER)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return train("vae", "digits:binary", out=tmp_path_factory.mktemp("coder") / "vae", **CODER)


@pytest.fixture(scope="module")
def flow(coder, tmp_path_factory):
    """Of a coder whose run is gone."""
    folder = tmp_path_factory.mktemp("flow")
    shutil.copytree(coder.path, folder / "gone")
    run = train("flow-matching", codes_of=folder / "gone", out=folder / "flow", epochs=2, **FLOW)
    shutil.rmtree(folder / "gone")
    return run


def images(n=20):
    return load("digits").test.take(np.arange(n))[0]


def trainer(run, data="digits"):
    config = run.config()
    return trainer_of(config, load(data), World(), 1, opened(run)._own, run.weights_file)


# ------------------------------------------------------------------ what it is
def test_samples_are_pictures_of_the_coders_data(flow):
    run = opened(flow)
    assert isinstance(run.model, Latent)
    assert run.sample(5).shape == (5, 1, 8, 8)
    assert run.latent == 3
    assert run.config.model.preset == "vectors"
    assert run.config.training.batch == 256


def test_codes_and_reconstructions_are_the_coders_bit_for_bit(coder, flow):
    x = images()
    for verb in ("encode", "reconstruct"):
        assert np.array_equal(getattr(opened(flow), verb)(x), getattr(opened(coder), verb)(x))


def test_the_codes_are_the_means_standardised_by_the_training_rows(flow):
    model = opened(flow).model
    codes = model.coder.encode(torch.from_numpy(load("digits").train.array()))
    torch.testing.assert_close(model.standard.mean, codes.mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(model.standard.deviation, codes.std(0, correction=0), rtol=1e-5, atol=0)


def test_samples_of_binary_data_are_binary(vae, tmp_path):
    run = train("flow-matching", codes_of=vae, out=tmp_path / "x", epochs=1, **FLOW)
    assert set(np.unique(opened(run).sample(50))) == {0, 1}


def test_a_table_comes_back_as_a_table(tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": rng.normal(5, 2, 200), "word": rng.choice(["a", "b"], 200)})
    coder = plausible.train("vae", table, out=tmp_path / "vae", progress=False, **CODER)
    run = plausible.train(
        "flow-matching", codes_of=coder, out=tmp_path / "flow", epochs=1, progress=False, **FLOW
    )
    samples = run.sample(30)
    assert list(samples.columns) == ["size", "word"]
    assert set(samples["word"]) <= {"a", "b"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("copula", {}),
        pytest.param("rnade", {"hidden": 8}, marks=pytest.mark.slow),
        ("gan", {"generator": (8,), "discriminator": (8,)}),
        ("vae", {"latent": 2, "encoder": (8,), "decoder": (8,)}),
    ],
)
def test_other_models_of_real_vectors_learn_codes_too(name, options, coder, tmp_path):
    run = opened(train(name, codes_of=coder, out=tmp_path / "x", epochs=1, show=False, **options))
    assert run.sample(4).shape == (4, 1, 8, 8)
    best = run.folder.best()
    assert (best is None) == (
        name == "gan"
    )  # nothing says which state of a GAN is better, the fixed coder least


def test_classes_are_the_models_and_codes_may_be_an_aaes(tmp_path):
    coder = train("aae", "digits", out=tmp_path / "aae", **CODER, discriminator=(8,))
    run = opened(
        train("flow-matching", codes_of=coder, classes=10, guidance=2, out=tmp_path / "x", epochs=1, **FLOW)
    )
    assert run.sample(6, label="3").shape == (6, 1, 8, 8)
    assert len(run.model.inner.classes.log_share) == 10
    assert not np.array_equal(run.sample(6, label="3"), run.sample(6, label="4"))


# ------------------------------------------------------------------ law 1
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_moves_the_model_and_not_the_coder(flow, precision, tmp_path):
    options = {"epochs": 0.5, "precision": precision, "ema": 0.9}
    run = train(like=flow, out=tmp_path / "x", show=False, **options)
    one = trainer(run)
    before = {name: value.clone() for name, value in one.game.state_dict().items()}
    for _ in range(11):
        one.play()
    moved = {name for name, value in one.game.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {f"inner.{name}" for name, _ in one.game.inner.named_parameters()}
    for name, value in one.average.state.items():
        if name.startswith("coder."):
            assert torch.equal(value, before[name])
    assert not any(module.training for module in one.game.coder.modules())


# ------------------------------------------------------------------ laws 2 and 3
def test_a_saved_run_gives_the_same_samples_again(flow, tmp_path):
    shutil.copytree(flow.path, tmp_path / "copy")
    assert same(
        torch.as_tensor(opened(flow).sample(9)),
        torch.as_tensor(opened(RunFolder(tmp_path / "copy")).sample(9)),
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_is_an_uninterrupted_one_though_the_coders_run_is_gone(precision, coder, tmp_path):
    options = FLOW | {"precision": precision, "batch": 300}
    shutil.copytree(coder.path, tmp_path / "ae")
    whole = train("flow-matching", codes_of=tmp_path / "ae", out=tmp_path / "whole", epochs=4, **options)
    parts = train("flow-matching", codes_of=tmp_path / "ae", out=tmp_path / "parts", epochs=1.25, **options)
    shutil.rmtree(tmp_path / "ae")
    plausible.load(parts.path).resume(epochs=4, progress=False)
    for name, content in files(whole.newest_valid().path).items():
        if name.endswith(".safetensors"):
            assert files(parts.newest_valid().path)[name] == content, name


def test_killed_before_its_first_checkpoint_it_begins_anew_with_the_coder(flow, tmp_path):
    shutil.copytree(flow.path, tmp_path / "killed")
    for point in RunFolder(tmp_path / "killed").checkpoints():
        shutil.rmtree(point.path)
    (tmp_path / "killed" / "best.json").unlink()
    again = plausible.load(tmp_path / "killed").resume(epochs=2, progress=False).folder
    expected = (flow.newest_valid().path / "model.safetensors").read_bytes()
    assert (again.newest_valid().path / "model.safetensors").read_bytes() == expected


def test_settings_may_change_on_the_way(flow, tmp_path):
    shutil.copytree(flow.path, tmp_path / "x")
    run = plausible.load(tmp_path / "x").resume(epochs=3, set={"lr": 1e-4}, progress=False)
    assert run.tick > opened(flow).tick or run.folder.newest_valid().tick > flow.newest_valid().tick
    assert np.array_equal(run.encode(images()), opened(flow).encode(images()))


def test_a_repeated_run_has_the_same_coder(flow, tmp_path):
    for weights in (False, True):
        run = train(like=flow, weights=weights, out=tmp_path / str(weights), epochs=1, show=False)
        assert run.config().coder == flow.config().coder
        assert np.array_equal(opened(run).encode(images()), opened(flow).encode(images()))


# ------------------------------------------------------------------ scores
def test_the_score_is_the_density_of_the_code_and_says_so(flow):
    said = []
    run = opened(flow)
    scores = run.score(images(), say=said.append)
    assert "log-density of each row's code, not of the row" in said[0]
    codes = run.encode(images())
    mean, unit = (value.numpy() for value in (run.model.standard.mean, run.model.standard.deviation))
    inner = run.model.inner.log_prob(torch.from_numpy((codes - mean) / unit))
    np.testing.assert_allclose(scores, inner.numpy() - np.log(unit).sum(), atol=1e-3)
    assert not supports(run.model, Density)
    assert not SCORES["log_prob"].fits(run.model)
    with pytest.raises(PlausibleError, match="has no density"):
        run.score(images(), by="log_prob")


def test_without_a_density_of_codes_that_score_is_refused_and_the_reconstruction_taken(coder, tmp_path):
    options = {"generator": (8,), "discriminator": (8,), "show": False}
    run = opened(train("gan", codes_of=coder, out=tmp_path / "x", epochs=1, **options))
    assert not supports(run.model, CodeDensity)
    assert scorable(run.model)[0] == "reconstruction"
    assert np.array_equal(run.score(images()), opened(coder).score(images()))
    with pytest.raises(PlausibleError, match="no density of codes"):
        run.score(images(), by="code")


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("model", "data", "says"),
    [
        ("flow-matching", "digits:binary", "takes unit values of shape"),
        ("flow-matching", "ring", "takes unit values of shape"),
        ("nade", "digits", "takes no real vectors"),
        ("pixelcnn", "digits", "real"),
    ],
)
def test_what_does_not_fit_is_refused(model, data, says, coder, tmp_path):
    with pytest.raises(PlausibleError, match=says):
        train(model, data, codes_of=coder, out=tmp_path / "x", epochs=1)
    assert not (tmp_path / "x").exists()


def test_runs_without_codes_are_refused(flow, tmp_path):
    gan = train(
        "gan", "digits", out=tmp_path / "gan", epochs=0.1, generator=(8,), discriminator=(8,), show=False
    )
    with pytest.raises(
        PlausibleError, match="gan has no encoder and decoder of codes: name a run of autoencoder"
    ):
        train("flow-matching", codes_of=gan, out=tmp_path / "x")
    with pytest.raises(PlausibleError, match="learns codes itself"):
        train("flow-matching", codes_of=flow, out=tmp_path / "x")
    with pytest.raises(PlausibleError, match=r"no run|not a run"):
        train("flow-matching", codes_of=tmp_path / "nowhere", out=tmp_path / "x")
    told = train("vae", "digits", out=tmp_path / "told", classes=10, **CODER)
    with pytest.raises(PlausibleError, match="train one without --classes"):
        train("flow-matching", codes_of=told, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_coder_with_a_network_of_ones_own_is_refused(tmp_path):
    options = CODER | {"encoder": torch.nn.Linear(64, 3)}
    own = train("autoencoder", "digits", out=tmp_path / "own", **options)
    with pytest.raises(PlausibleError, match="its encoder is a network of your own"):
        train("flow-matching", codes_of=own, out=tmp_path / "x")


# ------------------------------------------------------------------ the command line
def test_the_command_line_trains_on_codes(coder, tmp_path, capsys):
    words = ["train", "flow-matching", "--codes-of", str(coder.path), "--out", str(tmp_path / "x")]
    assert main([*words, "--epochs", "1", "--hidden", "8", "--layers", "1", "--quiet"]) == 0
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    assert config["coder"]["name"] == "autoencoder"
    assert str(coder.path) in config["coder"]["origin"]
    assert config["data"]["spec"] == "digits"
    assert "flow-matching on codes of autoencoder on digits" in repr(plausible.load(tmp_path / "x"))
