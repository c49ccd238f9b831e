"""The predictions made so far, in a file beside the output: an interrupted prediction resumes from there.

    out.csv.part    a line with the hash of all that predictions depend on, then one a chunk: [[row, values, detail], …]
    .out.csv.lock   held while a process predicts into out.csv
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from headstart.contract import Example, Prediction, Predictor
from headstart.files import append_line, clear_leftovers, disk_errors, locked_file, remove, replace, write_text
from headstart.prediction.predictor import GENERATION_CHUNK
from headstart.prediction.processes import Sharing, predict_parts
from headstart.progress import Reporter

Chunk = list[Prediction]


class PredictionJournal:
    """A file of JSON lines: a key of the inputs, then chunk after chunk; an incomplete last line is left out."""

    def __init__(self, to: str, key: str) -> None:
        self.output, self.key = Path(to), key
        self.path = self.output.with_name(f"{self.output.name}.part")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the output, so that one process at a time predicts into it; raises UserError (73)."""
        with locked_file(self.output.with_name(f".{self.output.name}.lock"),
                         f"Another prediction writes {self.output}", "Wait for it, or choose another place with --to.",
                         temporary=True):
            clear_leftovers(self.output.parent, (self.output.name, self.path.name))
            yield

    def holds(self) -> bool:
        """Whether the file is a journal of these inputs, this model and these settings."""
        return self.begins(self.read_lines())

    def begins(self, records: Sequence[Any]) -> bool:
        """Whether a file's lines begin as a journal of these does."""
        return list(records[:1]) == [{"of": self.key}]

    def read_lines(self) -> list[Any]:
        """The complete lines up to the first that is no JSON."""
        records: list[Any] = []
        with contextlib.suppress(OSError, ValueError, RecursionError):
            lines = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last line's end was cut
            records.extend(map(json.loads, lines))
        return records

    def read(self, examples: Iterable[Example], reporter: Reporter) -> list[Chunk]:
        """The chunks that the file holds of these examples, in their order.

        A file of another input, model or settings, one that is no journal, and one with other rows is set aside.
        """
        if not self.path.exists():
            return []
        records = self.read_lines()
        if not self.begins(records):
            self.set_aside("of another input, model or settings", reporter)
            return []
        chunks = [predictions_of(record) for record in records[1:]]
        journaled_rows = [prediction.row for chunk in chunks for prediction in chunk or ()]
        if None in chunks or journaled_rows != [example.row for example in islice(examples, len(journaled_rows))]:
            self.set_aside("damaged, or holds other rows", reporter)
            return []
        return [chunk for chunk in chunks if chunk]

    def set_aside(self, reason: str, reporter: Reporter) -> None:
        """Keep a file that cannot be used under a name of its own, and say so."""
        aside, number = self.path.with_name(f"{self.path.name}.old"), 2
        while aside.exists():
            aside, number = self.path.with_name(f"{self.path.name}.old-{number}"), number + 1
        with disk_errors(self.path):
            replace(self.path, aside)
        reporter.warning(f"{self.path} is {reason}: all rows are predicted again (it is kept as {aside})")

    def start(self, chunks: Sequence[Chunk]) -> None:
        """Write the file again with these chunks."""
        lines = [json.dumps({"of": self.key}), *map(chunk_text, chunks)]
        write_text(self.path, "".join(f"{line}\n" for line in lines))

    def append(self, predictions: Sequence[Prediction]) -> None:
        """One more chunk, on the disk when this returns."""
        append_line(self.path, chunk_text(predictions))

    def remove(self) -> None:
        """Delete the journal once the output is complete."""
        with disk_errors(self.path):
            remove(self.path)


def chunk_text(predictions: Sequence[Prediction]) -> str:
    """A chunk as a line of the journal."""
    # escaped, so that a text with half a surrogate pair is written too
    return json.dumps([[prediction.row, prediction.values, prediction.detail] for prediction in predictions])


def predictions_of(record: Any) -> Chunk | None:
    """A line of the journal as predictions; None for one that holds none."""
    if not isinstance(record, list):
        return None
    for fields in record:
        if not (isinstance(fields, list) and len(fields) == 3 and isinstance(fields[0], int)
                and isinstance(fields[1], dict) and isinstance(fields[2], dict)):
            return None
    return [Prediction(*fields) for fields in record]


def journal_key(predictor: Predictor, source: str, sharing: Sharing | None = None) -> str:
    """A hash of all that the predictions depend on: the input's hash, the model's weights and every setting."""
    fingerprint = (sharing.fingerprint if sharing is not None else "") or predictor.fingerprint()
    return hashlib.sha256(f"{source} {fingerprint}".encode()).hexdigest()


def predict_with_journal(journal: PredictionJournal, predictor: Predictor, examples: Sequence[Example], *,
                         reporter: Reporter, sharing: Sharing | None = None) -> Iterator[Prediction]:
    """The predictions of a generative task, in order; those that the journal holds are not made again."""
    chunks = journal.read(examples, reporter)
    journal.start(chunks)
    count = sum(map(len, chunks))
    if count:
        reporter.info(f"resuming after row {count:,}: {journal.path} holds the earlier predictions")
    for chunk in chunks:
        yield from chunk
    remaining = iter(islice(iter(examples), count, None))
    batches = iter(lambda: list(islice(remaining, GENERATION_CHUNK)), [])
    try:
        for predictions in predict_parts(predictor, ((batch, None) for batch in batches), sharing):
            journal.append(predictions)
            count += len(predictions)
            yield from predictions
    except KeyboardInterrupt:
        reporter.info(f"interrupted: the same command resumes after row {count:,} (from {journal.path})")
        raise
