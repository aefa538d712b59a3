"""Models that are told the labels, and the one mechanism that tells them."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from support import (
    CLASSES,
    CONDITIONAL,
    DOMAINS,
    HOME,
    conditional,
    play,
    recipe_at,
    rows,
    tiny,
    tiny_options,
    train,
)
from torch.distributions import Categorical as Dist
from torch.distributions import Independent, MixtureSameFamily, Normal
from torch.nn.functional import one_hot

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.jobs.sampling import sample_model
from plausible.metrics.quadrature import exact_log_prob
from plausible.models.condition import Classes
from plausible.models.registry import MODELS
from plausible.models.vae import MixturePrior
from plausible.training.trainer import Settings, Trainer

TOLD = [name for name in MODELS if conditional(name)]
CODERS = ["vae", "aae"]
every_told = pytest.mark.parametrize("name", TOLD)


def labelled(domain, y):
    """The rows of a domain with other labels, or none."""
    x = rows(domain).array()
    kind = DOMAINS[domain][1]
    return Rows(StoredRows(domain, (x,), x.shape[1:], kind, y=y), np.arange(len(x)))


def told(name, domain=None, preset=CONDITIONAL, **options):
    """A prepared tiny model with CLASSES classes, its rows and their labels."""
    domain = domain or HOME[name]
    model = tiny(name, preset, *DOMAINS[domain], **options)
    model.prepare(rows(domain))
    x, y = rows(domain).take(np.arange(16))
    return model.eval(), torch.from_numpy(x), torch.from_numpy(y)


def counted(*counts):
    """Classes so many of which were met."""
    classes = Classes(len(counts))
    classes.prepare(labelled("binary", np.repeat(np.arange(len(counts)), counts)))
    return classes


# ---------------------------------------------------------------------- the mechanism
def test_shares_are_counted_and_drawn():
    classes = counted(25, 5, 0, 10)
    np.testing.assert_allclose(classes.log_share.exp(), [0.625, 0.125, 0, 0.25])
    torch.manual_seed(0)
    drawn = classes.sampled(None, 10_000)
    assert bool((drawn.sum(1) == 1).all())
    shares = torch.tensor([0.625, 0.125, 0, 0.25])
    assert ((drawn.mean(0) - shares).abs() <= 6 * (shares * (1 - shares) / 10_000).sqrt()).all()


def test_nothing_is_drawn_where_there_is_nothing_to_draw():
    torch.manual_seed(3)
    assert Classes(0).sampled(None, 5).shape == (5, 0)
    assert counted(20, 20).sampled(torch.tensor([1, 0]), 2).tolist() == [[0, 1], [1, 0]]
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)


@given(
    st.integers(1, 4).flatmap(
        lambda k: st.tuples(
            st.lists(st.integers(0, 9), min_size=k, max_size=k).filter(any),
            st.lists(st.lists(st.floats(-200, 50), min_size=k, max_size=k), min_size=1, max_size=3),
        )
    )
)
@settings(max_examples=50, deadline=None)
def test_sums_over_y_are_the_explicit_ones(case):
    counts, logs = case
    counts = np.array(counts) * 1.0
    table = torch.tensor(logs, dtype=torch.float32)
    classes = Classes(len(counts))
    classes.log_share.copy_(
        torch.from_numpy(np.log(counts / counts.sum(), where=counts > 0, out=np.full(len(counts), -np.inf)))
    )

    def value(y):
        return (table * y).sum(1)

    n, shares = len(table), counts / counts.sum()
    expected = logsumexp(table.double().numpy(), axis=1, b=shares)
    np.testing.assert_allclose(classes.marginalize(value, n), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        classes.expectation(value, n), table.double().numpy() @ shares, rtol=1e-4, atol=1e-4
    )
    best = classes.argmax(value, n).argmax(1)
    joint = classes.log_share + table
    assert torch.equal(joint[torch.arange(n), best], joint.amax(1))
    assert (counts[best] > 0).all(), "what was never met is never likeliest"


def test_without_classes_there_is_nothing_to_sum_over():
    given, none = torch.rand(3), Classes(0)
    for method in (none.marginalize, none.expectation):
        assert method(lambda y: given + y.sum(1), 3) is not None
        assert torch.equal(method(lambda y: given + y.sum(1), 3), given)
    x = torch.rand(3, 2)
    assert none.concatenate(x, none.one_hot(None, 3)) is x
    assert not none.state_dict()


# ---------------------------------------------------------------------- what every such model promises
@every_told
def test_without_classes_it_is_what_it_was(name):
    """Runs from before there were classes must load, and play on as they did."""
    model = tiny(name, "default", *DOMAINS[HOME[name]])
    assert not [key for key in model.state_dict() if "classes" in key or "log_share" in key]
    assert [key for key in told(name)[0].state_dict() if "log_share" in key]
    for labels in (rows(HOME[name]).y, None):
        torch.manual_seed(0)
        model.prepare(labelled(HOME[name], labels))
        x = torch.from_numpy(rows(HOME[name]).array()[:8])
        y = None if labels is None else torch.from_numpy(labels[:8])
        torch.manual_seed(0)
        losses = [float(turn.loss(Batch(x, y, tick=1)).total().detach()) for turn in model.turns()]
        if labels is not None:
            expected = losses
    assert losses == expected


@every_told
def test_what_labels_cannot_be_is_said(name, tmp_path):
    domain = HOME[name]
    model, x, _ = told(name)
    for data, named in [
        (labelled(domain, None), ["--classes 10 needs labels", "--classes 0"]),
        (labelled(domain, rows(domain).y + 3), ["--classes 10", "go to 12", "--classes 13"]),
    ]:
        with pytest.raises(PlausibleError) as caught:
            model.prepare(data)
        assert all(part in str(caught.value) for part in named), caught.value
    for wrong in ([0, 10], [0, -1], [0.0, 1.0], [1], [1, 2, 3]):
        with pytest.raises(PlausibleError, match="2 whole numbers from 0 to 9"):
            model.sample(2, y=torch.tensor(wrong))
    with pytest.raises(PlausibleError, match="conditional: give the labels"):
        model.turns()[0].loss(Batch(x, tick=1))
    np.save(tmp_path / "x.npy", rows(domain).array())
    with pytest.raises(PlausibleError, match="needs labels"):
        train(name, str(tmp_path / "x.npy"), out=tmp_path / "run", **tiny_options(name, CONDITIONAL))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [*TOLD, "autoencoder"])
def test_a_label_for_what_is_not_conditional_is_refused(name):
    with pytest.raises(PlausibleError, match="not conditional"):
        tiny(name, "default", *DOMAINS[HOME[name]]).sample(2, y=torch.zeros(2, dtype=torch.int64))


@every_told
def test_samples_depend_on_y_and_on_the_seed_alone(name):
    model, _, _ = told(name)
    for parameter in model.parameters():
        parameter.data.mul_(3)

    def drawn(*y):
        return sample_model(model, 20, seed=1, y=torch.tensor(y).repeat(10))

    assert torch.equal(drawn(3, 8), drawn(3, 8))
    assert not torch.equal(drawn(3, 8)[::2], drawn(8, 3)[::2])
    if model.domain != "binary":
        assert torch.equal(drawn(3, 8)[::2], drawn(3, 5)[::2]), "another row's class says nothing of this one"


# ---------------------------------------------------------------------- a GAN
@pytest.mark.parametrize(
    ("preset", "domain"), [*product(("default", "tutorial", "dcgan"), ("image", "photo"))]
)
def test_data_and_fakes_are_judged_with_the_batchs_own_labels(preset, domain):
    gan, x, y = told("gan", domain, preset, classes=CLASSES)
    seen, judge = [], gan.discriminate
    gan.discriminate = lambda both: seen.append(both) or judge(both)
    gan.discriminator_loss(Batch(x, y))
    gan.generator_loss(Batch(x, y))
    labels = torch.cat(seen)[:, -CLASSES:].argmax(1).detach()
    assert len(labels) >= 48
    assert torch.equal(labels, y.repeat(len(labels) // 16))


@pytest.mark.parametrize("domain", ["image", "photo"])
def test_penalties_are_slopes_in_x_alone(domain):
    gan, x, y = told("gan", domain)
    terms = gan.discriminator_loss(Batch(x, y)).terms
    pair = torch.cat([x.flatten(1), one_hot(y, CLASSES)], 1).requires_grad_()
    (slope,) = torch.autograd.grad(gan.discriminate(pair).sum(), pair)
    assert slope[:, -CLASSES:].abs().min(0).values.max() > 0
    torch.testing.assert_close(terms["R1"].detach(), slope[:, :-CLASSES].square().sum(1) / 2)


@pytest.mark.parametrize("domain", ["image", "photo"])
def test_a_critic_and_its_features_are_over_all_classes(domain):
    gan, x, _ = told("gan", domain)
    gan.classes.log_share.copy_(torch.rand(CLASSES).log_softmax(0))
    every = [torch.cat([x.flatten(1), torch.eye(CLASSES)[k].expand(16, -1)], 1) for k in range(CLASSES)]
    with torch.no_grad():
        logits = torch.stack([gan.discriminate(pair) for pair in every], 1)
        features = torch.stack([gan.discriminator[:-1](pair) for pair in every])
    torch.testing.assert_close(gan.criticise(x), (gan.classes.log_share + logits).logsumexp(1))
    shares = gan.classes.log_share.exp()
    torch.testing.assert_close(gan.features(x), (shares[:, None, None] * features).sum(0))


# ---------------------------------------------------------------------- models with a code
@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize("domain", ["points", "binary", "photo"])
def test_what_comes_back_is_of_the_likeliest_class(name, domain):
    model, x, y = told(name, domain)
    model.classes.log_share.copy_(torch.rand(CLASSES).log_softmax(0))
    for parameter in model.decoder.parameters():
        parameter.data.mul_(2)
    z = model.encode(x)
    every = torch.stack([model.decode(z, torch.full((16,), k)) for k in range(CLASSES)])
    labels = [torch.eye(CLASSES)[k].expand(16, -1) for k in range(CLASSES)]
    prior = torch.zeros(16, CLASSES)
    if name == "vae":
        prior = torch.stack([model.prior.log_prob(z, y).detach() for y in labels], 1)
    shares = (model.classes.log_share + prior).softmax(1).T
    mean = (shares.view(*shares.shape, *[1] * (every.dim() - 2)) * every).sum(0)
    torch.testing.assert_close(model.decode(z), mean, rtol=1e-4, atol=1e-4)
    inner = model.scaling.inward(x)
    with torch.no_grad():
        raw = [model.decoder(torch.cat([z, y], 1)) for y in labels]
        joint = prior + torch.stack([model.observation.log_prob(each, inner).sum(1) for each in raw], 1)
    best = (joint + model.classes.log_share).argmax(1)
    assert len(best.unique()) > 1 or domain == "photo"
    torch.testing.assert_close(model.reconstruct(x), every[best, torch.arange(16)])
    with pytest.raises(PlausibleError, match="whole numbers"):
        model.decode(z, y + 1)


@pytest.mark.parametrize("name", CODERS)
def test_training_is_told_the_rows_own_class(name):
    model, x, y = told(name, "points")
    torch.manual_seed(0)
    terms = model.turns()[0].loss(Batch(x, y, tick=1)).terms
    torch.manual_seed(0)
    inner = model.scaling.inward(x)
    with torch.no_grad():
        mean, deviation = model.posterior(x) if name == "vae" else (model.encode(x), torch.zeros(()))
        z = mean + deviation * torch.randn_like(mean)
        raw = model.decoder(torch.cat([z, one_hot(y, CLASSES)], 1))
        expected = -model.observation.log_prob(raw, inner).sum(1)
    torch.testing.assert_close(terms["reconstruction"].detach(), expected)


@pytest.mark.parametrize("preset", ["default", "normal"])
def test_a_conditional_vaes_densities_are_summed_over_the_classes(preset):
    model, x, _ = told("vae", "points", preset, classes=CLASSES)
    model.classes.log_share.copy_(torch.rand(CLASSES).log_softmax(0))
    for parameter in model.prior.parameters():
        parameter.data.normal_()
    z, labels = torch.randn(16, model.latent), [torch.eye(CLASSES)[k].expand(16, -1) for k in range(CLASSES)]
    with torch.no_grad():
        raw = [model.decoder(torch.cat([z, y], 1)) for y in labels]
        inner = model.scaling.inward(x)
        observed = torch.stack([model.observation.log_prob(each, inner).sum(1) for each in raw], 1)
        prior = torch.stack([model.prior.log_prob(z, y) for y in labels], 1)
        joint = (model.classes.log_share + observed + prior).logsumexp(
            1
        ) - model.scaling.deviation.log().sum()
        torch.testing.assert_close(model.log_joint(x, z), joint, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(model.log_prior(z), (model.classes.log_share + prior).logsumexp(1))


def test_a_conditional_mixture_is_a_mixture_for_each_class():
    prior = MixturePrior(3, 2, classes=2)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([[5.0, 0, -5], [-5, 0, 5]]))
        prior.means.copy_(torch.tensor([[-9.0, 0], [0, 0], [9, 0]]))
    torch.manual_seed(0)
    z = torch.randn(7, 2)
    for label, logits in enumerate(prior.logits.detach()):
        y = one_hot(torch.full((7,), label), 2).float()
        mixture = MixtureSameFamily(
            Dist(logits=logits), Independent(Normal(prior.means, prior.log_deviations.exp()), 1)
        )
        torch.testing.assert_close(prior.log_prob(z, y), mixture.log_prob(z))
        drawn = prior.sample(4000, 2, y[:1].expand(4000, -1)).detach()
        at = (drawn[:, :1] - prior.means[:, 0]).abs().argmin(1)
        shares = logits.softmax(0)
        found = one_hot(at, 3).float().mean(0)
        assert ((found - shares).abs() <= 6 * (shares * (1 - shares) / 4000).sqrt() + 1e-4).all()


def test_a_conditional_vae_sums_to_one():
    model = tiny("vae", CONDITIONAL, (4,), "binary", latent=1, classes=3)
    model.classes.log_share.copy_(torch.tensor([0.5, 0.2, 0.3]).log())
    for parameter in model.decoder.parameters():
        parameter.data.mul_(4)
    every = torch.tensor(list(product((0.0, 1.0), repeat=4)))
    probability = exact_log_prob(model, every).values.exp()
    assert math.isclose(float(probability.sum()), 1, abs_tol=1e-3)
    assert float(probability.std()) > 0.02, "far from uniform"


def test_an_adversarial_autoencoders_discriminator_is_told_too():
    aae, x, y = told("aae")
    seen, judge = [], aae.discriminate
    aae.discriminate = lambda both: seen.append(both) or judge(both)
    aae.discriminator_loss(Batch(x, y))
    aae.generator_loss(Batch(x, y))
    assert torch.equal(torch.cat(seen)[:, -CLASSES:].argmax(1), y.repeat(3))


# ---------------------------------------------------------------------- trained
WIDE = {
    "gan": {"generator": (64,), "discriminator": (64,), "latent": 4},
    "vae": {"encoder": (32,), "decoder": (32,), "latent": 1},
    "aae": {"encoder": (32,), "decoder": (32,), "discriminator": (32,), "latent": 1},
}
RATES = {"gan": 2e-3, "vae": 1e-2, "aae": 1e-2}


@pytest.mark.parametrize("name", WIDE)
def test_it_learns_which_class_is_where(name):
    """Two far parallel lines with a quarter and three quarters of the rows: y says which, and z is left to say where.

    Samples without y are of both.
    """
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 4 == 0).astype(np.int64)
    along, side = rng.normal(0, 10, 400), np.where(y, 10, -10) + rng.normal(0, 1, 400)
    x = np.stack([side + along, side - along], 1).astype(np.float32)
    data = Rows(StoredRows("lines", (x,), (2,), "real", y=y), np.arange(400))
    model = tiny(name, CONDITIONAL, (2,), "real", **WIDE[name] | {"classes": 2})
    model.prepare(data)
    recipe = recipe_at(name, "default", lr=RATES[name])
    play(Trainer(model, data, Settings(batch=64), recipe=recipe), 300)
    for label, middle in ((0, -10), (1, 10)):
        drawn = sample_model(model.eval(), 500, y=torch.full((500,), label))
        assert float((drawn.sum(1) * middle > 0).float().mean()) > 0.95
        assert abs(float(drawn.sum(1).mean()) / 2 - middle) < 3
    share = float((sample_model(model, 2000).sum(1) > 0).float().mean())
    assert abs(share - 0.25) < 6 * (0.25 * 0.75 / 2000) ** 0.5
