"""Helpers that several rooms' tests share lie in this folder (`from support import tiny`); scripts too."""

import os
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent))
import sketches

from plausible.report import sections, summary
from plausible.report.curves import plot_panel

savefig = Figure.savefig


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Feature networks are kept for this session of tests, for all its processes, and not in the user's cache."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        if "PLAUSIBLE_CACHE" not in os.environ:
            patch.setenv("PLAUSIBLE_CACHE", str(folder))
        yield


@pytest.fixture
def float64():
    """New tensors are float64, so that two ways to compute one thing agree to rounding of that."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module", autouse=True)
def sketched(request):
    """Figures are not drawn, except in a module with DRAWN = True: `sketches` writes fingerprints of them."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "DRAWN", False):
            patch.setattr(Figure, "savefig", sketches.savefig)
            for page in (sections, summary):
                patch.setattr(page, "plot_panel", sketches.plot_panel)
        yield


@pytest.fixture
def drawn(monkeypatch):
    """Figures are drawn, in a module whose other tests are `sketched`."""
    monkeypatch.setattr(Figure, "savefig", savefig)
    for page in (sections, summary):
        monkeypatch.setattr(page, "plot_panel", plot_panel)
