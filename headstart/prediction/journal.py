"""The predictions made so far, in a file beside the output: an interrupted prediction resumes from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from headstart.contract import Example, Prediction, Predictor
from headstart.files import append_line, write_text
from headstart.prediction.predictor import GENERATION_CHUNK
from headstart.progress import Reporter


class PredictionJournal:
    """A file of JSON lines: a key of the inputs, then chunk after chunk; an incomplete last line is left out."""

    def __init__(self, to: str, key: str) -> None:
        self.path, self.key = Path(to).with_name(f"{Path(to).name}.part"), key

    def read(self, reporter: Reporter) -> list[list[Any]]:
        """The complete chunks that the file holds; none for another input, model or settings."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last line's end was cut
            header, *chunks = [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return []
        if header != {"of": self.key}:
            reporter.info(f"{self.path} is of another input, model or settings: all rows are predicted again")
            return []
        return chunks

    def start(self, chunks: Sequence[Any]) -> None:
        """Write the file again with these chunks."""
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in [{"of": self.key}, *chunks]]
        write_text(self.path, "".join(lines))

    def append(self, predictions: Sequence[Prediction]) -> None:
        """One more chunk, on the disk when this returns."""
        records = [[prediction.row, prediction.values, prediction.detail] for prediction in predictions]
        append_line(self.path, json.dumps(records, ensure_ascii=False))

    def remove(self) -> None:
        """Delete the journal once the output is complete."""
        self.path.unlink(missing_ok=True)


def journal_key(predictor: Predictor, source: str) -> str:
    """A hash of all that the predictions depend on: the input's hash, the model's weights and every setting."""
    return hashlib.sha256(f"{source} {predictor.fingerprint()}".encode()).hexdigest()


def predict_with_journal(journal: PredictionJournal, predictor: Predictor, examples: Sequence[Example], *,
                         reporter: Reporter) -> Iterator[Prediction]:
    """The predictions of a generative task, in order; those that the journal holds are not made again."""
    chunks, count = journal.read(reporter), 0
    journal.start(chunks)
    for chunk in chunks:
        yield from (Prediction(*fields) for fields in chunk)
        count += len(chunk)
    if count:
        reporter.info(f"resuming after row {count:,}: {journal.path} holds the earlier predictions")
    remaining = iter(islice(iter(examples), count, None))
    try:
        while batch := list(islice(remaining, GENERATION_CHUNK)):
            predictions = list(predictor.predict(batch))
            journal.append(predictions)
            count += len(predictions)
            yield from predictions
    except KeyboardInterrupt:
        reporter.info(f"interrupted: the same command resumes after row {count:,} (from {journal.path})")
        raise
