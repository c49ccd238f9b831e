"""Any family's tokenizer as tasks see it: text to pieces with offsets, and pieces laid out with special tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from random import Random
from typing import Any, Self

from headstart.contract import Tokens
from headstart.errors import Exit, UserError

LONG, RECENT = 300, 64  # characters of a text whose tokens are kept, and how many such texts


class FamilyTokenizer:
    """A tokenizer of the tokenizers library; `longest` is the most tokens of one feature, special ones included."""

    def __init__(self, held: Any, longest: int) -> None:
        if not getattr(held, "is_fast", False):
            raise UserError(f"The tokenizer {type(held).__name__} gives no character offsets.",
                            fix="Use a model with a tokenizer.json.", exit=Exit.UNAVAILABLE)
        self.held = held
        self.longest = longest
        self.recent: dict[str, Tokens] = {}
        self.ordinary: list[int] = []
        self.backend = held.backend_tokenizer
        # Some published tokenizers cut or pad by themselves; a text must never be cut without a word.
        self.backend.no_truncation()
        self.backend.no_padding()
        self.single = self.template(("x",))
        self.double = self.template(("x", "x"))

    @property
    def pad_id(self) -> int:
        """The id of padding; 0 where the tokenizer has none (its places are masked in any case)."""
        found = self.held.pad_token_id
        return int(found) if found is not None else 0

    def with_types(self, wanted: bool) -> Self:
        """The same, which says in plain transformers too that a model reads segment numbers where its layout has any.

        The library's ALBERT tokenizer keeps them to itself: a pair would be read as one text.
        """
        names = self.held.model_input_names
        if wanted and "token_type_ids" not in names and any(kind for run in self.double for _, kind in run):
            self.held.model_input_names = self.held.init_kwargs["model_input_names"] = [names[0], "token_type_ids", *names[1:]]
        return self

    def with_longest(self, longest: int) -> Self:
        """The same tokenizer with another longest feature."""
        other = copy.copy(self)
        other.longest = longest
        return other

    def tokenize(self, text: str) -> Tokens:
        """Ids and offsets of a text, without special tokens and without cutting."""
        known = self.recent.get(text)
        if known is not None:
            return known
        made = self.backend.encode(text, add_special_tokens=False)
        found = Tokens(made.ids, made.offsets)
        if len(text) > LONG:  # a passage comes again with its next question
            if len(self.recent) >= RECENT:
                self.recent.clear()
            self.recent[text] = found
        return found

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each id as the tokenizer writes it."""
        found: list[str] = self.held.convert_ids_to_tokens(list(ids))
        return found

    @property
    def mask_id(self) -> int | None:
        """The id that stands for a hidden token; None where there is none."""
        found = self.held.mask_token_id
        return int(found) if found is not None else None

    def any_piece(self, draw: Random) -> int:
        """The id of an ordinary piece, drawn."""
        if not self.ordinary:
            special = set(self.held.all_special_ids)
            self.ordinary += [number for number in range(len(self.held)) if number not in special]
        return self.ordinary[draw.randrange(len(self.ordinary))]

    def template(self, texts: tuple[str, ...]) -> list[list[tuple[int, int]]]:
        """The special tokens before, between and after the parts, each with its segment number.

        Read off an encoded example, so that every family's own form is kept.
        """
        made = self.backend.encode(*texts, add_special_tokens=True)
        runs: list[list[tuple[int, int]]] = [[]]
        part = -1
        for token, kind, owner in zip(made.ids, made.type_ids, made.sequence_ids, strict=True):
            if owner is None:
                runs[-1].append((token, kind))
            elif owner != part:
                part = owner
                runs.append([])
        types = [kind for kind, owner in zip(made.type_ids, made.sequence_ids, strict=True) if owner is not None]
        self.part_types = getattr(self, "part_types", {}) | {len(texts): [types[0], types[-1]][:len(texts)]}
        return runs

    def room(self, parts: int) -> int:
        """How many tokens of the user's own fit into one feature of this many parts."""
        special = sum(len(run) for run in (self.single if parts == 1 else self.double))
        return max(1, self.longest - special)

    def lay_out(self, *parts: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and segment numbers of one feature, special tokens added."""
        runs = self.single if len(parts) == 1 else self.double
        kinds = self.part_types[len(parts)]
        ids = [token for token, _ in runs[0]]
        types = [kind for _, kind in runs[0]]
        for part, kind, run in zip(parts, kinds, runs[1:], strict=True):
            ids += part
            types += [kind] * len(part)
            ids += [token for token, _ in run]
            types += [kind for _, kind in run]
        return ids, types


def load_tokenizer(folder: str) -> Any:
    """The tokenizer of a model folder; raises UserError (69) with what is missing."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        raise UserError(f"The tokenizer of {folder} needs a package that is not here: {first_line(error)}",
                        fix="pip install 'headstart[sentencepiece]'", exit=Exit.UNAVAILABLE) from None
    except Exception as error:  # the library raises many kinds for a broken folder
        raise UserError(f"The tokenizer of {folder} cannot be read: {first_line(error)}",
                        fix="The folder needs tokenizer.json (or its family's vocabulary files); copy it again.",
                        exit=Exit.UNAVAILABLE) from None


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip().split("\n") or [type(error).__name__])[0][:300]
