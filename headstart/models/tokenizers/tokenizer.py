"""Any family's tokenizer as tasks see it: text to pieces with offsets, and pieces laid out with special tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Self

from headstart.contract import Tokens
from headstart.errors import Exit, UserError
from headstart.models.tokenizers.slow import SlowBackend, WritingBackend

LONG, RECENT = 300, 64  # characters of a text whose tokens are kept, and how many such texts


class FamilyTokenizer:
    """A tokenizer of the library; `longest` is the most tokens of one feature, special ones included.

    One written in Python tells no characters: `surface` then says which ones a piece stands for.
    """

    def __init__(self, held: Any, longest: int, surface: Callable[[str], str] | None = None) -> None:
        fast = getattr(held, "is_fast", False)
        if not fast and surface is None:
            raise UserError(f"The tokenizer {type(held).__name__} gives no character offsets.",
                            fix="Use a model with a tokenizer.json.", exit=Exit.UNAVAILABLE)
        self.held = held
        self.longest = longest
        self.recent: dict[str, Tokens] = {}
        self.ordinary: list[int] = []
        self.summary = "first"
        self.writer: Self | None = None  # the same for texts that are written, where they are not laid out as those that are read
        self.remembers = False  # whether its model carries what it read from one feature of a text to the next
        self.continues = False  # whether its model goes on with a text, so that source and target are one
        self.backend: Any = held.backend_tokenizer if fast or surface is None else SlowBackend(held, surface)
        # Some published tokenizers cut or pad by themselves; a text must never be cut without a word.
        self.backend.no_truncation()
        self.backend.no_padding()
        self.single = self.template(("x",))
        self.double = self.template(("x", "x"))
        self.bare = not any(self.single) or not self.double[1]
        if not self.double[1]:  # two parts must not run into one another
            self.double = [self.double[0], [(self.closing, 0)], self.double[2] or [(self.closing, self.part_types[2][1])]]

    @property
    def closing(self) -> int:
        """The id that ends a text where the library's form has no special tokens: its end, separator or unknown token."""
        held = self.held
        found = [one for one in (held.eos_token_id, held.sep_token_id, held.unk_token_id) if one is not None]
        if not found:
            raise UserError(f"The tokenizer {type(held).__name__} has no token that could end a text.",
                            fix="Give it an eos_token.", exit=Exit.UNAVAILABLE)
        return int(found[0])

    @property
    def closes_unsaid(self) -> bool:
        """Whether texts get a token that the library's own tokenizer, written in Python, does not add."""
        return self.bare and not self.held.is_fast

    def for_training(self, config: Any, *, closed: bool) -> Self:
        """The same for a new head: with `closed`, every text has a special token; without any (GPT-2) the closing one ends it.

        The library's own tokenizer is told too, so that plain transformers lays texts out in the same way. Padding is
        named in config and tokenizer where it has no name: by it plain transformers finds the last token of a text.
        """
        own = getattr(config, "pad_token_id", None)
        if self.held.pad_token_id is None:
            self.held.pad_token = self.pieces([self.closing if own is None else own])[0]
        if own is None:
            config.pad_token_id = self.pad_id
        if closed and not any(self.single):
            self.single = [[], [(self.closing, 0)]]
        if closed and self.bare and getattr(self.held, "closes", False):  # our own in Python, which its files can tell
            self.held.closes_texts()
            self.single, self.double = self.template(("x",)), self.template(("x", "x"))
            self.bare = False
        if closed and self.bare and self.held.is_fast:
            from tokenizers import processors

            special = {token: self.pieces([token])[0] for runs in (self.single, self.double) for run in runs for token, _ in run}
            forms = [" ".join(written(runs, self.part_types[len(runs) - 1], special)) for runs in (self.single, self.double)]
            self.backend.post_processor = processors.TemplateProcessing(
                single=forms[0], pair=forms[1], special_tokens=[(piece, token) for token, piece in special.items()])
        return self

    @property
    def pad_id(self) -> int:
        """The id of padding; 0 where the tokenizer has none (its places are masked in any case)."""
        found = self.held.pad_token_id
        return int(found) if found is not None else 0

    @property
    def end_id(self) -> int | None:
        """The id that ends a text; None where there is none."""
        found = self.held.eos_token_id if self.held.eos_token_id is not None else self.held.sep_token_id  # BERT's [SEP]
        return int(found) if found is not None else None

    @property
    def start_id(self) -> int | None:
        """The id that begins a text for a model that writes: its start token, else its end token."""
        found = self.held.bos_token_id if self.held.bos_token_id is not None else self.held.cls_token_id  # BERT's [CLS]
        return int(found) if found is not None else self.end_id

    def as_prompt(self, text: str, *, chat: bool) -> str:
        """A prompt as the model's chat template lays it out up to where the response begins; else with a line's end."""
        if not chat or not self.held.chat_template:
            return f"{text}\n"
        made: str = self.held.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        return made

    def with_types(self, wanted: bool) -> Self:
        """The same, which says in plain transformers too that a model reads segment numbers where its layout has any.

        The library's ALBERT tokenizer keeps them to itself: a pair would be read as one text.
        """
        names = self.held.model_input_names
        if wanted and "token_type_ids" not in names and any(kind for run in self.double for _, kind in run):
            self.held.model_input_names = self.held.init_kwargs["model_input_names"] = [names[0], "token_type_ids", *names[1:]]
        return self

    def with_summary(self, how: str) -> Self:
        """The same for a family whose heads read the "last" token, or the first."""
        self.summary = how
        return self

    def with_memory(self, remembers: bool) -> Self:
        """The same for a model that reads a long text piece by piece and remembers, or for one that does not."""
        self.remembers = remembers
        return self

    def with_head(self, continues: bool) -> Self:
        """The same for a head that goes on with a text, or for one that does not."""
        self.continues = continues
        return self

    def summary_place(self, length: int) -> int:
        """The place of the token that stands for a feature of this many tokens: the first, for a decoder the last."""
        return length - 1 if self.summary == "last" else 0

    @property
    def target(self) -> Self:
        """The same for texts that are written: another language, vocabulary or limit where the model has two."""
        return self if self.writer is None else self.writer

    def with_writer(self, longest: int) -> Self:
        """The same for an encoder-decoder, whose own texts have at most so many tokens."""
        other = copy.copy(self)
        other.longest, other.recent = longest, {}
        if "_switch_to_target_mode" in vars(type(self.held)):  # Marian has two vocabularies, mBART two languages
            other.backend = WritingBackend(self.backend, self.held)
            other.single = other.template(("x",))
        made = copy.copy(self)
        made.writer = other
        return made

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

    def tokenize_whole(self, text: str) -> Tokens:
        """Ids and offsets of a text with this family's special tokens, which stand for no characters: (0, 0)."""
        held = self.tokenize(text)
        ids, _ = self.lay_out(held.ids)
        places, _ = self.lay_out([-1 - place for place in range(len(held.ids))])  # whose each place is
        offsets = held.offsets and [held.offsets[-1 - place] if place < 0 else (0, 0) for place in places]
        return Tokens(ids, offsets)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each id as the tokenizer writes it."""
        found: list[str] = self.held.convert_ids_to_tokens(list(ids))
        return found

    @property
    def unknown_id(self) -> int | None:
        """The id that stands for what the vocabulary cannot spell; None where it is also the end's (GPT-2), and never needed."""
        found = self.held.unk_token_id
        return int(found) if found is not None and found not in (self.end_id, self.start_id) else None

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
        return (ids, types) if ids else ([self.closing], [0])  # an empty text is a text


