"""The page: one well-formed file that fetches nothing, escapes everything, and says what is missing."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2.exceptions import UndefinedError
from support import config_of, restored

from plausible.errors import PlausibleError
from plausible.formatting import format_duration, format_measurement, format_number, format_value
from plausible.report import SECTIONS, PageImage, Reported, section, write_report
from plausible.report.images import grid, plot_samples, png
from plausible.runs import RunFolder, write_json
from plausible.runs.records import FORMAT

DRAWN = True

EVIL = '<script>alert("1")</script> & \'"><img src=x onerror=y>'
VOID = {"meta", "link", "img", "br"}
CONFIG = config_of(
    model={"options": {"k": 1, "deep": {"a": [1, 2]}}}, training={"ema": 0.999}, machine="a machine"
)
EVALUATION: dict[str, Any] = {
    "format": FORMAT,
    "tick": 300,
    "weights": "ema",
    "split": "test",
    "metrics": [
        {
            "name": "parzen", "value": 212.3456, "spread": 2.13, "spread_is": "standard error", "unit": "nats",
            "higher_is_better": True, "details": {"sigma": 0.17, "samples": 10000}, "note": "A rough estimate.",
        },
        {"name": "fréchet", "value": 0.5, "higher_is_better": False},
        {"name": "odd", "value": None, "details": {}},
    ],
}  # fmt: skip


class Page(HTMLParser):
    """Checks nesting while it reads, and keeps what tests ask for."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(source)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def read(run: RunFolder) -> Page:
    """Write the report, and hold it to what every report must be."""
    assert write_report(run) == run.report_file
    source = run.report_file.read_text(encoding="utf-8")
    page = Page(source)
    for tag, attrs in page.tags:
        assert tag not in {"script", "iframe", "object", "base"}
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href"):
            target = attrs.get(name)
            assert target is None or target.startswith(("data:", "#")), target
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("scope") for attrs in page.all("th"))
    assert "url(" not in source
    assert "@import" not in source
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert not list(run.path.glob(".*.part"))
    return page


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create(CONFIG)
    return made


def train(run: RunFolder, *, shown: dict[str, float], ticks: int = 30, pictures: int = 3) -> None:
    run.append("start", tick=0)
    for tick in range(10, 10 * ticks + 1, 10):
        run.append(
            "ticks", tick=tick, epoch=tick / 12, rows=tick * 128, seconds=tick / 5,
            losses={"generator/fool": 1 / tick}, shown=shown,
        )  # fmt: skip
    for tick in range(100, 100 * pictures + 1, 100):
        path = plot_samples(
            np.random.default_rng(tick).uniform(size=(25, 1, 8, 8)), run.samples_dir / f"{tick:09d}.png"
        )
        run.append("samples", tick=tick, file=f"samples/{path.name}")


def test_a_whole_run(run: RunFolder):
    train(run, shown={"D(x)": 0.7, "D(G(z))": 0.2, "V(D,G)": -1.1})
    run.append("stop", tick=300, reason="finished")
    write_json(run.evaluation_file, EVALUATION)
    page = read(run)
    assert len(page.all("img")) == 1 + 3 + 3
    for expected in (
        "gan on digits", "finished", "Tick 300", "averaged weights (EMA, decay 0.999)", "25 images",
        "1 min 00 s", "640", "Value function V(D,G)", "212.3 ± 2.1", "nats", "↑ higher", "↓ lower",
        "A rough estimate.", "± is the standard error.", "sigma 0.17", "on the test split", "ab" * 32,
        "3.11.7", "options · deep · a", "a machine",
    ):  # fmt: skip
        assert expected in page.words, expected


