"""What a long prediction has written so far, beside its output: an interrupted one goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headstart
from headstart.contract import Example, Prediction, Task
from headstart.generation.encoder_decoder import settings_of
from headstart.models.loading.weights import checksum
from headstart.prediction.predict import WRITTEN, predict
from headstart.progress import Voice
from headstart.runs.folder import disk_words

if TYPE_CHECKING:
    from headstart.models.model import Model


class Journal:
    """A file of JSON lines: what the predictions are of, then chunk after chunk; a half line at its end is left out."""

    def __init__(self, to: str, key: str) -> None:
        self.place, self.key = Path(to).with_name(f"{Path(to).name}.part"), key

    def read(self, voice: Voice) -> list[list[Any]]:
        """The whole chunks that are there; none for another input, model or settings."""
        try:
            lines = self.place.read_bytes().split(b"\n")[:-1]  # what follows the last line's end was cut
            first, *others = [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return []
        if first != {"of": self.key}:
            voice.say(f"{self.place} is of another input, model or settings: all is written anew")
            return []
        return others

    def begin(self, chunks: Sequence[Any]) -> None:
        """The file anew with these chunks."""
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in [{"of": self.key}, *chunks]]
        with disk_words(self.place):
            self.place.write_text("".join(lines), encoding="utf-8")

    def add(self, predictions: Sequence[Prediction]) -> None:
        """One more chunk, on the disk when this returns."""
        with disk_words(self.place), self.place.open("a", encoding="utf-8") as file:
            file.write(json.dumps([[one.row, one.values, one.detail] for one in predictions], ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def end(self) -> None:
        """The output is there whole: the journal goes."""
        self.place.unlink(missing_ok=True)


def key_of(task: Task[Any], model: Model, source: str) -> str:
    """A hash of all that the texts follow from: the input's own, the model's weights and every setting."""
    made = hashlib.sha256(source.encode())
    writing = settings_of(model, task.known.values.get("generation") or {})
    config = model.module.config
    told = [getattr(config, name, None) for name in ("decoder_start_token_id", "forced_bos_token_id")]
    made.update(repr((headstart.__version__, task.name, task.settings, task.known.json(), writing, model.tokenizer.longest, told,
                      model.tokenizer.single, model.tokenizer.target.single)).encode())
    made.update(checksum(model.module.parameters()).encode())
    return made.hexdigest()


def journalled(journal: Journal, task: Task[Any], model: Model, examples: Sequence[Example], *, batch_tokens: int,
               voice: Voice) -> Iterator[Prediction]:
    """The predictions of a task that writes, in order; those that the journal has are not written again."""
    held, done = journal.read(voice), 0
    journal.begin(held)
    for chunk in held:
        yield from (Prediction(*one) for one in chunk)
        done += len(chunk)
    if done:
        voice.say(f"going on after row {done:,}: {journal.place} holds what was written before")
    rest = iter(islice(iter(examples), done, None))
    try:
        while part := list(islice(rest, WRITTEN)):
            made = list(predict(task, model, part, batch_tokens=batch_tokens))
            journal.add(made)
            done += len(made)
            yield from made
    except KeyboardInterrupt:
        voice.say(f"interrupted: the same command goes on after row {done:,} (from {journal.place})")
        raise
