"""What a model's tokenizer makes of the user's texts: unknown tokens, texts without any, characters that are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Example, Json, Task, Tokenizer
from headstart.data.checks.checks import RowLocation
from headstart.errors import Finding

if TYPE_CHECKING:
    from headstart.contract import Tokens

SAMPLE_ROWS = 20_000  # of more rows so many are looked at, evenly from the first to the last
WARNING_SHARE, FAULT_SHARE = 0.02, 0.5
OTHER_MODEL = ("Choose a model of the texts' language (--model; headstart models lists the families), and check that "
               "its vocabulary files are those that it was trained with.")


@dataclass
class TokenCounts:
    """Counts over the texts of a split; a character is lost where no known token stands for it (space is not counted).

    `first_row` is the first row with an unknown token or a lost character, `first_empty_row` the first without tokens.
    """

    texts: int = 0
    texts_without_tokens: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    characters: int = 0
    lost_characters: int = 0
    first_row: int | None = None
    first_empty_row: int | None = None
    example: str = ""  # the first characters that are lost
    spelling_texts: int = 0  # that spell control tokens
    first_spelling_row: int | None = None
    spelled: str = ""  # the first control token that is spelled

    def add(self, row: int, text: str, tokens: Tokens, unknown_id: int | None) -> None:
        """Count one text, the split's row of that number."""
        lost = lost_characters(text, tokens, unknown_id)
        unknown_count = 0 if unknown_id is None else list(tokens.ids).count(unknown_id)
        self.texts += 1
        self.tokens += len(tokens.ids)
        self.unknown_tokens += unknown_count
        self.characters += len("".join(text.split()))
        self.lost_characters += len(lost)
        if not len(tokens.ids):
            self.texts_without_tokens += 1
            self.first_empty_row = row if self.first_empty_row is None else self.first_empty_row
        elif (unknown_count or lost) and self.first_row is None:
            self.first_row, self.example = row, lost[:12]

    def add_spelled(self, row: int, control_tokens: Sequence[str]) -> None:
        """Count the control tokens that a text spells."""
        if control_tokens:
            self.spelling_texts += 1
            if self.first_spelling_row is None:
                self.first_spelling_row, self.spelled = row, control_tokens[0]

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that are unknown."""
        return self.unknown_tokens / max(1, self.tokens)

    @property
    def empty_share(self) -> float:
        """Share of the texts that have no tokens."""
        return self.texts_without_tokens / max(1, self.texts)

    @property
    def lost_share(self) -> float:
        """Share of the characters that are lost."""
        return self.lost_characters / max(1, self.characters)

    def json(self) -> dict[str, Json]:
        """The shares, as data.json holds them."""
        return {"texts": self.texts, "unknown_tokens": round(self.unknown_share, 6),
                "texts_without_tokens": round(self.empty_share, 6), "lost_characters": round(self.lost_share, 6)}


def lost_characters(text: str, tokens: Tokens, unknown_id: int | None) -> str:
    """The characters, without space, that no known token stands for; none where the tokenizer gives no offsets."""
    if tokens.offsets is None or (text.isascii() and unknown_id not in tokens.ids and len(tokens.ids)):
        return ""
    covered = bytearray(len(text))
    for token_id, (begin, end) in zip(tokens.ids, tokens.offsets, strict=True):
        if token_id != unknown_id:
            covered[begin:end] = b"\1" * (end - begin)
    return "".join(character for character, is_known in zip(text, covered, strict=True)
                   if not is_known and not character.isspace())


def count_tokens(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer) -> TokenCounts:
    """Count over a split's texts, at most 20,000 of them."""
    counts, total = TokenCounts(), len(examples)
    rows = range(total) if total <= SAMPLE_ROWS else np.linspace(0, total - 1, SAMPLE_ROWS).astype(int).tolist()
    for row in rows:
        text = task.dedup_key(examples[row])
        counts.add(row, text, tokenizer.tokenize(text), tokenizer.unknown_id)
        counts.add_spelled(row, tokenizer.chat.spelled_in(text))
    return counts


def check_tokens(task: Task[Any], splits: Mapping[str, Sequence[Example]], locations: Mapping[str, RowLocation],
                 tokenizer: Tokenizer, model: str) -> tuple[list[Finding], dict[str, Json]]:
    """Findings about how a model's tokenizer reads the splits, and the shares of each split.

    More than 2 % of unknown tokens, of texts without tokens or of lost characters is a warning, more than half a fault.
    """
    findings: list[Finding] = []
    shares: dict[str, Json] = {}
    for split, examples in splits.items():
        counts = count_tokens(task, examples, tokenizer)
        shares[split] = counts.json()
        findings += split_findings(counts, split, model, locations[split])
    return findings, shares


def split_findings(counts: TokenCounts, split: str, model: str, location: RowLocation) -> list[Finding]:
    """What is told of one split: of unknown tokens and lost characters the worse."""
    findings: list[Finding] = []
    for number, share, words, row in (
            (250, counts.unknown_share, f"of the {split} tokens are unknown to {model}", counts.first_row),
            (252, counts.lost_share, f"of the characters of {split} are in no token of {model}",
             counts.first_row),
            (251, counts.empty_share, f"of the {split} texts have no token in {model}: it reads nothing",
             counts.first_empty_row)):
        if share <= WARNING_SHARE or (number == 252 and (findings or row is None)):
            continue
        file, line = location(row) if row is not None else ("", None)
        example = f" (first: {counts.example!a})" if counts.example and number != 251 else ""
        findings.append(Finding(f"{'E' if share > FAULT_SHARE else 'W'}{number}",
                                f"{share:.1%} {words}{example}.", OTHER_MODEL, file, line))
    if counts.first_spelling_row is not None:
        file, line = location(counts.first_spelling_row)
        findings.append(Finding("N253", f"{counts.spelling_texts:,} of the {split} texts spell control tokens of "
                                        f"{model} (first: {counts.spelled}); they are read as text.", "",
                                file, line))
    return findings
