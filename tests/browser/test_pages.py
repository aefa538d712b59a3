"""The pages in a browser: they ask for nothing from outside and can be read, wide and narrow, light and dark."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import tiny_options

from plausible import jobs
from plausible.report.compare import write_comparison
from plausible.report.images import plot_samples
from plausible.runs import Evaluation, MetricRecord, write_json
from plausible.runs.comparison import Advice, Compared, Comparison, ComparisonPlan

DRAWN = True

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make install")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium: apt-get install chromium, or set CHROMIUM to its path"
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SMALLEST = 12.0
"""Pixels of text; WCAG's contrast for text is 4.5, and 3 for large text."""

TEXTS = """() => {
  const rgb = words => words.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const luminance = colour => {
    const parts = colour.map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.textContent).join("");
    if (!own.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const a = luminance(rgb(style.color).slice(0, 3)), b = luminance(behind(element));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    found.push({text: own.trim().slice(0, 60), size, contrast, least: large ? 3 : 4.5});
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def figure(name, value, interval, *, better=True):
    return MetricRecord(
        name=name, value=value, interval=interval, higher_is_better=better, floor=0.5, note="A note. " * 20
    )


def result(name, kind, view, **more):
    names = ("two-sample accuracy", "kid", "coverage", "density", "precision", "recall", "a rather long name")
    figures = tuple(figure(each, 0.12345, (0.1, 0.15)) for each in names)
    areas = tuple(figure(each, 0.9, (0.8, 0.95)) for each in ("AUROC, all three", "noise", "uniform rows"))
    facts = {"picture": "samples/a.png", "curve": ((0.0, -3.0), (60.0, -1.0)), "judged_by": "mean ELBO"}
    return Compared(
        name=name, kind=kind, view=view, generate=figures, anomalies=areas, score="log p(x)", **facts | more
    )


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    (folder / "samples").mkdir()
    plot_samples(np.random.default_rng(0).random((36, 1, 8, 8)), folder / "samples" / "a.png")
    results = (
        result("gan", "model", "digits"),
        result("a-very-long-name-of-a-run-folder-without-a-space-in-it", "run", "digits"),
        result("nade", "model", "digits:binary"),
        result("kde", "baseline", "digits", about="Gaussian kernels " * 9),
        Compared(name="vae", kind="model", view="digits", failed="a loss was not finite " * 4),
    )
    write_comparison(
        folder,
        Comparison(
            plausible="0",
            plan=ComparisonPlan(data="digits", hash="0" * 64, core_minutes=1, seed=0),
            train=1437,
            valid=180,
            test=180,
            results=results,
            advice=(Advice(job="To generate", view="digits", text="take gan. " * 20),),
            pictures={"digits": "samples/a.png"},
        ),
    )
    return folder / "report.html"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    run = jobs.train("vae", "digits", out=folder, epochs=1, **tiny_options("vae", "default"))
    figures = (figure("coverage", 0.5, (0.4, 0.6)), figure("log-likelihood bound", -1234.5, None))
    found = Evaluation(tick=0, weights="trained", data="digits", metrics=figures)
    write_json(run.evaluation_file, found.model_dump(mode="json"))
    return jobs.report(run)


@pytest.fixture(params=[1280, 390])
def width(request):
    return request.param


@pytest.fixture(params=["light", "dark"])
def page(request, width, browser):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=request.param)
    opened = context.new_page()
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.problems = []
    opened.on("console", lambda said: opened.problems.append(said.text))
    yield opened
    context.close()


@pytest.fixture(params=["comparison", "report"])
def opened(request, page):
    file = Path(request.getfixturevalue(request.param))
    page.goto(file.as_uri())
    page.file = file
    for folded in page.query_selector_all("summary"):
        folded.click()
    return page


def test_a_page_can_be_read_and_asks_for_nothing(opened, width):
    outside = [url for url in opened.asked if not url.startswith("data:") and url != opened.file.as_uri()]
    assert outside == []
    assert opened.problems == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    broken = "() => [...document.images].filter(each => !each.complete || !each.naturalWidth).length"
    assert opened.evaluate(broken) == 0
    texts = opened.evaluate(TEXTS)
    assert len(texts) > 30
    assert [each for each in texts if each["size"] < SMALLEST] == []
    assert [each for each in texts if each["contrast"] < each["least"]] == []


def test_what_the_page_test_would_find(page, width, tmp_path):
    """The checks themselves: a request, a wide block, small and pale text."""
    file = tmp_path / "bad.html"
    file.write_text(
        '<img src="http://127.0.0.1:9/x.png"><div style="width:2000px">w</div>'
        '<p style="font-size:8px;color:#ccc;background:#fff">pale</p>'
    )
    page.goto(file.as_uri())
    assert "http://127.0.0.1:9/x.png" in page.asked
    assert page.evaluate("document.documentElement.scrollWidth") > width
    pale = next(each for each in page.evaluate(TEXTS) if each["text"] == "pale")
    assert pale["size"] < SMALLEST
    assert pale["contrast"] < pale["least"]
