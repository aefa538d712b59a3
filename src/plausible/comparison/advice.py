"""What follows from the figures, in sentences: the best of each job, and what its interval does not tell from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plausible.formatting import format_measurement
from plausible.runs import MetricRecord
from plausible.runs.comparison import Advice, Compared

__all__ = ["HEADLINES", "Place", "advise", "headline", "ranking"]

HEADLINES = ("kid", "told-apart", "auc-of-trees", "coverage", "density")
"""The figure of sample quality that decides, the first that there is; else the first with a direction. KID comes before
the two-sample test, which cannot rank models whose samples are all told apart; mixed tables have only that of trees."""
OUTLIERS = "AUROC, all three"
PROBE = "linear probe"


@dataclass(frozen=True)
class Place:
    """One figure in a ranking, with who has it."""

    name: str
    is_baseline: bool
    figure: MetricRecord


def advise(results: Sequence[Compared]) -> tuple[Advice, ...]:
    """A sentence or two for each job and view of the data."""
    found: list[Advice] = []
    for view in dict.fromkeys(each.view for each in results):
        here = [each for each in results if each.view == view and not each.failed]
        found += [
            _about("To generate", view, _chosen(here, "generate", headline(here))),
            *_densities(view, here),
            _about("To find outliers", view, _chosen(here, "anomalies", OUTLIERS)),
            _about("To represent", view, _chosen(here, "represent", PROBE)),
        ]
    return tuple(each for each in found if each.text)


def headline(results: Sequence[Compared]) -> str | None:
    """The name of the figure of sample quality that decides; None where there is none with a direction."""
    names = [
        figure.name for each in results for figure in each.generate if figure.higher_is_better is not None
    ]
    for wanted in HEADLINES:
        found = next((name for name in names if _matches(name, wanted)), None)
        if found is not None:
            return found
    return names[0] if names else None


def _matches(name: str, wanted: str) -> bool:
    plain = name.lower().replace("_", "-").replace(" ", "-")
    return plain == wanted or plain.startswith(f"{wanted}-") or plain.startswith(f"{wanted}:")


def ranking(places: Sequence[Place]) -> list[Place]:
    """Best first; a figure without a value is left out."""
    known = [place for place in places if place.figure.value is not None]
    known = [place for place in known if place.figure.value == place.figure.value]  # NaN is no figure
    return sorted(known, key=lambda place: _goodness(place.figure), reverse=True)


def _goodness(figure: MetricRecord) -> float:
    figure = figure.capped()
    value = figure.value if figure.value is not None else float("-inf")
    return value if figure.higher_is_better else -value


def _overlap(a: MetricRecord, b: MetricRecord) -> bool:
    """Whether two intervals have a point in common; a figure without one is taken as a point."""
    (low, high), (other_low, other_high) = _interval(a), _interval(b)
    return low <= other_high and other_low <= high


def _interval(figure: MetricRecord) -> tuple[float, float]:
    figure = figure.capped()
    value = float(figure.value if figure.value is not None else "nan")
    return figure.interval or (value, value)


def _chosen(results: Sequence[Compared], job: str, name: str | None) -> list[Place]:
    """Who has a figure of a job, by its name; without a name each one's best."""
    places = []
    for each in results:
        figures = [figure for figure in getattr(each, job) if name is None or figure.name == name]
        ranked = ranking([Place(each.name, each.kind == "baseline", figure) for figure in figures])
        places += ranked[:1]
    return ranking(places)


def _densities(view: str, results: Sequence[Compared]) -> list[Advice]:
    """A sentence for each kind of density, which alone compare."""
    found = []
    for of, kind in dict.fromkeys((each.density_of, each.density_kind) for each in results if each.density):
        same = [each for each in results if (each.density_of, each.density_kind) == (of, kind)]
        job = f"For probabilities ({kind}, {of})"
        found.append(_about(job, view, _chosen(same, "density", "bits per dimension")))
    return found


def _about(job: str, view: str, places: Sequence[Place]) -> Advice:
    if not places:
        return Advice(job=job, view=view, text="")
    best, rest = places[0], places[1:]
    sentences = [_first(best, rest)]
    baselines = [place for place in rest if place.is_baseline]
    models = [place for place in rest if not place.is_baseline]
    if best.is_baseline and models:
        sentences.append(f"No model beats it here; the best of them is {_said(models[0])}.")
    elif not best.is_baseline and baselines:
        sentences.append(f"The best baseline is {_said(baselines[0])}.")
    return Advice(job=job, view=view, text=" ".join(sentences))


def _first(best: Place, rest: Sequence[Place]) -> str:
    """The best, and whether the figures tell it from the next."""
    if not rest:
        return f"{_said(best)} is the only one that has such a figure."
    if best.figure.interval is None:
        return f"{_said(best)} has the best value, but it has no interval, so it may be chance."
    equal = [place.name for place in rest if _overlap(best.figure, place.figure)]
    if not equal:
        return f"take {_said(best)}; its interval lies apart from all others."
    few = _listed(equal) if len(equal) <= 4 else _listed([*equal[:3], f"{len(equal) - 3} more"])
    return f"{_said(best)} has the best value, but its interval overlaps with {few}: any of them may be best."


def _said(place: Place) -> str:
    """ "vae (coverage 0.92, 95 % interval 0.90 to 0.94)"."""
    figure = place.figure
    said = f"{figure.name} {format_measurement(figure.value, None)}"
    if figure.interval is not None:
        low, high = (format_measurement(end, None) for end in figure.interval)
        said += f", 95 % interval {low} to {high}"
    return f"{place.name} ({said})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
