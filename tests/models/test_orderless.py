"""Orderless NADE beyond the laws: any mask is completed, and training estimates what it says."""

import math

import pytest
import torch

from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.models.orderless import OrderlessNADE

D = 6
EVERYTHING = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * D)


def model(**options):
    torch.manual_seed(0)
    made = OrderlessNADE((D,), hidden=(12, 12), ordering=(3, 1, 0, 5, 4, 2), **options).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2).add_(0.2 * torch.randn_like(parameter))
    return made.eval()


def all_logs(made, order):
    """log p in one ordering of the model's places, of everything, by the network itself, mask by mask."""
    x, logs = made.ordered(EVERYTHING), torch.zeros(len(EVERYTHING), dtype=torch.float64)
    mask = torch.zeros(D, dtype=torch.float64)
    for place in order.tolist():
        logit = made.network(torch.cat([x * mask, mask.expand_as(x)], 1))[:, place]
        logs += torch.nn.functional.logsigmoid((2 * x[:, place] - 1) * logit)
        mask[place] = 1
    return logs


@torch.no_grad()
def test_the_density_is_the_mean_over_its_orderings():
    made = model(orders=4)
    each = torch.stack([all_logs(made, order) for order in made.orders])
    assert float(each.std(0).mean()) > 0.01  # they do differ
    torch.testing.assert_close(made.log_prob(EVERYTHING), each.logsumexp(0) - math.log(4))
    assert torch.equal(made.orders[0], torch.arange(D))
    with pytest.raises(PlausibleError, match="set orders to 1"):
        made.log_prob_terms(EVERYTHING)


@torch.no_grad()
@pytest.mark.parametrize("given", [(0,), (2, 4), (5, 3, 1), (0, 1, 2, 4, 5), ()])
def test_any_mask_is_completed_by_an_ordering_that_begins_with_it(given):
    made = model()
    mask = torch.zeros(D, dtype=torch.bool)
    mask[list(given)] = True
    x = torch.tensor([1.0, 0, 1, 1, 0, 1], dtype=torch.float64)
    torch.manual_seed(1)
    n = 20_000
    drawn = made.complete(torch.where(mask, x, torch.nan), mask, n)
    assert (drawn[:, mask] == x[mask]).all()
    order = torch.argsort(~mask[made.order], stable=True)
    p = torch.where((x == EVERYTHING)[:, mask].all(1), all_logs(made, order).exp(), 0.0)
    p = p / p.sum()
    cells = (drawn.long() * 2 ** torch.arange(D - 1, -1, -1)).sum(1)
    found = torch.bincount(cells, minlength=2**D) / n
    assert float(((found - p).abs() - 6 * (p * (1 - p) / n).sqrt()).max()) <= 1e-3


def test_the_loss_estimates_the_mean_over_all_orderings():
    """Its mean over many draws against the exact one: all d and masks, by enumeration."""
    made = model()
    x = EVERYTHING[[9]]
    ordered = made.ordered(x)
    exact = 0.0
    with torch.no_grad():
        for mask in EVERYTHING[:-1]:  # every m but that of all known
            known = int(mask.sum())
            terms = torch.nn.functional.logsigmoid(
                (2 * ordered - 1) * made.network(torch.cat([ordered * mask, mask[None]], 1))
            )
            rest = float((terms * (1 - mask)).sum())
            exact -= rest * D / (D - known) / D / math.comb(D, known)
        torch.manual_seed(0)
        (found,) = made.loss(Batch(x.expand(40_000, -1))).terms.values()
    assert abs(float(found.mean()) - exact) < 5 * float(found.std()) / 200


def test_it_needs_a_hidden_layer():
    with pytest.raises(PlausibleError, match="hidden"):
        OrderlessNADE((4,), hidden=())


def test_the_count_of_parameters_is_the_formula_s():
    made = OrderlessNADE((10,), hidden=(7, 5))
    assert made.free_parameters == 21 * 7 + 8 * 5 + 6 * 10
    assert str(made.free_parameters) in made.formula
