"""The rows whose labels a semi-supervised game sees: how many, which, in what order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import rows

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.game import Game, Loss, Turn
from plausible.training.labelled import LabelledRows, chosen
from plausible.training.trainer import Settings, Trainer


class Listener(Game):
    """Writes down what it is shown."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels, self.heard = labels, []
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def turns(self):
        return (Turn("listen", self.loss, [self]),)

    def loss(self, batch):
        self.heard.append(batch)
        return Loss({"none": self.weight * torch.ones(len(batch.x))})


def labelled(y: np.ndarray) -> Rows:
    x = np.arange(len(y), dtype=np.float32)[:, None].repeat(2, 1)
    return Rows(StoredRows("x", (x,), (2,), "real", y=y), np.arange(len(y)))


@given(st.integers(2, 6), st.integers(0, 30), st.integers(0, 5), st.integers(1, 4))
def test_the_choice_is_balanced_sorted_and_of_the_seed(classes, more, seed, spare):
    n = classes + more
    y = np.random.default_rng(0).permutation(np.tile(np.arange(classes), -(-n // classes) + spare))
    ids = chosen(y, n, seed)
    counts = np.bincount(y[ids], minlength=classes)
    assert len(np.unique(ids)) == len(ids) == n
    assert counts.max() - counts.min() <= 1
    assert (np.diff(ids) > 0).all()
    assert (ids == chosen(y, n, seed)).all()


def test_another_seed_chooses_others():
    y = np.tile(np.arange(4), 50)
    assert (chosen(y, 40, 0) != chosen(y, 40, 1)).any()


@pytest.mark.parametrize(
    ("y", "n", "says"),
    [
        (None, 4, "the data have none"),
        (np.array([0, 1, 2, 0]), 2, "one of each of the 3 classes"),
        (np.array([0, 0, 0, 1]), 4, "needs 2 rows of class 1, and the training rows have 1"),
    ],
)
def test_a_hopeless_choice_says_why(y, n, says):
    with pytest.raises(PlausibleError, match=says):
        chosen(y, n, 0)


def test_a_pass_shows_every_labelled_row_once():
    y = np.tile(np.arange(5), 20)
    few = LabelledRows(labelled(y), 20, 6, 1, 0)
    passed = [few.take(tick) for tick in (1, 2, 3)]
    seen = np.concatenate([x[:, 0] for x, _ in passed])
    assert len(set(seen)) == 18
    assert set(seen) <= set(few.ids)
    for x, labels in passed:
        assert (y[x[:, 0].astype(int)] == labels).all()
    assert (few.take(4)[0] != few.take(1)[0]).any()  # another pass, another order


def heard(labels: int, shards: int = 1, ticks: int = 2) -> list:
    data = labelled(np.tile(np.arange(5), 20))
    trainer = Trainer(Listener(labels), data, Settings(batch=10, shards=shards))
    for _ in range(ticks):
        trainer.play()
    return trainer.game.heard


def test_the_labels_of_the_other_rows_stay_hidden():
    assert all(batch.y is None and len(batch.labelled.y) == 10 for batch in heard(20))
    assert all(batch.labelled is None and len(batch.y) == 10 for batch in heard(0))


def test_shards_share_the_labelled_minibatch():
    whole, pieces = heard(20), heard(20, shards=2)
    for tick in range(2):
        parts = [batch.labelled.x for batch in pieces[2 * tick : 2 * tick + 2]]
        assert torch.equal(torch.cat(parts), whole[tick].labelled.x)


def test_fewer_labels_than_shards_is_an_error():
    with pytest.raises(PlausibleError, match="fewer shards"):
        LabelledRows(labelled(np.array([0, 1] * 5)), 2, 8, 3, 0)


def test_the_stream_follows_from_the_tick_alone():
    few = [LabelledRows(rows("points"), 40, 16, 1, 3) for _ in range(2)]
    few[0].take(1), few[0].take(2)
    assert all((a == b).all() for a, b in zip(few[0].take(7), few[1].take(7), strict=True))