def written(runs: Sequence[Sequence[tuple[int, int]]], kinds: Sequence[int], special: Mapping[int, str]) -> list[str]:
    """A layout in the form of the tokenizers library: ["$A:0", "</s>:0", "$B:1", "</s>:1"]."""
    found = [f"{special[token]}:{kind}" for token, kind in runs[0]]
    for name, part, run in zip("AB", kinds, runs[1:], strict=False):
        found += [f"${name}:{part}", *(f"{special[token]}:{kind}" for token, kind in run)]
    return found


def load_tokenizer(folder: str, unnamed: str | None = None) -> Any:
    """The tokenizer of a model folder; raises UserError (69) with what is missing.

    `unnamed` is the family's model_type where config.json, written before 2020, does not tell it.
    """
    from transformers import CONFIG_MAPPING, AutoTokenizer

    more = {} if unnamed is None else {"config": CONFIG_MAPPING[unnamed]()}
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **more)
    except ImportError as error:
        package = "sacremoses" if "sacremoses" in str(error) else "'headstart[sentencepiece]'"
        raise UserError(f"The tokenizer of {folder} needs a package that is not here: {first_line(error)}",
                        fix=f"pip install {package}", exit=Exit.UNAVAILABLE) from None
    except Exception as error:  # the library raises many kinds for a broken folder
        raise UserError(f"The tokenizer of {folder} cannot be read: {first_line(error)}",
                        fix="The folder needs tokenizer.json (or its family's vocabulary files); copy it again.",
                        exit=Exit.UNAVAILABLE) from None


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip().split("\n") or [type(error).__name__])[0][:300]
