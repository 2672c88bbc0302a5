"""Pages of results: complete, safe with hostile names, in two languages, from JSON alone."""

from __future__ import annotations

import contextlib
import json
import re
import string
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from small_models import LeastSquaresStudent, SoftmaxStudent

import kdcore
from kdcore import KDError
from kdcore.__main__ import main
from kdcore.comparison import Comparison
from kdcore.notes import TEMPLATES, made_of, note, note_from
from kdcore.saved_results import read_result
from kdcore.webpage import comparison_page, data_of, report_page
from kdcore.webpage.formats import number
from kdcore.webpage.labels import place
from kdcore.webpage.words import WORDS

EVIL = "<script>alert(1)</script>"
SECTIONS = {
    "classes": "scores agreement calibration segments columns costs recipe data origin",
    "values": "scores predicted residuals segments columns costs recipe data origin",
}


def table(task: str, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({EVIL: rng.normal(size=n), "b & c": rng.normal(size=n)})
    frame['"quoted"'] = rng.choice(["</script><b>", "it's"], n)
    score = frame[EVIL] + rng.normal(0, 0.5, n)
    frame["y"] = score if task == "values" else np.where(score > 0, "<i>up</i>", "down & out")
    return frame


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    found = {}
    for task, teacher, student in (
        ("classes", GaussianNB(), SoftmaxStudent()),
        ("values", LinearRegression(), LeastSquaresStudent()),
    ):
        numbers = make_column_transformer((OrdinalEncoder(), [2]), remainder="passthrough")
        source = make_pipeline(numbers, teacher)
        result = kdcore.distill(
            table(task), target="y", teacher=source, student=student, recipe="plain"
        )
        # As it is after a way through a file.
        found[task] = json.loads(json.dumps(result.report.to_dict(), allow_nan=False))
    return found


def sections_of(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', page)


@pytest.mark.parametrize("task", SECTIONS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_section_is_there_in_every_language(reports, task, lang):
    page = report_page(reports[task], lang=lang)
    assert sections_of(page) == SECTIONS[task].split()
    for section in SECTIONS[task].split():
        assert f">{WORDS[lang][section]}</h2>" in page
    assert f'<html lang="{"zh-Hans" if lang == "zh" else "en"}">' in page
    assert WORDS[lang]["missing_section"] not in page
    assert "kdcore.distill(&lt;DataFrame 300 x 4&gt;, target=&#39;y&#39;" in page


@pytest.mark.parametrize("task", SECTIONS)
def test_names_and_categories_stay_text(reports, task):
    """A column's name comes from whoever made the file, and the page is opened by others."""
    page = report_page(reports[task])
    assert "<script>alert" not in page
    assert "</script><b>" not in page
    assert "<i>up" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    # Nothing runs, and nothing is loaded.
    scripts = re.findall(r"<script[^>]*>", page)
    assert scripts == ['<script type="application/json" id="kd-data">']
    assert not re.search(r"(src|href)=\"(?!#|data:,)", page)
    assert not re.search(r"\bon\w+=|@import|url\(", page.partition('id="kd-data"')[0])
    assert len(page.encode()) < 2_000_000


def test_a_page_holds_its_own_data_so_that_it_can_be_made_again(reports, tmp_path):
    page = report_page(reports["classes"], lang="zh")
    assert data_of(page) == reports["classes"]
    path = tmp_path / "old.html"
    path.write_text(page, encoding="utf-8")
    assert read_result(path) == reports["classes"]
    with pytest.raises(KDError, match="holds no data"):
        data_of("<html></html>")


def test_results_of_an_older_kdcore_still_give_a_page(reports):
    for report in reports.values():
        old = {k: v for k, v in report.items() if k not in ("pictures", "origin")}
        page = report_page(old)
        assert WORDS["en"]["missing_section"] in page
        assert WORDS["en"]["no_command"] in page


def test_given_labels_without_a_teacher_give_a_page(reports):
    for report in reports.values():
        some = json.loads(json.dumps(report))
        some["teacher"] |= {"metrics": None, "fit_seconds": None}
        some["student"]["fidelity"] = some["plain"]["fidelity"] = None
        some["latency_us"] = {"teacher": None, "student": None, "compiled_teacher": None}
        some["size_bytes"] = {"teacher": None, "student": None}
        some["verdict"]["gap_closed"] = None
        for part in some["pictures"].values():
            if isinstance(part, dict):
                part.pop("teacher", None)
        assert sections_of(report_page(some))


@pytest.mark.parametrize(
    ("choice", "ci95", "rows", "badge", "tone"),
    [
        ("distilled", [0.1, 0.2], 500, "badge_distilled", "good"),
        ("plain_encoded", [0.1, 0.2], 500, "badge_plain_encoded", "mixed"),
        ("plain", [-0.1, 0.2], 500, "badge_plain", "plain"),
        ("plain", [-0.2, -0.1], 500, "badge_worse", "bad"),
        ("plain", [0.1, 0.2], 5, "badge_plain", "plain"),
    ],
)
def test_the_banner_says_what_the_verdict_says(reports, choice, ci95, rows, badge, tone):
    some = json.loads(json.dumps(reports["classes"]))
    some["verdict"] |= {"choice": choice, "ci95": ci95}
    some["rows"]["test"] = rows
    some["plain_encoded"] = some["plain"]
    for lang, words in WORDS.items():
        page = report_page(some, lang=lang)
        assert f'class="verdict {tone}"' in page
        assert words[badge] in page
    assert number(some["student"]["metrics"]["log_loss"]) in page


def test_both_languages_have_the_same_words_with_the_same_gaps():
    def gaps(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english, chinese = WORDS["en"], WORDS["zh"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert gaps(text) == gaps(chinese[key]), key


def test_notes_are_told_in_the_language_of_the_page(reports):
    """Those without a template, of another version, stay English and say so."""
    some = json.loads(json.dumps(reports["classes"]))
    notes: list[str] = ["from an older kdcore", note("relabel_failed", error=EVIL)]
    for name, text in TEMPLATES.items():
        gaps = [(g, spec) for _, g, spec, _ in string.Formatter().parse(text) if g]
        notes.append(note(name, **{gap: 3.0 if spec else "it" for gap, spec in gaps}))
    some["notes"] = [str(text) for text in notes]
    some["note_templates"] = [*map(made_of, notes[:-1]), {"template": "newer", "values": {}}]
    page = report_page(some, lang="zh")
    care = page[page.index('class="care"') : page.index("<nav")]
    assert re.findall(r'<li lang="en">(.*?)</li>', care) == [
        "From an older kdcore",
        "The report could not be made: it",
    ]
    assert care.count("<li>") == len(notes) - 2
    assert "教师 it 的标签来自缓存" in care
    assert EVIL not in care
    assert note_from(notes[1], made_of(notes[1])).template == "relabel_failed"
    english = report_page(some, lang="en")
    assert "The labels of the teacher it came from the cache" in english
    assert "max_features=it is more" in english


def test_a_language_that_is_not_there_is_refused(reports):
    with pytest.raises(KDError, match="lang='de' is not a language of the reports"):
        report_page(reports["classes"], lang="de")


@pytest.mark.parametrize("data", [{}, {"verdict": 3}, {"pairs": []}])
def test_other_json_is_refused_in_words(data):
    with pytest.raises(KDError, match="not the result of a distillation or comparison"):
        (comparison_page if "pairs" in data else report_page)(data)


def test_whatever_key_is_lost_the_error_is_one_for_users(reports):
    for lost in reports["classes"]:
        some = {k: v for k, v in reports["classes"].items() if k != lost}
        with contextlib.suppress(KDError):
            assert sections_of(report_page(some))


def pair(teacher: str, student: str, score: float, **more: Any) -> dict[str, Any]:
    return {
        "teacher": {"name": teacher, "metrics": {"rmse": 0.5}},
        "student": {
            "name": student,
            "metrics": {"rmse": score},
            "fidelity": {"r2_to_teacher": 0.9},
            "features": ["a"] * more.get("columns", 3),
        },
        "plain": {"metrics": {"rmse": more.get("plain", 2.0)}},
        "verdict": {"metric": "rmse", "gap_closed": None, "choice": more.get("choice", "plain")},
        "latency_us": {"student": {"single": more.get("time", 10.0)}},
        "size_bytes": {"student": more.get("size", 1000)},
    }


class TestComparisons:
    def test_every_pair_is_named_in_every_picture_and_failures_are_told(self):
        pairs = [
            pair("forest", EVIL, 1.0, time=30.0, columns=2, choice="distilled"),
            pair("forest", "tree", 1.2, time=10.0),
            pair("boosted", "tree", 1.3, time=12.0, size=None),
            {"teacher": {"name": "x"}, "student": {"name": "y"}, "error": f"no {EVIL}"},
        ]
        comparison = Comparison(pairs)
        for lang, words in WORDS.items():
            page = comparison.to_html(lang=lang)
            assert sections_of(page) == ["front", "pairs", "failed"]
            assert EVIL not in page
            assert words["helps"].format(k=1, n=3) in page
            for name, text in (("latency", "3 tree ← boosted"), ("columns", "2 tree ← forest")):
                for size in ("wide", "phone"):
                    picture = page.partition(f'id="by-{name}-{size}"')[2].partition("</svg>")[0]
                    assert text in picture
            # A student without a bundle has no size, so it is not in that picture.
            assert "3 tree" not in page.partition('id="by-size-wide"')[2].partition("</svg>")[0]
        assert data_of(page) == comparison.to_dict()
        assert list(comparison.to_frame()["columns"])[:3] == [2, 3, 3]

    def test_a_plain_student_that_is_better_than_all_distilled_ones_is_named(self):
        page = Comparison([pair("t", "s", 1.0, plain=0.9)]).to_html()
        assert WORDS["en"]["helps_none"].format(n=1) in page
        line = WORDS["en"]["best_plain"].format(student="s", metric="RMSE", score="0.9000")
        assert line in page

    def test_only_failures_are_a_page_too(self):
        failed = {"teacher": {"name": "x"}, "student": {"name": "y"}, "error": "why"}
        page = Comparison([failed]).to_html()
        assert sections_of(page) == ["failed"]
        assert WORDS["en"]["nothing"] in page

    def test_a_saved_comparison_is_found_by_kd_report(self, tmp_path, capsys):
        comparison = Comparison([pair("t", "s", 1.0)])
        comparison.save(tmp_path)
        assert read_result(tmp_path) == comparison.to_dict()
        assert main(["report", str(tmp_path), "--lang", "zh", "--force"]) == 0
        assert capsys.readouterr().out == f"Saved {tmp_path / 'compare.html'}\n"
        assert WORDS["zh"]["pairs"] in (tmp_path / "compare.html").read_text(encoding="utf-8")


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def a_result(self, reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("out").mkdir()
        Path("out/result.json").write_text(json.dumps(reports["classes"]))

    def test_a_folder_and_a_json_file_give_the_same_page(self, capsys):
        assert main(["report", "out"]) == 0
        assert capsys.readouterr().out == "Saved out/report.html\n"
        assert main(["report", "out/result.json", "-o", "x.html", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["output"] == "x.html"
        assert answer["size_bytes"] == Path("x.html").stat().st_size
        assert Path("x.html").read_text() == Path("out/report.html").read_text()
        assert main(["report", "x.html", "-o", "-", "--lang", "zh"]) == 0
        assert WORDS["zh"]["badge_plain"] in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere"], "there is no result 'nowhere'"),
            (["."], "the folder '.' holds neither result.json nor comparison.json"),
            (["notes.json"], "'notes.json' is not readable JSON"),
            (["list.json"], "'list.json' is not the result of kd distill or kd compare"),
            (["page.html"], "'page.html' cannot be read: it is not a page that kdcore has written"),
            (["out.kd"], "'out.kd' is not a readable bundle"),
            (["out", "--lang", "fr"], "lang='fr' is not a language"),
            (["out", "-o", "list.json"], "'list.json' exists; use --force"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, capsys, arguments, message):
        for name, text in (("notes.json", "x"), ("list.json", "[]"), ("page.html", "<p>")):
            Path(name).write_text(text)
        Path("out.kd").write_text("no zip")
        assert main(["report", *arguments]) == 1
        assert message in capsys.readouterr().err


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200)), min_size=1, max_size=12),
)
def test_names_of_points_do_not_lie_on_each_other(points):
    """Where there is no room for a name its number is written, so some may touch, never names."""
    names = [f"{i} decision_tree" for i in range(len(points))]
    labels = place(points, names, (0, 0, 420, 220), short=[str(i) for i in range(len(points))])
    boxes = []
    for label in labels:
        if label["text"] in names:
            width = 6.1 * len(label["text"])
            left = label["x"] - {"start": 0, "middle": width / 2, "end": width}[label["anchor"]]
            boxes.append((left, label["y"] - 9, left + width, label["y"] + 3))
    for i, a in enumerate(boxes):
        assert a[0] >= -0.2
        assert a[2] <= 420.2
        for b in boxes[:i]:
            apart = a[2] <= b[0] + 0.3 or b[2] <= a[0] + 0.3 or a[3] <= b[1] + 0.3
            assert apart or b[3] <= a[1] + 0.3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0000"), (0.12345, "0.1235"), (12.3456, "12.35"), (1234.5, "1,234"),
        (123456.7, "123,457"), (-0.5, "−0.5000"), (0.00001234, "1.234e−05"),
        (None, "–"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value, text):
    assert number(value) == text
