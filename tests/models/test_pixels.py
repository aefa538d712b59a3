"""PixelRNN and PixelCNN: sampler with caches against the whole network, what sees what, classes and levels."""

import pytest
import torch
from torch.nn.functional import pad

from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.models.build import build, preset_of
from plausible.nn.causal import FIRST
from plausible.recipe import Recipe
from plausible.training.optimizers import optimizer_of

KINDS = {
    "diagonal": ("pixelrnn", {"layer": "diagonal", "hidden": 4}),
    "row": ("pixelrnn", {"layer": "row", "hidden": 4}),
    "gated": ("pixelcnn", {"features": 6}),
    "wide": ("pixelcnn", {"features": 6, "kernel": 5}),
}
SHAPES = [(1, 4, 5), (3, 3, 2), (1, 1, 3), (2, 3, 1)]
every_kind = pytest.mark.parametrize("kind", KINDS)


def model_of(kind, shape=(1, 4, 5), domain="unit", *, seed=0, **more):
    """A small model in float64 whose every part has a say."""
    torch.manual_seed(seed)
    name, options = KINDS[kind]
    small = {"layers": 2, "head": 6} | ({"levels": 3} if domain == "unit" else {})
    model = build(name, shape, domain, small | options | more).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def images(model, n=2):
    return torch.randint(model.levels, (n, *model.shape)).double() / (model.levels - 1)


@every_kind
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [0, 3])
def test_a_pixels_cached_outputs_are_the_whole_networks(kind, shape, classes):
    model = model_of(kind, shape, classes=classes)
    x, y = images(model), model.classes.one_hot(torch.tensor([0, 2]) if classes else None, 2)
    margin = FIRST // 2
    with torch.no_grad():
        whole = model.network(x, y)
        sampler, padded = model.network.begin(2, y), pad(torch.zeros_like(x), (margin, margin, margin, 0))
        for r in range(shape[1]):
            for c in range(shape[2]):
                for channel in range(shape[0]):
                    found = sampler.at(padded, r, c)[:, :, channel]
                    torch.testing.assert_close(found, whole[:, :, channel, r, c], rtol=0, atol=1e-9)
                    padded[:, channel, r + margin, c + margin] = x[:, channel, r, c]


def seen(model, at):
    """Which of the values before it, in the model's order, the output at a place depends on, at one of 32 images."""
    x = images(model, 32).requires_grad_()
    (slope,) = torch.autograd.grad(model.log_prob_terms(x)[:, at].sum(), x)
    return (slope.flatten(1)[:, model.order] != 0).any(0)[:at]


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_that_comes_before_is_out_of_gated_layers_sight(channels):
    model = model_of("gated", (channels, 5, 5), levels=2, layers=4, head=36, features=12)
    for at in range(model.size):
        assert seen(model, at).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_one_diagonal_layer_sees_all_but_the_last_pixel_of_the_row_above(channels):
    """Features of a pixel know what is before it (mask A), not itself: beyond the first window that one is hidden."""
    model = model_of("diagonal", (channels, 5, 6), levels=2, layers=1, head=36, hidden=9)
    for at in range(model.size):
        row, column = divmod(at // channels, 6)
        hidden = torch.zeros(at, dtype=torch.bool)
        if row and column + FIRST // 2 < 5:
            last = ((row - 1) * 6 + 5) * channels
            hidden[last + channels - 1] = True  # of a colour pixel its last channel
        assert torch.equal(seen(model, at), ~hidden)


def test_a_row_lstm_sees_a_triangle():
    """One layer's: the pixel's own window and its left neighbour's, and those of the states above, ever wider."""
    model = model_of("row", (1, 8, 16), levels=2, layers=1, head=36)
    before = torch.zeros(8 * 16, dtype=torch.bool)
    at = 7 * 16 + 8
    before[:at] = seen(model, at)
    reached = [sorted(set(row.nonzero().flatten().tolist())) for row in before.view(8, 16)]
    assert reached[7] == [4, 5, 6, 7], "windows of 7 about columns 8 and 7"
    assert reached[6] == list(range(3, 12)), "and about column 6, the left neighbour of a state above"
    assert reached[3][0] == 0, "each row above reaches one further"


@every_kind
def test_labels_make_a_mixture(kind):
    """p(x) = Σ_y p(y) p(x|y), its terms add up to it, and its levels to one."""
    model = model_of(kind, (1, 2, 3), classes=3)
    model.classes.log_share.copy_(torch.tensor([0.2, 0.5, 0.3]).log())
    x = images(model, 4)
    with torch.no_grad():
        each = [
            model._logs(x, model.classes.one_hot(torch.full((4,), y), 4)).flatten(1).sum(1) for y in range(3)
        ]
        expected = (torch.stack(each, 1) + model.classes.log_share).logsumexp(1)
        torch.testing.assert_close(model.log_prob(x), expected)
        logs = model.log_conditionals(x)
        torch.testing.assert_close(logs.exp().sum(2), torch.ones(4, 6).double())
        level = (x.flatten(1)[:, model.order] * 2).round().long()
        torch.testing.assert_close(logs.gather(2, level[:, :, None])[:, :, 0], model.log_prob_terms(x))


def test_completions_take_the_class_that_what_is_given_speaks_for():
    """Two classes, of which one has bright first rows: what follows a bright first row is drawn from that class."""
    model = model_of("gated", (1, 2, 4), "binary", classes=2)
    torch.manual_seed(1)
    y = torch.randint(2, (400,))
    x = (torch.rand(400, 1, 2, 4) < torch.where(y == 1, 0.95, 0.05)[:, None, None, None]).double()
    rows = type("Rows", (), {"y": y.numpy(), "blocks": lambda self: [x.numpy()]})()
    model.prepare(rows)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(Batch(x, y)).total().backward()
        optimizer.step()
    mask = torch.zeros(1, 2, 4, dtype=torch.bool)
    mask[:, 0] = True
    bright, dark = (
        model.complete(torch.full((1, 2, 4), value).double(), mask, 300)[:, :, 1].mean() for value in (1, 0)
    )
    assert bright > 0.85
    assert dark < 0.15
    for label, share in ((0, 0.05), (1, 0.95)):
        assert abs(float(model.sample(500, y=torch.full((500,), label)).mean()) - share) < 0.06


@every_kind
def test_they_train_in_bfloat16(kind):
    """Under autocast the loss is that of float32, to bfloat16's three digits, and gradients are finite."""
    model = model_of(kind, (1, 3, 4), "binary").float()
    x = images(model, 8).float()
    expected = float(model.loss(Batch(x)).total().detach())
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(Batch(x)).total()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected, rel=0.02)
    assert all(
        parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None
    )


