import torch

from plausible.metrics import Result, Subject, metric
from plausible.metrics.needs import values_in


@metric("copies", needs=(values_in("unit", "binary"),))
def measure_copies(subject: Subject) -> list[Result]:
    """The share of 1,000 samples whose nearest training row is nearer than that row's own nearest neighbour."""
    train = torch.from_numpy(subject.data.train.array()).flatten(1)[:2000]
    nearest, row = torch.cdist(subject.samples[:1000].flatten(1), train).min(1)
    between_rows = torch.cdist(train, train).fill_diagonal_(torch.inf).min(1).values
    share = (nearest < between_rows[row] / 2).double().mean().item()
    note = (
        "A sample counts as a copy when its nearest training row is less than half as far away as that row's nearest "
        "neighbour among the training rows. A model that generalises makes few copies; 0 says nothing of quality."
    )
    details = {"samples": 1000, "training rows": len(train)}
    return [Result("copies", share, unit="share", higher_is_better=False, details=details, note=note)]
