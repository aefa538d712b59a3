"""Helpers that several rooms' tests share lie in this folder (`from support import tiny`); scripts too."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def float64():
    """New tensors are float64, so that two ways to compute one thing agree to rounding of that."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
