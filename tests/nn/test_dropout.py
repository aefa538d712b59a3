"""Dropout by bytes: the share that it drops, the mean that it keeps, and each unit apart from its neighbours."""

import pytest
import torch

from plausible.nn.dropout import drop_units


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_it_drops_its_share_and_keeps_the_mean(share):
    torch.manual_seed(0)
    x = torch.ones(1003, 101)
    found = drop_units(x, share)
    dropped = (found == 0).float()
    assert float(dropped.mean()) == pytest.approx(share, abs=0.005)
    assert found.unique().numel() == 2
    assert float(found.mean()) == pytest.approx(1, abs=0.01)
    assert torch.corrcoef(torch.stack([dropped.flatten()[:-1], dropped.flatten()[1:]]))[0, 1].abs() < 0.02


def test_none_is_dropped_where_the_share_is_none():
    x = torch.randn(5, 3)
    assert drop_units(x, 0.0) is x
