"""A bundle as one C99 file without dependencies: encoder, student and rows that test it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdcore import __version__
from kdcore.archive import read_archive
from kdcore.c_graph import translate
from kdcore.c_values import array, comment, literal, text
from kdcore.columns import MISSING, Column, category_keys, numeric_values
from kdcore.encoder_graphs import CATEGORICAL, NUMERIC
from kdcore.errors import BundleError
from kdcore.runtime import Bundle, open_bundle

__all__ = ["MAX_TEST_ROWS", "made_rows", "to_c"]

MAX_TEST_ROWS = 100
_MADE_ROWS = 24
#: Largest difference of a self-test row that counts as equal, as of the parity of bundles.
_TOLERANCE = 1e-5

_FIND = """
static int find(const char *const *keys, int n, const char *wanted) {
  int low = 0, high = n - 1;
  if (!wanted) wanted = "";
  while (low <= high) {
    const int middle = (low + high) / 2, order = strcmp(wanted, keys[middle]);
    if (order == 0) return middle;
    if (order < 0) high = middle - 1; else low = middle + 1;
  }
  return -1;
}
"""

_TEST = """
int kd_self_test(void) {
  int row, j, wrong = 0;
  for (row = 0; row < %(rows)d; row++) {
    float output[KDCORE_OUTPUTS];
    int bad = 0;
    kd_predict(&test_numeric[row * %(p)d], &test_categorical[row * %(c)d], output);
    for (j = 0; j < KDCORE_OUTPUTS; j++) {
      const double wanted = test_output[row * KDCORE_OUTPUTS + j];
      const double size = fabs(wanted) > 1 ? fabs(wanted) : 1;
      if (!(fabs(output[j] - wanted) <= %(tolerance)s * size)) bad = 1;
    }
    wrong += bad;
  }
  return wrong;
}

