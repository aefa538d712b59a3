"""The page that `plausible theory` writes: every formula as a number and a picture, in one file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plausible.course.claims import Claim
from plausible.course.pictures import pictures
from plausible.course.plotting import Picture
from plausible.course.snapshot import Snapshot
from plausible.course.training_plots import Trajectory, animation, figure_1, side_by_side, training_curves
from plausible.formatting import format_decimals
from plausible.plotting import to_png, to_svg
from plausible.report.page import PageImage, render_page
from plausible.runs import write_whole

__all__ = ["write_theory"]


def write_theory(
    folder: Path,
    claims: Sequence[Claim],
    panels: Sequence[Snapshot],
    film: Sequence[Snapshot],
    ks: Sequence[Trajectory],
    losses: Sequence[Trajectory],
    version: str,
) -> Path:
    """Write theory.html, figure-1.png and animation.gif, each whole or not at all; returns the page's path.

    Args:
        folder: where.
        claims: the table.
        panels: the four scenes of Figure 1.
        film: the run, scene by scene.
        ks: runs that differ in k.
        losses: runs that differ in the generator's loss.
        version: of plausible.

    Raises:
        PlausibleError: a file could not be written.
    """
    still, moving = to_png(figure_1(panels), 150), animation(film)
    write_whole(folder / "figure-1.png", still)
    write_whole(folder / "animation.gif", moving)
    run = [
        Picture(
            "run",
            "The run in numbers",
            "V(D, G) → C(G) → −log 4 as p_g → p_data",
            _ABOUT_RUN,
            training_curves(film),
        ),
        Picture(
            "k",
            "Too few and too many steps of D",
            "k moves of D for each of G (Algorithm 1)",
            _about_k(ks),
            side_by_side(ks),
        ),
        Picture(
            "saturating",
            "The saturating loss",
            "∂/∂logit: log(1 − D) → −D;  −log D → −(1 − D)",
            _about_losses(losses),
            side_by_side(losses),
        ),
    ]
    page = {
        "title": "The theory of GANs",
        "written": f"Written by `plausible theory`, plausible {version}.",
        "held": sum(claim.holds for claim in claims),
        "claims": [(claim.about, _cells(claim)) for claim in claims],
        "note": _ABOUT_ERRORS,
        "still": _figure_1(still, panels),
        "moving": PageImage(moving, "The whole run, frame by frame", "", _ABOUT_FILM, "gif", 680),
        "training": [_shown(picture) for picture in run],
        "theory": [_shown(picture) for picture in pictures()],
    }
    return write_whole(folder / "theory.html", render_page("theory.html", page, "plausible.course"))


_ABOUT_FILM = (
    "The whole run: left as above, right V(D, G) of the trained D and C(G), the most any D could reach, against "
    "−log 4."
)
_ABOUT_ERRORS = (
    "Error: half the 95 % interval for random samples (it misses one time in twenty; a line fails at 2.5 times that); "
    "of the JSD at the end, what the grid may hide; else the distance from the closed form. ½(p_data + p_g) weighs the "
    "error of D. Natural logarithms."
)
_ABOUT_RUN = (
    "Left: how far the generator's distribution is from the data's. Right: the value that the trained D reaches and "
    "the highest any D could reach, C(G) = −log 4 + 2·JSD; the gap is what D has yet to learn. Both end close to "
    "−log 4, where D cannot tell and answers ½."
)


def _about_k(courses: Sequence[Trajectory]) -> str:
    ends = "; ".join(f"{course.name}: JSD {course.snapshots[-1].jsd:.3f}" for course in courses)
    return (
        "With too slow a D the generator chases wherever D is highest just now, and its mass swings about; with many "
        "moves of D for each of its own it gets few moves for the same work and comes late. At the end of these runs: "
        f"{ends}."
    )


def _about_losses(courses: Sequence[Trajectory]) -> str:
    firsts = []
    for course in courses:
        left = next((scene.tick for scene in course.snapshots if scene.jsd < 0.5), None)
        firsts.append(f"{course.name} after {left:,} ticks" if left is not None else f"{course.name} never")
    return (
        "Data far from where the generator starts, plain SGD, k = 5: D is soon sure, D(G(z)) ≈ 0. Minimising "
        "log(1 − D(G(z))) then has almost no slope, maximising log D(G(z)) has one. JSD falls below ½: "
        f"{', '.join(firsts)}."
    )


def _figure_1(still: bytes, panels: Sequence[Snapshot]) -> PageImage:
    caption = (
        "Black, dotted: p_data. Green: p_g, the true push-forward of the noise. Blue, dashed: D; light blue: D*. "
        "Below, arrows from z, uniform, to x = G(z): they crowd where p_g is high. (a) The pair on its way, D partly "
        "right. (b) From there, the inner loop carried to its end: D meets D* = p_data/(p_data + p_g). (c) G has then "
        "moved a little towards higher D. (d) The end of the run, averaged weights: p_g ≈ p_data, but for the "
        "tails, where p_g of a bounded z ends and D* jumps to 1 "
        f"(JSD {panels[-1].jsd:.4f} nats), D ≈ ½."
    )
    alt = "; ".join(f"tick {scene.tick}, JSD {scene.jsd:.3f}" for scene in panels)
    return PageImage(still, f"Four panels: {alt}", caption=caption)


def _shown(picture: Picture) -> dict[str, Any]:
    """A picture as the template's macro takes it."""
    image = PageImage(to_svg(picture.figure), picture.caption, caption=picture.caption, kind="svg+xml")
    return {"anchor": picture.anchor, "title": picture.title, "formula": picture.formula, "image": image}


def _cells(claim: Claim) -> Sequence[str]:
    """A line of the table, after what it is about."""
    return (
        claim.quantity,
        claim.formula,
        format_decimals(claim.expected),
        format_decimals(claim.measured),
        format_decimals(claim.error),
        claim.method,
        "✓" if claim.holds else "✗",
    )
