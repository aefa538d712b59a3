"""`verify` on two real variables without conditionals: a Gaussian passes, with every mistake it fails, and why."""

import math

import pytest
import torch
from support import opened, train

from plausible.game import GenerativeModel
from plausible.jobs.verify import verify
from plausible.models.flow_matching import FlowMatching
from plausible.verification.plane import check_plane
from plausible.verification.twins import real_twin

INTEGRAL, SAMPLES = "integrates to one", "samples follow the density"


class Gaussian(GenerativeModel):
    """N(0, 1) and N(5, 4²), independent; log_prob may be off by a number, and samples be of another width."""

    def __init__(self, off=0.0, width=1.0):
        super().__init__((2,), "real")
        self.off, self.width = off, width

    def log_prob(self, x):
        z = (x - torch.tensor([0.0, 5.0])) / torch.tensor([1.0, 4.0])
        return -0.5 * z.square().sum(1) - math.log(2 * math.pi) - math.log(4) + self.off

    def sample(self, n, *, y=None):
        return torch.randn(n, 2) * self.width * torch.tensor([1.0, 4.0]) + torch.tensor([0.0, 5.0])


def failing(model):
    torch.manual_seed(0)
    findings = check_plane(model)
    assert [finding.claim for finding in findings] == [INTEGRAL, SAMPLES]
    return [finding.claim for finding in findings if not finding.holds]


def test_a_density_passes():
    assert failing(Gaussian()) == []


def test_what_is_wrong_is_named():
    assert failing(Gaussian(off=0.002)) == [INTEGRAL]
    assert failing(Gaussian(width=1.2)) == [SAMPLES]


class HalfTheChange(FlowMatching):
    """Takes half of the divergence."""

    def _log_density(self, x, probes, *how):
        return super()._log_density(x, probes / math.sqrt(2), *how)


class Backwards(FlowMatching):
    """Samples by the field of other noise."""

    def sample_prior(self, n):
        return super().sample_prior(n) * 1.3


class Peaks(GenerativeModel):
    """Nine peaks of width .01, or eight of them as far as its samples know."""

    centres = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 2)

    def __init__(self, sampled=9):
        super().__init__((2,), "real")
        self.sampled = sampled

    def log_prob(self, x):
        away = ((x[:, None] - self.centres) / 0.01).square().sum(2)
        return (-0.5 * away - math.log(2 * math.pi * 1e-4 * 9)).logsumexp(1)

    def sample(self, n, *, y=None):
        return self.centres[torch.randint(self.sampled, (n,))] + 0.01 * torch.randn(n, 2)


def test_narrow_peaks_are_found_where_the_samples_are():
    assert failing(Peaks()) == []
    assert failing(Peaks(sampled=8)) != []


@pytest.mark.parametrize(("kind", "wrong"), [(HalfTheChange, INTEGRAL), (Backwards, SAMPLES)])
def test_a_broken_flow_is_found(kind, wrong):
    torch.manual_seed(0)
    assert wrong in failing(real_twin(kind, (2,), {}))


def test_a_flow_holds():
    found = verify("flow-matching")
    assert found.holds
    assert [(finding.about, finding.holds) for finding in found.findings] == [
        ("twin of 1", True), ("twin of 2", None), ("twin of 2", True), ("twin of 2", True)
    ]  # fmt: skip


@pytest.mark.slow
def test_a_run_that_is_told_labels_holds(tmp_path):
    run = train("flow-matching", "ring", out=tmp_path / "run", epochs=0.1, classes=8, hidden=8, layers=1)
    found = verify(opened(run))
    assert {finding.about for finding in found.findings} == {"run", "twin of 1", "twin of 2"}
    assert found.holds
