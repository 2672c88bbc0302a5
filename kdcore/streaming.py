"""Large tables piece by piece: rows through a bundle in little memory; ``kd predict``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.errors import DataError, KDError
from kdcore.table_files import check_text_header, is_parquet, read_table, refuse_repeated

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.runtime import Bundle

__all__ = ["PIECE", "WHOLE_TEXT", "pieces", "predictions", "writer"]

#: Rows that are held at a time.
PIECE = 65_536
#: Text files up to this size in bytes are read at once.
WHOLE_TEXT = 64 * 2**20

_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def pieces(
    path: str | Path, columns: Sequence[str], *, rows: int = PIECE, skip: int = 0
) -> tuple[Iterator[pd.DataFrame], int | None]:
    """A table piece by piece, with the types that `kdcore.table.read_table` gives its columns.

    Parameters
    ----------
    path : str or Path
        As in `kdcore.table.read_table`.
    columns : sequence of str
        Only these are read from files of many columns. Where one is missing, whatever is there is
        given, so that its reader can tell what is lacking.
    rows : int
        Of a piece.
    skip : int, default=0
        Rows at the start that are left out.

    Returns
    -------
    pieces : iterator of pandas.DataFrame
    total : int or None
        Number of rows, those that are skipped included, where it is known beforehand.

    Raises
    ------
    DataError
        When the file cannot be read as a table, also in the course of the iteration.
    """
    file, name = Path(path), str(path).lower()
    there = file.is_file() and file.stat().st_size > 0
    found: tuple[Iterator[pd.DataFrame], int | None] | None = None
    try:
        if there and is_parquet(file):
            found = _parquet(file, columns, rows, skip)
        elif there and name.endswith((".feather", ".arrow")):
            found = _after(_feather(file, columns, rows), skip)
        elif there and name.endswith(_TEXT) and (file.stat().st_size > WHOLE_TEXT):
            found = _after(_text(file, columns, rows), skip)
    except DataError:
        raise
    except Exception:
        # `read_table` says what is wrong with such a file.
        found = None
    if found is None:
        frame = read_table(path)
        return (frame.iloc[i : i + rows] for i in range(skip, len(frame), rows)), len(frame)
    return _named_errors(found[0], file), found[1]


def _named_errors(parts: Iterator[pd.DataFrame], path: Path) -> Iterator[pd.DataFrame]:
    while True:
        try:
            part = next(parts)
        except StopIteration:
            return
        except (DataError, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"'{path}' cannot be read as a table: {reason}") from error
        yield part


def _after(
    found: tuple[Iterator[pd.DataFrame], int | None] | None, skip: int
) -> tuple[Iterator[pd.DataFrame], int | None] | None:
    """The pieces without so many rows at the start."""

    def rest(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        left = skip
        for part in parts:
            if left < len(part):
                yield part.iloc[left:]
            left = max(0, left - len(part))

    return None if found is None else (rest(found[0]), found[1])


def _parquet(
    path: Path, columns: Sequence[str], rows: int, skip: int
) -> tuple[Iterator[pd.DataFrame], int | None] | None:
    import pyarrow.parquet as pq

    # Without a buffer of that size, whole columns of a row group would be held.
    file = pq.ParquetFile(path, buffer_size=2**20)
    names = file.schema_arrow.names
    refuse_repeated(names, path)
    total = file.metadata.num_rows
    if total == 0 or not set(columns) <= set(names):
        return None
    wanted = [n for n in names if n in set(columns)]
    # Whole row groups are passed over unread.
    group, passed = 0, 0
    while group < file.num_row_groups:
        size = file.metadata.row_group(group).num_rows
        if passed + size > skip:
            break
        group, passed = group + 1, passed + size
    batches = file.iter_batches(
        batch_size=rows, columns=wanted, row_groups=range(group, file.num_row_groups)
    )
    # Columns are asked for by name, those that were an index too.
    frames = (batch.to_pandas(ignore_metadata=True) for batch in batches)
    return _after((frames, total), skip - passed)


def _feather(
    path: Path, columns: Sequence[str], rows: int
) -> tuple[Iterator[pd.DataFrame], None] | None:
    import pyarrow as pa

    file = pa.ipc.open_file(pa.memory_map(str(path)))
    names = file.schema.names
    refuse_repeated(names, path)
    if file.num_record_batches == 0 or not set(columns) <= set(names):
        return None
    wanted = [n for n in names if n in set(columns)]

    def read() -> Iterator[pd.DataFrame]:
        for number in range(file.num_record_batches):
            batch = file.get_batch(number).select(wanted)
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows).to_pandas(ignore_metadata=True)

    return read(), None


def _text(
    path: Path, columns: Sequence[str], rows: int
) -> tuple[Iterator[pd.DataFrame], int] | None:
    """A text file is read twice: what a column holds is known only at its end."""
    import pandas as pd

    zipped = path.name.lower().endswith(".gz")
    separator = "\t" if ".tsv" in path.name.lower() else ","
    header = check_text_header(path, separator)
    if not set(columns) <= set(header):
        return None
    options: dict[str, Any] = {
        "sep": separator,
        "usecols": list(columns),
        "compression": "gzip" if zipped else None,
        "chunksize": rows,
        "low_memory": False,
    }
    kinds: dict[str, set[str]] = {name: set() for name in columns}
    total = 0
    with pd.read_csv(path, **options) as parts:
        for part in parts:
            total += len(part)
            for name in columns:
                if part[name].notna().any():
                    kinds[name].add(part[name].dtype.kind)
    if total == 0:
        return None
    # A column with a text anywhere is texts everywhere; "007" is then no number in any piece.
    texts = {name: str for name, found in kinds.items() if not found <= set("iuf")}

    def read() -> Iterator[pd.DataFrame]:
        with pd.read_csv(path, dtype=texts, **options) as parts:
            yield from parts

    return read(), total


def predictions(model: Bundle, frame: pd.DataFrame) -> pd.DataFrame:
    """The column ``prediction`` and, for classes, ``proba_CLASS`` for each, of a frame's rows."""
    import pandas as pd

    if model.classes is None:
        return pd.DataFrame({"prediction": model.predict(frame)})
    proba = model.predict_proba(frame)
    columns = {f"proba_{label}": proba[:, k] for k, label in enumerate(model.classes.tolist())}
    return pd.DataFrame({"prediction": model.classes[proba.argmax(axis=1)], **columns})


