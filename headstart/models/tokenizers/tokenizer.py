"""Any family's tokenizer as tasks use it: text to pieces with offsets, and segments of pieces with special tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Self

from headstart.contract import Tokens
from headstart.errors import Exit, UserError, first_line, out_of_memory
from headstart.models.tokenizers import vocabulary
from headstart.models.tokenizers.chat import ChatTokenizer
from headstart.models.tokenizers.control_tokens import ControlTokens
from headstart.models.tokenizers.slow import SlowBackend

MIN_CACHED_LENGTH, MAX_CACHED_TEXTS = 300, 64  # texts of more characters are cached, at most so many
MAX_CACHED_LENGTH = 50_000  # characters of a text that is cached: windows of a book are read once


class FamilyTokenizer:
    """A tokenizer of the library; `max_length` is the most tokens of one feature, special ones included.

    One written in Python gives no offsets: `piece_text` then gives a piece's characters. Templates are the special
    tokens before, between and after the segments of a feature, [[(token id, token type), …], …].
    """

    def __init__(self, hf_tokenizer: Any, max_length: int, piece_text: Callable[[str], str] | None = None) -> None:
        is_fast = getattr(hf_tokenizer, "is_fast", False)
        if not is_fast and piece_text is None:
            raise UserError(f"The tokenizer {type(hf_tokenizer).__name__} gives no character offsets.",
                            fix="Use a model with a tokenizer.json.", exit=Exit.UNAVAILABLE)
        self.hf_tokenizer = hf_tokenizer
        self.max_length = max_length
        self.cached_tokens: dict[str, Tokens] = {}
        self.ordinary_ids: list[int] = []
        self.pooled_token = "first"
        self.target_tokenizer: Self | None = None  # for target texts, where it differs from that for sources
        self.has_memory = False  # whether its model carries states from one feature of a text to the next
        self.causal = False  # whether its model continues a text, so that source and target are one
        self.backend: Any = hf_tokenizer.backend_tokenizer if is_fast or piece_text is None else SlowBackend(
            hf_tokenizer, piece_text)
        # Some published tokenizers truncate or pad by themselves; a text must never be truncated silently.
        self.backend.no_truncation()
        self.backend.no_padding()
        self.control = ControlTokens(hf_tokenizer, self.backend)
        self.chat = ChatTokenizer(hf_tokenizer, self.backend, self.control)
        self.single_template = self.read_template(("x",))
        self.pair_template = self.read_template(("x", "x"))
        self.lacks_end_token = not any(self.single_template) or not self.pair_template[1]
        if not self.pair_template[1]:  # two segments must not run into one another
            end = self.pair_template[2] or [(self.closing_id, self.segment_types[2][1])]
            self.pair_template = [self.pair_template[0], [(self.closing_id, 0)], end]

    @property
    def closing_id(self) -> int:
        """The id that ends a text where the library adds no special tokens: its end, separator or unknown token."""
        candidates = (self.hf_tokenizer.eos_token_id, self.hf_tokenizer.sep_token_id, self.hf_tokenizer.unk_token_id)
        token_ids = [token_id for token_id in candidates if token_id is not None]
        if not token_ids:
            raise UserError(f"The tokenizer {type(self.hf_tokenizer).__name__} has no token that could end a text.",
                            fix="Give it an eos_token.", exit=Exit.UNAVAILABLE)
        return int(token_ids[0])

    @property
    def adds_unsaved_token(self) -> bool:
        """Whether texts get a token that the library's own tokenizer, written in Python, does not add."""
        return self.lacks_end_token and not self.hf_tokenizer.is_fast

    def for_training(self, config: Any, *, add_end_token: bool) -> Self:
        """For a fresh head: with `add_end_token`, every text has a special token; without any (GPT-2) the closing one
        ends it.

        The library's own tokenizer gets the same template, so that plain transformers gives the same ids. A missing
        padding token is set in config and tokenizer: by it plain transformers finds the last token of a text.
        """
        pad_id = getattr(config, "pad_token_id", None)
        if self.hf_tokenizer.pad_token_id is None:
            self.hf_tokenizer.pad_token = self.pieces([self.closing_id if pad_id is None else pad_id])[0]
        if pad_id is None:
            config.pad_token_id = self.pad_id
        if add_end_token and not any(self.single_template):
            self.single_template = [[], [(self.closing_id, 0)]]
        # Transformer-XL's saves it too
        if add_end_token and self.lacks_end_token and hasattr(self.hf_tokenizer, "add_end_token"):
            self.hf_tokenizer.add_end_token()
            self.single_template, self.pair_template = self.read_template(("x",)), self.read_template(("x", "x"))
            self.lacks_end_token = False
        if add_end_token and self.lacks_end_token and self.hf_tokenizer.is_fast:
            from tokenizers import processors

            templates = (self.single_template, self.pair_template)
            special_tokens = {token: self.pieces([token])[0] for template in templates for run in template
                              for token, _ in run}
            single, pair = (" ".join(template_pieces(template, self.segment_types[len(template) - 1], special_tokens))
                            for template in templates)
            self.backend.post_processor = processors.TemplateProcessing(
                single=single, pair=pair, special_tokens=[(piece, token) for token, piece in special_tokens.items()])
        return self

    @property
    def pad_id(self) -> int:
        """The id of padding; 0 where the tokenizer has none (padding is masked in any case)."""
        token_id = self.hf_tokenizer.pad_token_id
        return int(token_id) if token_id is not None else 0

    @property
    def end_id(self) -> int | None:
        """The id that ends a text; None where there is none."""
        token_id = self.hf_tokenizer.eos_token_id
        token_id = self.hf_tokenizer.sep_token_id if token_id is None else token_id  # BERT's [SEP]
        return int(token_id) if token_id is not None else None

    @property
    def start_id(self) -> int | None:
        """The id that starts a generated text: the start token's, else the end token's."""
        token_id = self.hf_tokenizer.bos_token_id
        token_id = self.hf_tokenizer.cls_token_id if token_id is None else token_id  # BERT's [CLS]
        return int(token_id) if token_id is not None else self.end_id

    def with_token_types(self, has_token_types: bool) -> Self:
        """For a model that reads token types: plain transformers gets them too where the template has any.

        The library's ALBERT tokenizer leaves them out: a pair would be read as one text.
        """
        names = self.hf_tokenizer.model_input_names
        if has_token_types and "token_type_ids" not in names and any(token_type for run in self.pair_template
                                                                     for _, token_type in run):
            names = [names[0], "token_type_ids", *names[1:]]
            self.hf_tokenizer.model_input_names = self.hf_tokenizer.init_kwargs["model_input_names"] = names
        return self

    def with_pooled_token(self, pooled_token: str) -> Self:
        """For a family whose heads read the "last" token, or the "first"."""
        self.pooled_token = pooled_token
        return self

    def with_memory(self, has_memory: bool) -> Self:
        """For a model that carries states from segment to segment of a long text, or for one that does not."""
        self.has_memory = has_memory
        return self

    def with_causal(self, causal: bool) -> Self:
        """For a head that continues a text, or for one that does not."""
        self.causal = causal
        return self

    def pooled_position(self, length: int) -> int:
        """The position of the token whose state represents a feature of this many tokens: the first, for a decoder the
        last.
        """
        return length - 1 if self.pooled_token == "last" else 0

    @property
    def target(self) -> Self:
        """The tokenizer of target texts: of another language, vocabulary or limit where the model has two."""
        return self if self.target_tokenizer is None else self.target_tokenizer

    def with_target_tokenizer(self, max_length: int) -> Self:
        """For an encoder-decoder, whose target texts have at most so many tokens."""
        target_tokenizer = copy.copy(self)
        target_tokenizer.max_length, target_tokenizer.cached_tokens = max_length, {}
        # Marian has two vocabularies, mBART two languages
        if "_switch_to_target_mode" in vars(type(self.hf_tokenizer)):
            target_tokenizer.read_target_texts()
        tokenizer = copy.copy(self)
        tokenizer.target_tokenizer = target_tokenizer
        return tokenizer

    def read_target_texts(self) -> None:
        """From now on texts are target texts (`text_target` in plain transformers); nothing is switched while they are
        tokenized, so that threads may share source and target.
        """
        if self.hf_tokenizer.is_fast:  # only the special tokens differ
            self.hf_tokenizer._switch_to_target_mode()
            self.single_template = self.read_template(("x",))
            self.hf_tokenizer._switch_to_input_mode()
            return
        self.backend = self.backend.for_targets()
        self.control = ControlTokens(self.hf_tokenizer, self.backend)
        self.single_template = self.read_template(("x",))

    def with_max_length(self, max_length: int) -> Self:
        """The same tokenizer with another limit of a feature's tokens."""
        tokenizer = copy.copy(self)
        tokenizer.max_length = max_length
        return tokenizer

    def tokenize(self, text: str) -> Tokens:
        """Ids and offsets of a text, without special tokens and without truncation.

        A control token that the text spells ("</s>") is its characters; a blank ([MASK]) is a token.
        """
        cached = self.cached_tokens.get(text)
        if cached is not None:
            return cached
        encoding = self.backend.encode(text, add_special_tokens=False)
        tokens = (Tokens(encoding.ids, encoding.offsets) if self.control.ids.isdisjoint(encoding.ids)
                  else self.control.read_as_text(text))
        if MIN_CACHED_LENGTH < len(text) <= MAX_CACHED_LENGTH:  # a passage is encoded again with its next question
            if len(self.cached_tokens) >= MAX_CACHED_TEXTS:
                self.cached_tokens.clear()
            self.cached_tokens[text] = tokens
        return tokens

    def tokenize_with_special_tokens(self, text: str) -> Tokens:
        """Ids and offsets of a text with this family's special tokens, which have no characters: (0, 0)."""
        tokens = self.tokenize(text)
        ids, _ = self.with_special_tokens(tokens.ids)
        # negative where a token stands
        sources, _ = self.with_special_tokens([-1 - index for index in range(len(tokens.ids))])
        offsets = tokens.offsets and [tokens.offsets[-1 - source] if source < 0 else (0, 0) for source in sources]
        return Tokens(ids, offsets)

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's piece of each id."""
        vocabulary_pieces: list[str] = self.hf_tokenizer.convert_ids_to_tokens(list(token_ids))
        return vocabulary_pieces

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary cannot spell; None where it is also the end token's (GPT-2), and never needed.
        """
        token_id = self.hf_tokenizer.unk_token_id
        return int(token_id) if token_id is not None and token_id not in (self.end_id, self.start_id) else None

    @property
    def mask_id(self) -> int | None:
        """The id of the mask token; None where there is none."""
        token_id = self.hf_tokenizer.mask_token_id
        return int(token_id) if token_id is not None else None

    def random_token_id(self, rng: Random) -> int:
        """The id of a random piece that is no special token."""
        if not self.ordinary_ids:
            special_ids = set(self.hf_tokenizer.all_special_ids)
            # bound whole: another thread sees all of the list or none
            self.ordinary_ids = [token_id for token_id in range(len(self.hf_tokenizer)) if token_id not in special_ids]
        return self.ordinary_ids[rng.randrange(len(self.ordinary_ids))]

    def read_template(self, texts: tuple[str, ...]) -> list[list[tuple[int, int]]]:
        """The special tokens before, between and after the segments, each with its token type.

        Read off an encoded example, so that every family has its own form.
        """
        encoding = self.backend.encode(*texts, add_special_tokens=True)
        template: list[list[tuple[int, int]]] = [[]]
        last_segment = -1
        for token, token_type, segment in zip(encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True):
            if segment is None:
                template[-1].append((token, token_type))
            elif segment != last_segment:
                last_segment = segment
                template.append([])
        types = [token_type for token_type, segment in zip(encoding.type_ids, encoding.sequence_ids, strict=True)
                 if segment is not None]
        self.segment_types = getattr(self, "segment_types", {}) | {len(texts): [types[0], types[-1]][:len(texts)]}
        return template

    def max_content_length(self, segment_count: int) -> int:
        """How many tokens of the user's texts fit into one feature of this many segments."""
        special_count = sum(len(run) for run in (self.single_template if segment_count == 1 else self.pair_template))
        return max(1, self.max_length - special_count)

    def with_special_tokens(self, *segments: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and token types of one feature, special tokens added."""
        template = self.single_template if len(segments) == 1 else self.pair_template
        segment_types = self.segment_types[len(segments)]
        ids = [token for token, _ in template[0]]
        types = [token_type for _, token_type in template[0]]
        for segment, token_type, run in zip(segments, segment_types, template[1:], strict=True):
            ids += segment
            types += [token_type] * len(segment)
            ids += [token for token, _ in run]
            types += [token_type for _, token_type in run]
        return (ids, types) if ids else ([self.closing_id], [0])  # an empty text is a text


def template_pieces(template: Sequence[Sequence[tuple[int, int]]], segment_types: Sequence[int],
                    special_tokens: Mapping[int, str]) -> list[str]:
    """A template in the form of the tokenizers library: ["$A:0", "</s>:0", "$B:1", "</s>:1"]."""
    pieces = [f"{special_tokens[token]}:{token_type}" for token, token_type in template[0]]
    for segment_name, segment_type, run in zip("AB", segment_types, template[1:], strict=False):
        pieces += [f"${segment_name}:{segment_type}",
                   *(f"{special_tokens[token]}:{token_type}" for token, token_type in run)]
    return pieces


def load_tokenizer(folder: str, assumed_model_type: str | None = None) -> Any:
    """The tokenizer of a model folder; raises UserError (69) with what is missing.

    `assumed_model_type` is the family's model_type where config.json, from before 2020, lacks it.
    """
    from transformers import CONFIG_MAPPING, AutoTokenizer

    options = {} if assumed_model_type is None else {"config": CONFIG_MAPPING[assumed_model_type]()}
    vocabulary.check_files(Path(folder))
    try:
        hf_tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
        vocabulary.check_class_files(hf_tokenizer, Path(folder))
        return hf_tokenizer
    except UserError as error:  # a vocabulary's own: whatever is wrong, this model can't be had
        raise UserError(error.message, fix=error.fix, exit=Exit.REFUSED if error.exit is Exit.REFUSED
                        else Exit.UNAVAILABLE) from None
    except ImportError as error:
        package = "sacremoses" if "sacremoses" in str(error) else "'headstart[sentencepiece]'"
        raise UserError(f"The tokenizer of {folder} needs a package that is not here: {first_line(error)}",
                        fix=f"pip install {package}", exit=Exit.UNAVAILABLE) from None
    except BaseException as error:  # the library raises many kinds for a broken folder, Rust's panics among them
        reraise_interrupts(error)
        raise UserError(f"The tokenizer of {folder} cannot be read: {first_line(error)}",
                        fix="The folder needs tokenizer.json (or its family's vocabulary files); copy it again.",
                        exit=Exit.UNAVAILABLE) from None


def reraise_interrupts(error: BaseException) -> None:
    """Raise again what ends the program, and too little memory: only errors, and panics of a library in Rust, are of
    the folder's making.
    """
    if out_of_memory(error) or (not isinstance(error, Exception) and type(error).__name__ != "PanicException"):
        raise error
