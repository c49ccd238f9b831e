"""The predictions made so far, in a file beside the output: an interrupted prediction resumes from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Prediction, Task
from headstart.files import append_line, write_text
from headstart.generation.encoder_decoder import generation_settings
from headstart.models.loading.weights import checksum
from headstart.prediction.predict import GENERATION_CHUNK, predict
from headstart.progress import Reporter
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.models.model import Model


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


def journal_key(task: Task[Any], model: Model, source: str) -> str:
    """A hash of all that the predictions depend on: the input's hash, the model's weights and every setting."""
    digest = hashlib.sha256(source.encode())
    generation = generation_settings(model, task.learned.values.get("generation") or {})
    config = model.module.config
    start_ids = [getattr(config, name, None) for name in ("decoder_start_token_id", "forced_bos_token_id")]
    digest.update(repr((__version__, task.name, task.settings, task.learned.json(), generation,
                        model.tokenizer.max_length, start_ids,
                        model.tokenizer.single_template, model.tokenizer.target.single_template)).encode())
    digest.update(checksum(model.module.parameters()).encode())
    return digest.hexdigest()


def predict_with_journal(journal: PredictionJournal, task: Task[Any], model: Model, examples: Sequence[Example], *,
                         batch_tokens: int, reporter: Reporter) -> Iterator[Prediction]:
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
            predictions = list(predict(task, model, batch, batch_tokens=batch_tokens))
            journal.append(predictions)
            count += len(predictions)
            yield from predictions
    except KeyboardInterrupt:
        reporter.info(f"interrupted: the same command resumes after row {count:,} (from {journal.path})")
        raise