#ifdef KDCORE_SELF_TEST
#include <stdio.h>
int main(void) {
  const int wrong = kd_self_test();
  printf("%%d of %(rows)d rows differ\\n", wrong);
  return wrong != 0;
}
#endif
"""


def to_c(path: str | Path, *, rows: Any = None) -> str:
    """The C99 text of a saved student.

    Numbers, missing values and texts are read as `kdcore.load` reads them, after its parsing: a
    numeric column is a float (NAN where missing, 0 and 1 for truth values), a categorical one a
    UTF-8 text (NULL or empty where missing).

    Parameters
    ----------
    path : str or Path
        A bundle.
    rows : table, optional
        Rows of the self-test, at most `MAX_TEST_ROWS` of them; by default made ones, drawn from
        the categories of the bundle and numbers of all sizes.

    Raises
    ------
    BundleError
        When the bundle cannot be read.
    KDError
        When it has an ONNX operator that is not written as C, or the rows lack a column.
    """
    import onnx

    manifest, content = read_archive(Path(path))
    try:
        bundle = open_bundle(manifest, content)
    except BundleError as error:
        raise BundleError(f"'{path}' {error}") from error
    columns = [
        Column(c["name"], c["kind"], tuple(c.get("categories", ()))) for c in manifest["columns"]
    ]
    numbers = [c for c in columns if c.kind != "categorical"]
    texts = [c for c in columns if c.kind == "categorical"]
    told = translate(
        onnx.load_model_from_string(content), {NUMERIC: len(numbers), CATEGORICAL: len(texts)}
    )
    lines = [*_head(manifest, numbers, texts), _FIND if told.uses_keys else "", *told.constants]
    unused = "".join(f"  (void){name};\n" for name in (NUMERIC, CATEGORICAL, "i", "i0", "i1", "i2"))
    lines += [
        "",
        "void kd_predict(const float *numeric, const char *const *categorical, float *output) {",
        "  int i = 0, i0 = 0, i1 = 0, i2 = 0;",
        unused.rstrip("\n"),
        *(f"  {statement}" for statement in told.body),
        "}",
        *_best(bundle),
        *_self_test(bundle, numbers, texts, rows),
    ]
    return "\n".join(lines)


def _head(manifest: dict[str, Any], numbers: list[Column], texts: list[Column]) -> list[str]:
    classes = manifest["classes"]
    names = [] if classes is None else [str(c) for c in classes]
    outputs = max(1, len(names))
    lines = [
        f"/* {comment(str(manifest.get('student')))} ({manifest['task']}), written by kdcore "
        f"{__version__}.",
        "",
        "   void kd_predict(const float *numeric, const char *const *categorical, float *output);",
        "     numeric: KDCORE_NUMERIC numbers, NAN where missing;",
        "     categorical: KDCORE_CATEGORICAL texts",
        '     in UTF-8, NULL or "" where missing; output: KDCORE_OUTPUTS '
        + ("values." if classes is None else "probabilities, in the order of kd_classes."),
        "   int kd_self_test(void);  built-in rows whose prediction differs: 0 if well",
        "",
        "   Test:  cc -std=c99 -O2 -ffp-contract=off -DKDCORE_SELF_TEST student.c -lm && ./a.out",
        "",
    ]
    for title, columns in (("numeric", numbers), ("categorical", texts)):
        lines += [f"   {title}[{i}]  {comment(c.name)}" for i, c in enumerate(columns)]
    lines += ["*/", "#include <math.h>", "#include <string.h>", ""]
    lines += [f"#define KDCORE_NUMERIC {len(numbers)}", f"#define KDCORE_CATEGORICAL {len(texts)}"]
    lines.append(f"#define KDCORE_OUTPUTS {outputs}")
    for title, shown in (
        ("kd_numeric", [c.name for c in numbers]),
        ("kd_categorical", [c.name for c in texts]),
        ("kd_classes", names),
    ):
        if shown:
            listed = ",\n  ".join(map(text, shown))
            lines.append(f"const char *const {title}[{len(shown)}] = {{\n  {listed}}};")
    return lines


def _best(bundle: Bundle) -> list[str]:
    if bundle.classes is None:
        return []
    return [
        "",
        "/* Position of the most probable class in kd_classes. */",
        "int kd_predict_class(const float *numeric, const char *const *categorical) {",
        "  float output[KDCORE_OUTPUTS];",
        "  int i, best = 0;",
        "  kd_predict(numeric, categorical, output);",
        "  for (i = 1; i < KDCORE_OUTPUTS; i++) if (output[i] > output[best]) best = i;",
        "  return best;",
        "}",
    ]


def _self_test(bundle: Bundle, numbers: list[Column], texts: list[Column], rows: Any) -> list[str]:
    table = made_rows(numbers, texts) if rows is None else rows
    if rows is not None and hasattr(rows, "head"):
        table = rows.head(MAX_TEST_ROWS)
    output = bundle.predict(table) if bundle.classes is None else bundle.predict_proba(table)
    values = [numeric_values(table[c.name], c) for c in numbers]
    keys = [category_keys(table[c.name]) for c in texts]
    n = len(output)
    listed = [text(column[i]) for i in range(n) for column in keys] or ["0"]
    return [
        "",
        array("test_numeric", np.stack(values, axis=1).ravel() if values else [0.0], "f"),
        f"static const char *const test_categorical[{len(listed)}] = {{\n  "
        + ",\n  ".join(listed)
        + "};",
        array("test_output", output.ravel(), "f"),
        _TEST
        % {
            "rows": n,
            "p": len(numbers),
            "c": len(texts),
            "tolerance": literal(_TOLERANCE, "d"),
        },
    ]


def made_rows(numbers: list[Column], texts: list[Column]) -> dict[str, list[Any]]:
    """A few rows of numbers of all sizes, categories, and gaps; always the same ones."""
    rng = np.random.default_rng(0)
    n = _MADE_ROWS
    table: dict[str, list[Any]] = {}
    for column in numbers:
        drawn: np.ndarray = rng.choice([-1, 1], n, p=[0.2, 0.8]) * 10 ** rng.uniform(-2, 5, n)
        drawn = (rng.random(n) < 0.5) * 1.0 if column.kind == "boolean" else drawn.round(2)
        table[column.name] = np.where(rng.random(n) < 0.1, np.nan, drawn).tolist()
    for column in texts:
        known = [*column.categories, MISSING, "\x7fnever seen"]
        table[column.name] = [known[i] for i in rng.integers(0, len(known), n)]
    return table