def test_an_empty_run_says_what_is_missing(tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    run.create(CONFIG)
    page = read(run)
    for expected in ("not started", "There are no samples yet", "No losses", "Not evaluated yet:"):
        assert expected in page.words
    assert f"plausible evaluate {run.path}" in page.words
    assert page.all("img") == []


def test_a_model_without_a_discriminator_has_no_value_panel(run: RunFolder):
    train(run, shown={})
    page = read(run)
    assert "V(D,G)" not in page.words
    assert "Loss of the generator turn" in page.words


@pytest.mark.parametrize(
    ("reason", "badge"),
    [("finished", "finished"), ("minutes", "finished"), ("core-minutes", "finished"),
     ("SIGINT", "interrupted"), ("SIGTERM", "interrupted"),
     ("diverged", "diverged"), ("error", "failed"), ("<b>", "stopped")],
)  # fmt: skip
def test_the_status_says_how_it_ended(run: RunFolder, reason: str, badge: str):
    train(run, shown={}, ticks=1, pictures=0)
    run.append("stop", tick=10, reason=reason, message=EVIL)
    page = read(run)
    assert badge in page.words
    assert EVIL in page.words


def test_a_resumed_run_is_not_called_stopped(run: RunFolder):
    train(run, shown={}, ticks=3, pictures=0)
    run.append("stop", tick=30, reason="SIGINT")
    run.take_back(30, goes_on=True)
    assert "still training, or killed" in read(run).words


def test_a_broken_last_line_is_passed_over(run: RunFolder):
    train(run, shown={}, ticks=3, pictures=1)
    with run.events_file.open("a") as file:
        file.write('{"event": "ticks", "tick": 40, "los')
    assert "not stopped" in read(run).words


def test_whatever_comes_from_outside_is_escaped(tmp_path: Path):
    run = RunFolder(tmp_path / "<i>run & co")
    run.create(
        config_of(
            model={"name": EVIL, "preset": EVIL, "options": {EVIL: EVIL}},
            data={"spec": EVIL, "source": EVIL},
            schema={"labels": [EVIL], "rule": EVIL},
            versions={EVIL: EVIL},
            machine=EVIL,
            plausible=EVIL,
        )
    )
    train(run, shown={EVIL: 0.5, "$x_{": 1.0}, pictures=2)
    write_json(
        run.evaluation_file,
        EVALUATION
        | {
            "split": EVIL,
            "metrics": [{"name": EVIL, "value": 1.0, "unit": EVIL, "note": EVIL, "details": {EVIL: EVIL}}],
        },
    )
    page = read(run)
    assert page.words.count(EVIL) > 12
    assert all((attrs["src"] or "").startswith("data:image/") for attrs in page.all("img"))


@pytest.mark.parametrize(
    "evaluation", ["{torn", "[]", "null", "{}", '{"metrics": {}}', '{"metrics": []}', '{"metrics": [1]}']
)
def test_a_damaged_evaluation_is_said(run: RunFolder, evaluation: str):
    run.evaluation_file.write_text(evaluation)
    words = read(run).words
    assert "evaluation.json" in words
    assert "plausible evaluate" in words


def test_damaged_absent_and_foreign_sample_pictures_are_passed_over(run: RunFolder, tmp_path: Path):
    train(run, shown={}, ticks=2, pictures=2)
    outside = plot_samples(np.zeros((1, 1, 4, 4)), tmp_path / "outside.png")
    torn = run.samples_dir / "000000900.png"
    torn.write_bytes(outside.read_bytes()[:80])
    run.append("samples", tick=900, file="samples/000000900.png")
    run.append("samples", tick=901, file="samples/absent.png")
    run.append("samples", tick=902, file="../outside.png")
    assert "Tick 200" in read(run).words


@pytest.mark.parametrize(("ema", "expected"), [(None, "no EMA"), (0.9, "decay 0.9")])
def test_the_caption_says_which_weights(run: RunFolder, ema, expected: str):
    run.reconfigure(config_of(training={"ema": ema}))
    train(run, shown={}, ticks=1, pictures=1)
    assert expected in read(run).words


def test_no_run_is_a_clear_error_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(PlausibleError, match=r"no config\.json"):
        write_report(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_report(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    before = write_report(run).read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plausible.runs.files.os.fsync", full)
    with pytest.raises(PlausibleError, match="No space left"):
        write_report(run)
    assert run.report_file.read_bytes() == before
    assert not list(run.path.glob(".*.part"))


def test_the_configuration_is_there_to_the_last_leaf(run: RunFolder):
    page = read(run)

    def leaves(value: object) -> list[str]:
        if isinstance(value, dict):
            return [leaf for key, item in value.items() for leaf in (key, *leaves(item))]
        return [format_value(value)]

    stored = CONFIG.as_json()
    assert {"model", "data", "schema", "training", "versions"} <= stored.keys()
    for group, value in stored.items():
        assert group in page.words or group.capitalize() in page.words
        assert all(leaf in page.words for leaf in leaves(value)), group


def test_numbers_as_a_person_writes_them():
    assert [format_number(x) for x in (0.5, -3.0, 1234.5678, 0.00001234, 1e20, -0.0123456)] == [
        "0.5", "−3", "1,234.6", "1.234e−05", "1e+20", "−0.012346",
    ]  # fmt: skip
    pairs = (212.3412, 2.134), (1.0, None), (0.02, 0.0), (-5.0, 300.0)
    assert [format_measurement(*pair) for pair in pairs] == [
        "212.3 ± 2.1", "1", "0.02 ± 0", "−5 ± 300",
    ]  # fmt: skip
    assert [format_duration(x) for x in (4.2, 200, 3725, 3599.9)] == [
        "4.2 s",
        "3 min 20 s",
        "1 h 02 min",
        "1 h 00 min",
    ]


def coded(run: RunFolder, tick: int, **said: str) -> Path:
    """Pictures of a code as `evaluate` leaves them, each saying what it is told to."""
    folder = run.path / "pictures" / f"{tick:09d}"
    folder.mkdir(parents=True)
    image = grid(np.random.default_rng(tick).uniform(size=(4, 1, 4, 4)))
    for name, words_of in said.items():
        (folder / f"{name}.png").write_bytes(
            png(image, {"kind": name, "Title": f"title of {name}", "Description": words_of})
        )
    return folder


EVERY = {
    name: f"caption of {name}"
    for name in ("reconstructions", "plane", "manifold", "traversal", "interpolations")
}


def test_the_code_has_its_section(run: RunFolder):
    run.reconfigure(config_of(model={"name": "vae"}, training={"ema": 0.999}))
    coded(run, 100, **EVERY)
    coded(run, 300, **EVERY | {"plane": EVIL})
    page = read(run)
    for expected in (*(EVERY | {"plane": EVIL}).values(), "title of plane", "At tick 300", "test split of digits",
                     "averaged weights (EMA, decay 0.999)", "pictures/000000100"):  # fmt: skip
        assert expected in page.words, expected
    assert len(page.all("img")) == 5
    assert any(EVIL in (attrs["alt"] or "") for attrs in page.all("img"))


def test_a_run_that_has_not_ended_says_when_pictures_come(run: RunFolder):
    (run.path / "pictures" / ".000000300.17.part").mkdir(parents=True)
    (run.path / "pictures" / "notes").write_text("foreign")
    train(run, shown={})
    assert f"plausible evaluate {run.path}" in read(run).words
    run.append("stop", tick=300, reason="finished")
    assert "pictures of itself" not in read(run).words


@pytest.fixture
def own():
    """Registers a section of the test's own, and forgets it."""
    with restored(SECTIONS):
        yield section


def test_a_registered_section_stands_in_the_report(own, run: RunFolder):
    @own("own", "A section of its own", template="<p>{{ words }}</p>")
    def context(reported: Reported) -> dict[str, Any]:
        return {"words": f"{EVIL} of {reported.config.model.name}"}

    @own("plots", "Figures", template="figures.html")
    def figures(_reported: Reported) -> dict[str, Any]:
        content = png(grid(np.zeros((1, 1, 4, 4))), {})
        return {"lead": "A lead.", "figures": [PageImage(content, "alt", "A title", "A caption")]}

    @own("empty", "Nothing", template="figures.html")
    def empty(_reported: Reported) -> None:
        return None

    page = read(run)
    for expected in ("A section of its own", f"{EVIL} of gan", "A lead.", "A title", "A caption"):
        assert expected in page.words, expected
    assert [attrs["id"] for attrs in page.all("section")][-2:] == ["own", "plots"]


def test_a_template_that_misses_a_variable_is_an_error(own, run: RunFolder):
    own("own", "Own", template="<p>{{ nothing }}</p>")(lambda _run: {})
    with pytest.raises(UndefinedError, match="nothing"):
        write_report(run)
    assert not run.report_file.exists()


def test_the_same_run_is_the_same_page(run: RunFolder):
    train(run, shown={"D(x)": 0.7})
    write_json(run.evaluation_file, EVALUATION)
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_damaged_pictures_of_the_code_are_passed_over(run: RunFolder):
    coded(run, 100, **EVERY)
    torn = coded(run, 200, plane="torn", traversal="whole")
    (torn / "plane.png").write_bytes((torn / "plane.png").read_bytes()[:60])
    page = read(run)
    assert len(page.all("img")) == 1
    (torn / "traversal.png").write_bytes(b"no picture")
    assert "At tick 100" in read(run).words


@pytest.mark.parametrize(
    ("value", "said"),
    [([8, 8], "8 × 8"), ([0.5, 2], "0.5 × 2"), ([10**400], "1" + "0" * 400), (10**400, f"{10**400:,}")],
)
def test_a_number_of_any_size_is_put_into_words(value, said):
    assert format_value(value) == said
