"""Reading tables: CSV and TSV, Parquet, Feather, Arrow, frames in memory, and bundled sets."""

from __future__ import annotations

import csv
import gzip
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.errors import DataError, first_line, suggest
from kdcore.schema import as_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BUNDLED",
    "SUFFIXES",
    "check_text_header",
    "is_parquet",
    "read_provenance",
    "read_table",
    "refuse_repeated",
]

#: Data sets that come with scikit-learn: ``sklearn:digits`` and so on.
BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq", ".feather", ".arrow")


def read_table(source: Any) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    source : str, Path or table
        A file whose ending is one of `SUFFIXES`, ``"sklearn:NAME"`` for one of `BUNDLED`
        (its label column is ``target``), or a pandas, polars or Arrow table.

    Raises
    ------
    DataError
        When the file is missing, empty, not a table of its kind, or repeats a column name.
    """
    if not isinstance(source, (str, Path)):
        return as_frame(source)
    if isinstance(source, str) and source.startswith("sklearn:"):
        return _bundled(source.removeprefix("sklearn:"))
    path = Path(source)
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError(f"there is no file '{path}'." + suggest(path.name, near))
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; name one table file.")
    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty.")
    name = path.name.lower()
    try:
        if name.endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz")):
            frame = _read_text(path, "\t" if name.endswith((".tsv", ".tsv.gz")) else ",")
        elif name.endswith((".parquet", ".pq", ".feather", ".arrow")):
            frame = _read_arrow(path)
        else:
            raise DataError(
                f"'{path}' has an ending that is not read; use one of {', '.join(SUFFIXES)}."
            )
    except DataError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise DataError(f"'{path}' cannot be read as a table: {reason}") from error
    if len(frame) == 0:
        raise DataError(f"the table '{path}' has no rows.")
    return as_frame(frame)


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    check_text_header(path, separator)
    zipped = path.name.lower().endswith(".gz")
    return pd.read_csv(
        path, sep=separator, low_memory=False, compression="gzip" if zipped else None
    )


def check_text_header(path: Path, separator: str) -> list[str]:
    """The column names of a text table.

    Raises
    ------
    DataError
        When it is no text table, two columns share a name, or rows hold more values than names.
    """
    zipped = path.name.lower().endswith(".gz")
    with (gzip.open if zipped else open)(path, "rt", newline="", encoding="utf-8-sig") as lines:
        # Like pandas, skip blank lines.
        rows = (
            r for r in csv.reader(lines, delimiter=separator) if len(r) > 1 or "".join(r).strip()
        )
        header, first = next(rows, []), []
        # A very long text is no fault: pandas reads it.
        with suppress(csv.Error):
            first = next(rows, [])
    if any("\0" in h for h in header):
        raise DataError(f"'{path}' is not a text table; give it the ending of its true format.")
    # pandas would silently rename the second of two equal columns.
    refuse_repeated(header, path)
    if len(first) > len(header):
        # pandas would take surplus values for names of rows, and so move the others by a column.
        raise DataError(
            f"the first row of '{path}' holds {len(first)} values, but its header names "
            f"{len(header)} columns; name them all, or remove separators at the ends of rows."
        )
    return header


def _read_arrow(path: Path) -> pd.DataFrame:
    if is_parquet(path):
        import pyarrow.parquet as pq

        # Reading such a file fails in words that help nobody, so look at its schema first.
        refuse_repeated(pq.read_schema(path).names, path)
        table = pq.read_table(path)
    else:
        import pyarrow.feather as feather

        table = feather.read_table(path)
        refuse_repeated(table.schema.names, path)
    frame = table.to_pandas()
    # A named index was a column to whoever saved the frame.
    return frame.reset_index(drop=all(n is None for n in frame.index.names))


def is_parquet(path: Path) -> bool:
    """Whether a file's ending is one of Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def refuse_repeated(names: list[str], path: Path) -> None:
    """Raise a `DataError` where a column name occurs twice."""
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise DataError(
            f"the column name {min(twice)!r} occurs more than once in '{path}'; rename one of them."
        )


def read_provenance(path: str | Path) -> str | None:
    """What a file that ``kd label`` wrote says of its labels; None for other files."""
    path = Path(path)
    if not is_parquet(path) or not path.is_file():
        return None
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except Exception:
        # Whoever reads the table itself tells what is wrong with the file.
        return None
    found = metadata.get(b"kdcore.provenance")
    return None if found is None else found.decode()


def _bundled(name: str) -> pd.DataFrame:
    if name not in BUNDLED:
        raise DataError(
            f"'sklearn:{name}' is not a bundled data set; use one of "
            f"{', '.join('sklearn:' + b for b in BUNDLED)}." + suggest(name, BUNDLED)
        )
    import sklearn.datasets

    return getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
