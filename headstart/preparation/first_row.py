"""One row as a model reads it: decoded tokens, special ones visible, and the target, so that a reader sees what it
is trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Feature, Json, Task
from headstart.data.examples import Examples
from headstart.errors import place_text

if TYPE_CHECKING:
    from headstart.models.tokenizers.tokenizer import FamilyTokenizer

FIRST_TOKENS, LAST_TOKENS = 60, 8  # of a long input that are shown
MAX_INPUTS, MAX_CHARACTERS = 4, 600  # inputs of one row, and characters of each, that are shown
COMPOSED_ROWS = 64  # rows from which the first input is composed, where one is made of several rows
ESCAPES = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass(frozen=True)
class FirstRow:
    """The first training row as the model reads it; `model` is "" where no tokenizer was there: then its columns.

    `inputs` are the decoded tokens of each of its inputs (of a choice, a window, a passage), long ones with a mark
    where they are cut; `tokens` how many each has; `left_out` how many inputs are not shown.
    """

    file: str
    line: int | None
    model: str
    inputs: tuple[str, ...]
    tokens: tuple[int, ...]
    target: Json
    left_out: int = 0

    def json(self) -> dict[str, Json]:
        """The same for data.json."""
        return {"file": self.file, "line": self.line, "model": self.model, "inputs": list(self.inputs),
                "tokens": list(self.tokens), "target": self.target}

    def words(self) -> list[str]:
        """The row, each of its inputs in a line where there are several, and its target."""
        place = place_text(self.file, self.line)
        target = [] if self.target is None else [f"  target: {shown_value(self.target)}"]
        if not self.model:
            return [f"first row ({place}): {self.inputs[0]}", *target]
        counts = [f"{count:,} {'token' if count == 1 else 'tokens'}" for count in self.tokens]
        head = f"first row as {self.model} reads it ({place}"
        if len(self.inputs) == 1 and not self.left_out:
            return [f"{head}, {counts[0]}): {self.inputs[0]}", *target]
        remainder = [f"  and {self.left_out:,} more inputs"] if self.left_out else []
        return [f"{head}, {len(self.inputs) + self.left_out:,} inputs):",
                *(f"  {count}: {text}" for count, text in zip(counts, self.inputs, strict=True)), *remainder, *target]

    def line_words(self) -> str:
        """The row in one line."""
        head, *further = (line.strip() for line in self.words())
        return f"{head} {' | '.join(further)}" if head.endswith(":") else "; ".join([head, *further])


def first_row(task: Task[Any], examples: Examples, tokenizer: FamilyTokenizer, model: str, seed: int) -> FirstRow:
    """The first input that is made of a split: of tasks that draw (masks, pairs), as one epoch draws it."""
    rng = Random(f"{seed}:first row")
    composed = task.compose(examples[:COMPOSED_ROWS], tokenizer, rng)
    if not len(composed):  # too few rows to make an input of
        return unread_first_row(task, examples)
    example = composed[0]
    features = task.encode(example, tokenizer, rng)
    file, line = examples.place(0)
    shown_features = features[:MAX_INPUTS]
    return FirstRow(file, line, model, tuple(decoded(tokenizer, feature.ids) for feature in shown_features),
                    tuple(map(len, shown_features)), short_value(target_of(task, example, features[0], tokenizer)),
                    len(features) - len(shown_features))


def unread_first_row(task: Task[Any], examples: Examples) -> FirstRow:
    """The first row by its columns, where there is no tokenizer to read it."""
    row = examples.rows[int(examples.indices[0])]
    targets = {field.name for field in task.fields if field.target}
    cells = "; ".join(f"{name}: {shown_value(value)}" for name, value in row.values.items() if name not in targets)
    return FirstRow(*examples.place(0), "", (cut_text(cells),), (0,), short_value(task.gold(examples[0])))


def target_of(task: Task[Any], example: Example, feature: Feature, tokenizer: FamilyTokenizer) -> Json:
    """What the model should answer: the row's gold answer, else the tokens that its first input asks for."""
    gold = task.gold(example)
    if gold is not None:
        return gold
    ids = [int(token_id) for target in feature.targets.values() if target.level == "position"
           for token_id in target.value if int(token_id) >= 0]
    return [text.strip() for text in map(tokenizer.hf_tokenizer.decode, [[token_id] for token_id in ids])] or None


def decoded(tokenizer: FamilyTokenizer, ids: Sequence[int]) -> str:
    """Tokens as text with the special ones; of many the first and the last, with how many are between them."""
    def decode(part: Sequence[int]) -> str:
        text: str = tokenizer.hf_tokenizer.decode(list(part), skip_special_tokens=False,
                                                  clean_up_tokenization_spaces=False)
        return text.translate(ESCAPES)

    hidden = len(ids) - FIRST_TOKENS - LAST_TOKENS
    if hidden <= 0:
        return cut_text(decode(ids))
    return f"{cut_text(decode(ids[:FIRST_TOKENS]))} … ({hidden:,} more) … {cut_text(decode(ids[-LAST_TOKENS:]))}"


def cut_text(text: str) -> str:
    """A text of at most 600 characters, with a mark where it is cut."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} … ({len(text) - MAX_CHARACTERS:,} more)"


def short_value(value: Json) -> Json:
    """A target without what nobody reads: long texts cut, of long lists the beginning."""
    if isinstance(value, str):
        return cut_text(value)
    if isinstance(value, Mapping):
        return {name: short_value(part) for name, part in value.items()}
    if isinstance(value, Sequence):
        parts = [short_value(part) for part in value[:FIRST_TOKENS]]
        return parts if len(value) <= FIRST_TOKENS else [*parts, f"… ({len(value) - FIRST_TOKENS:,} more)"]
    return value


def shown_value(value: Json) -> str:
    """A value in one line, as JSON."""
    return cut_text(json.dumps(short_value(value), ensure_ascii=False))
