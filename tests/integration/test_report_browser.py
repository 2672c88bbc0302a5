"""The pages in a real browser: headless Chromium opens them as a reader does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kdcore

EVIL = "<script>alert(1)</script>"
LONG = "a_name_of_a_column_without_any_blank_that_is_far_too_long_for_a_telephone"
PAGES = ("classes", "letters", "values", "compare")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1200, "height": 900}


def table(task: str, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 6)), columns=[EVIL, LONG, "c", "d", "e", "f"])
    frame["city"] = rng.choice(["Ulm", "Kiel & Bonn", "<b>Rom</b>"], n)
    score = frame[EVIL] + 0.5 * frame[LONG] ** 2 + (frame["city"] == "Ulm")
    score += rng.normal(0, 0.4, n)
    if task == "letters":
        frame["y"] = pd.qcut(score, 26, labels=[f"class {c}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
    else:
        frame["y"] = score if task == "values" else np.where(score > 1, "yes", EVIL)
    return frame


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    options: dict[str, Any] = {"target": "y", "folds": 2, "teacher_params": {"n_estimators": 20}}
    runs = {
        "classes": {"student": "logistic_regression", "max_features": 5, "recipe": "fast"},
        "letters": {"student": "decision_tree", "recipe": "plain", "task": "classification"},
        "values": {"student": "sklearn_mlp", "recipe": "plain"},
    }
    found = {}
    for name, run in runs.items():
        result = kdcore.distill(table(name), **options, **run)
        found[name] = folder / f"{name}.html"
        found[name].write_text(result.to_html(), encoding="utf-8")
    result = kdcore.compare(
        table("classes"),
        target="y",
        teachers=["xgboost", "random_forest"],
        students=["decision_tree", "logistic_regression", "xgboost", "no_such"],
        teacher_params={name: {"n_estimators": 10} for name in ("xgboost", "random_forest")},
        recipe="plain",
        folds=2,
        output=folder,
    )
    assert sum("error" in pair for pair in result.pairs) == 2
    found["compare"] = folder / "compare.html"
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """Open a page in a context of its own; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def visit(name: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:")) or complaints.append(request.url)
            ),
        )
        page.goto(pages[name].as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_and_a_desk(visit, name):
    for size in (PHONE, DESK):
        page = visit(name, viewport=size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        # What is wider scrolls in a box of its own; nothing else sticks out.
        outside = page.evaluate(
            """() => [...document.querySelectorAll('main *')]
            .filter(e => !e.closest('.scroll') && !e.closest('svg'))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .map(e => e.outerHTML.slice(0, 200))"""
        )
        assert outside == []


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("classes", "scores agreement calibration segments columns costs recipe data origin"),
        ("letters", "scores agreement calibration segments columns costs recipe data origin"),
        ("values", "scores predicted residuals segments columns learning costs recipe data origin"),
        ("compare", "front pairs failed"),
    ],
)
def test_every_section_can_be_seen(visit, name, sections):
    page = visit(name, viewport=DESK)
    found = page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")
    assert found == sections.split()
    for section in found:
        box = page.locator(f"section#{section}").bounding_box()
        assert box["height"] > 60
        assert box["width"] > 900
    charts = page.locator("svg.chart:visible")
    assert charts.count() == {"classes": 2, "letters": 1, "values": 6, "compare": 2}[name]
    for i in range(charts.count()):
        assert charts.nth(i).bounding_box()["height"] > 150
    # The jumps lead to sections that are there.
    links = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    assert links == ([] if name == "compare" else found)


@pytest.mark.parametrize("name", ["classes", "values"])
def test_a_column_called_as_a_script_stays_text(visit, name):
    page = visit(name, viewport=PHONE)
    assert page.locator("#data").get_by_text(EVIL, exact=True).count() >= 1
    assert page.evaluate("document.scripts.length") == 1
    assert page.evaluate("document.querySelectorAll('section b, section i').length") == 0


def test_pages_are_dark_where_the_reader_wants_it_and_letters_stay_readable(visit):
    """The contrast of letters and ground is that of WCAG AA, in both colours."""
    contrast = """selector => {
      const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      const lum = colours => {
        canvas.clearRect(0, 0, 1, 1);
        for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); }
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => {
          v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b;
      };
      return [...document.querySelectorAll(selector)].map(e => {
        const grounds = [];
        for (let p = e; p; p = p.parentElement)
          grounds.unshift(getComputedStyle(p).backgroundColor);
        const below = lum(grounds), style = getComputedStyle(e);
        const own = lum([...grounds, e.closest('svg') ? style.fill : style.color]);
        const [hi, lo] = own > below ? [own, below] : [below, own];
        return [(hi + .05) / (lo + .05), e.textContent.slice(0, 40)];
      }).sort((a, b) => a[0] - b[0])[0];
    }"""
    grounds = {}
    for scheme in ("light", "dark"):
        for name in ("letters", "values"):
            page = visit(name, viewport=DESK, color_scheme=scheme)
            grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            ratio, text = page.evaluate(
                contrast, "h1, h2, h3, p, li, a, th, td, small, .tag, figcaption, pre, svg text"
            )
            assert ratio >= 4.5, f"{scheme} {name}: {text}"
    assert grounds["light"] != grounds["dark"]


@pytest.mark.parametrize("name", ["classes", "compare"])
def test_a_page_can_be_printed(visit, name):
    page = visit(name, viewport=DESK, color_scheme="dark")
    pdf = page.pdf(format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible() if page.locator("nav").count() else True


def test_those_who_do_not_see_a_page_are_told_what_it_shows(visit):
    for name in PAGES:
        page = visit(name, viewport=DESK)
        assert page.evaluate(
            "[...document.querySelectorAll('svg.chart[role=img]')].every(s => "
            "document.getElementById(s.getAttribute('aria-labelledby')).textContent)"
        )
        assert page.evaluate(
            "[...document.querySelectorAll('th')].every(t => t.scope || !t.textContent)"
        )
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_names_of_compared_pairs_do_not_cover_each_other(visit, size):
    page = visit("compare", viewport=size)
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('svg.chart')].filter(s => s.clientWidth)
        .map(s => [...s.querySelectorAll('.pt')].map(t => {
          const r = t.getBoundingClientRect(), k = s.getBoundingClientRect();
          const inside = r.left >= k.left && r.right <= k.right + 1;
          return [r.left, r.top + 2, r.right, r.bottom - 2, inside];
        }))"""
    )
    assert len(boxes) == 2
    for chart in boxes:
        assert len(chart) == 6
        assert all(b[4] for b in chart)
        pairs = [(a, b) for i, a in enumerate(chart) for b in chart[:i]]
        covered = [
            min(a[2], b[2]) - max(a[0], b[0]) > 3 and min(a[3], b[3]) - max(a[1], b[1]) > 3
            for a, b in pairs
        ]
        assert sum(covered) == 0