@every_kind
def test_images_only(kind):
    with pytest.raises(PlausibleError, match="models images"):
        model_of(kind, (6,), "binary")


def test_values_between_the_levels_are_refused_with_the_levels_they_have():
    model = build("pixelcnn", (1, 2, 2), "unit", {"features": 4, "layers": 1})
    with pytest.raises(PlausibleError, match="--levels 17"):
        model.log_prob(torch.arange(4).view(1, 1, 2, 2) / 16)
    with pytest.raises(PlausibleError, match="at most 256 levels"):
        model.log_prob(torch.tensor([0.1234567, 0.7654321, 0.3141593, 0.2718282]).view(1, 1, 2, 2))
    with pytest.raises(PlausibleError, match="levels must be 2"):
        build("pixelcnn", (1, 2, 2), "unit", {"levels": 1})


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(PlausibleError, match="such as 3"):
        build("pixelcnn", (1, 2, 2), "binary", {"kernel": 2})
    with pytest.raises(PlausibleError, match="binary ones have a logit"):
        build("pixelrnn", (1, 2, 2), "binary", {"observation": "mixture"})


def test_the_gated_preset_keeps_within_a_quarter_of_a_million_weights():
    model = build("pixelcnn", (1, 28, 28), "binary", dict(preset_of("pixelcnn", "gated").model))
    assert model.free_parameters == 196_377 <= 250_000


def test_closed_weights_are_not_counted():
    """F = 2, one layer of 3×3, 2 features in the head, one channel, one output; counted by hand."""
    model = build("pixelcnn", (1, 4, 4), "binary", {"features": 2, "layers": 1, "head": 2})
    first = (3 * 7 * 2 + 2) + (3 * 2 + 2)  # above; to the left, mask A closes the pixel itself
    layer = (2 * 3 * 2 * 4 + 4) + (2 * 2 * 4 + 4) + 4 * 4 + (2 * 2 + 2)
    head = (2 * 2 + 2) + (2 + 1)
    assert model.free_parameters == first + layer + head


def test_rmsprop_moves_by_the_root_of_its_mean_square():
    model = model_of("gated", (1, 3, 3), "binary")
    (turn,) = model.turns()
    weights = list(turn.parameters())
    before = [weight.detach().clone() for weight in weights]
    turn.loss(Batch(images(model))).total().backward()
    optimizer_of(turn, Recipe(optimizer="rmsprop", lr=0.01), weights).step()
    for old, new in zip(before, weights, strict=True):
        expected = old - 0.01 * new.grad / ((0.1 * new.grad**2).sqrt() + 1e-8)
        torch.testing.assert_close(new.detach(), expected, rtol=0, atol=1e-12)
