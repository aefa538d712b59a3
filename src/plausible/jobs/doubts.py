"""What a user should know about a training's result before using it: said on screen, in the log and in the report."""

from __future__ import annotations

from plausible.data import Data
from plausible.formatting import format_number
from plausible.game import GenerativeModel
from plausible.metrics.selection import baseline
from plausible.runs import RunFolder

__all__ = ["doubts"]


def doubts(run: RunFolder, model: GenerativeModel, rows: Data) -> list[str]:
    """Warnings, each a sentence; empty where nothing was judged, or all is well.

    Args:
        run: with its best state.
        model: of the run.
        rows: the run's data.
    """
    if not model.turns():
        return []
    watched = [event for event in run.log.landmarks() if event["event"] == "judged"]
    alarm = watched[-1].get("alarm") if watched else None
    found = [f"at tick {watched[-1]['tick']:,} {alarm}"] if alarm else []
    best = run.judgement()
    if best is None:
        return found
    if best.tick == 0:
        found.append(
            f"no state of this training is better on the valid rows than the untrained model ({best.by}): training "
            "made it worse from the first epoch on. A smaller network, a smaller --lr or a larger --weight-decay may "
            "help"
        )
    independent = baseline(model, rows)
    if independent is not None and best.value <= independent:
        found.append(
            f"the best state is no better than {_NAMES[rows.domain]} on the valid rows: {format_number(best.value)} "
            f"against {format_number(independent)} nats. It has learned no dependence between the values: try a "
            "smaller network or another model"
        )
    return found


_NAMES = {"binary": "independent Bernoulli variables", "real": "independent Gaussians"}
