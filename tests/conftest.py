"""Helpers that several rooms' tests share lie in this folder (`from support import tiny`); scripts too."""

import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent))
import sketches

savefig = Figure.savefig


@pytest.fixture
def float64():
    """New tensors are float64, so that two ways to compute one thing agree to rounding of that."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def sketched():
    """Figures are not drawn: `sketches.savefig` writes fingerprints of what they show. For tests of other things."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", sketches.savefig)
        yield


@pytest.fixture
def drawn(monkeypatch):
    """Figures are drawn, in a module whose other tests are `sketched`."""
    monkeypatch.setattr(Figure, "savefig", savefig)
