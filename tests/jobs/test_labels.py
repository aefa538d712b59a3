"""Samples of the classes that are asked for, by their labels."""

import numpy as np
import pytest
import torch
from PIL import Image
from support import CLASSES, CONDITIONAL, DOMAINS, opened, rows, tiny, tiny_options, train

from plausible.errors import PlausibleError
from plausible.jobs.sampling import BLOCK, sample_model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A GAN told the labels of images called three and seven."""
    folder = tmp_path_factory.mktemp("conditional")
    y = np.where(np.arange(40) % 4, 3, 7)
    np.savez(folder / "x.npz", x=rows("image").array(), y=y)
    options = tiny_options("gan", CONDITIONAL) | {"classes": 2, "batch": 8}
    return train("gan", str(folder / "x.npz"), out=folder / "run", epochs=1, **options)


def test_labels_go_by_name_and_else_by_number(run):
    assert opened(run).classes(["7", 3, "0", 1]) == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("labels", "n", "count"), [((7, 3), 5, 5), ((7, 3), None, 64), (("7", "3", "7"), None, 66)]
)
def test_labels_are_taken_in_turn(run, labels, n, count, tmp_path):
    opened(run).sample(n, out=tmp_path / "x.npy", label=labels, seed=4)
    y = torch.tensor([int(label) == 7 for label in labels] * count, dtype=torch.int64)[:count]
    expected = sample_model(opened(run).model, count, seed=4, y=y)
    assert np.array_equal(np.load(tmp_path / "x.npy"), expected.numpy())


def test_a_picture_has_a_column_for_each_label(run, tmp_path):
    opened(run).sample(7, out=tmp_path / "two.png", label=["3", "7"])
    opened(run).sample(9, out=tmp_path / "one.png", label="7")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.text["Description"] == "7 images, one column per label: 3, 7"
        assert two.height > 1.9 * two.width  # 2 columns, 4 rows
        assert one.height == one.width


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": "5"}, "label 5.*no such label: there is 3, 7"),
        ({"label": ["3", "cat"]}, "label cat"),
        ({"label": []}, "at least|one label or more"),
    ],
)
def test_labels_that_cannot_be_are_named(run, options, said, tmp_path):
    with pytest.raises(PlausibleError, match=said):
        opened(run).sample(out=tmp_path / "x.npy", **options)
    assert not list(tmp_path.iterdir())


def test_a_label_of_a_run_that_knows_none_is_refused(tmp_path):
    tiny_gan = tiny_options("gan", "default")
    plain = train("gan", "digits", out=tmp_path / "plain", epochs=0.1, **tiny_gan)
    with pytest.raises(PlausibleError, match="not conditional"):
        opened(plain).sample(out=tmp_path / "x.npy", label=3)
    np.save(tmp_path / "x.npy", rows("points").array())
    bare = train("gan", str(tmp_path / "x.npy"), out=tmp_path / "bare", epochs=0.1, batch=8, **tiny_gan)
    with pytest.raises(PlausibleError, match="no labels"):
        opened(bare).sample(out=tmp_path / "y.npy", label=3)


def test_draws_in_blocks_keep_each_samples_class():
    model = tiny("gan", CONDITIONAL, *DOMAINS["image"])
    asked, sample = [], model.sample
    model.sample = lambda n, *, y: asked.append(y) or sample(n, y=y)
    y = torch.arange(2 * BLOCK + 7) % CLASSES
    assert len(sample_model(model, len(y), y=y)) == len(y)
    assert torch.equal(torch.cat(asked), y)
    with pytest.raises(PlausibleError, match="one for each"):
        sample_model(model, 3, y=y)