@contextmanager
def writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that appends frames to a new .csv, .parquet or .feather file.

    The file appears whole at the end, or not at all.

    Raises
    ------
    KDError
        When the folder cannot be written to, or is full.
    """
    from kdcore.files import atomic_path

    with atomic_path(path) as temporary:
        ending = path.suffix.lower()
        try:
            with (_csv if ending == ".csv" else _arrow)(temporary, ending) as append:
                yield append
        except OSError as error:
            raise KDError(f"cannot write '{path}': {error.strerror or error}.") from error


@contextmanager
def _csv(path: Path, ending: str) -> Iterator[Callable[[pd.DataFrame], None]]:
    with open(path, "w", encoding="utf-8", newline="") as file:

        def append(frame: pd.DataFrame) -> None:
            frame.to_csv(file, index=False, header=file.tell() == 0)

        yield append


@contextmanager
def _arrow(path: Path, ending: str) -> Iterator[Callable[[pd.DataFrame], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink: Any = None

    def append(frame: pd.DataFrame) -> None:
        nonlocal sink
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if sink is None and ending == ".parquet":
            sink = pq.ParquetWriter(path, table.schema)
        elif sink is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            sink = pa.ipc.new_file(str(path), table.schema, options=options)
        sink.write_table(table)

    try:
        yield append
    finally:
        if sink is not None:
            sink.close()
