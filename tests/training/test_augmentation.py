"""Augmented minibatches: pictures moved and mirrored by seed and tick alone, never the rows that judge."""

import numpy as np
import pytest

import plausible
from plausible import cli
from plausible.errors import PlausibleError
from plausible.training.augmentation import augmented, parse_augmentations

RNG = np.random.default_rng(3)
X = RNG.random((200, 3, 16, 24)).astype(np.float32)


def test_half_of_the_pictures_are_mirrored():
    found = augmented(X, ("flip",), 1)
    same = (found == X).all((1, 2, 3))
    mirrored = (found == X[..., ::-1]).all((1, 2, 3))
    assert (same | mirrored).all()
    assert 70 < mirrored.sum() < 130
    assert found.flags.c_contiguous


def test_pictures_move_by_at_most_an_eighth_and_edges_are_repeated():
    found = augmented(X, ("shift",), 1)
    padded = np.pad(X, ((0, 0), (0, 0), (2, 2), (3, 3)), mode="edge")
    moves = set()
    for i in range(len(X)):
        here = [
            (dy, dx)
            for dy in range(5)
            for dx in range(7)
            if (padded[i, :, dy : dy + 16, dx : dx + 24] == found[i]).all()
        ]
        assert len(here) == 1
        moves |= set(here)
    assert len(moves) > 25


def test_what_is_done_follows_from_the_seed():
    both = ("flip", "shift")
    np.testing.assert_array_equal(augmented(X, both, 5), augmented(X, both, 5))
    assert (augmented(X, both, 5) != augmented(X, both, 6)).any()
    assert augmented(X, (), 5) is X


def test_names():
    assert parse_augmentations("shift, flip") == ("flip", "shift")
    with pytest.raises(PlausibleError, match="--augment turn: choose among flip, shift"):
        parse_augmentations(["turn"])


def trained(folder, **how):
    small = {"encoder": (8,), "decoder": (8,), "latent": 2, "batch": 100, "augment": "flip,shift", "keep": 0}
    return plausible.train("vae", "digits", out=folder, progress=False, show=False, **small | how)


def weights(run):
    return sorted((run.path / "checkpoints").iterdir())[-1].joinpath("model.safetensors").read_bytes()


def test_a_resumed_training_is_the_same_and_an_unchanged_one_is_not(tmp_path):
    whole = trained(tmp_path / "whole", epochs=1.5)
    part = trained(tmp_path / "part", epochs=0.4)
    part.resume(epochs=1.5, progress=False)
    assert weights(whole) == weights(part)
    assert whole.config.training.augment == ("flip", "shift")
    assert weights(trained(tmp_path / "plain", epochs=1.5, augment=None)) != weights(whole)
    again = plausible.train(like=whole, out=tmp_path / "again", progress=False, show=False)
    assert weights(again) == weights(whole)
    with pytest.raises(PlausibleError, match="cannot change on the way"):
        part.resume(epochs=2, set={"augment": "flip"}, progress=False)


def test_two_shards_are_changed_each_in_its_own_way(tmp_path):
    run = trained(tmp_path / "r", epochs=0.2, shards=2)
    assert run.config.training.augment == ("flip", "shift")


def test_tables_are_refused_and_the_command_line_takes_names_joined_by_commas(tmp_path, capsys):
    with pytest.raises(PlausibleError, match="--augment flip changes pictures"):
        plausible.train("gan", "ring", augment="flip", out=tmp_path / "t", progress=False)
    assert not (tmp_path / "t").exists()
    words = ["--data", "digits", "--epochs", "0.1", "--encoder", "8", "--decoder", "8", "--augment", "shift"]
    assert cli.main(["train", "vae", *words, "--out", str(tmp_path / "r")]) == 0
    assert "augmented by shift" in capsys.readouterr().err
