"""Control tokens (<s>, [SEP], <|im_end|>) that a text spells are its characters; only a template writes them as tokens.

    control = ControlTokens(hf_tokenizer, backend)
    control.read_as_text("a </s> b")                                ids of these characters, none of them the end token
    control.read_around("<|user|>a </s> b</s>", [(0, 8), (16, 20)])  control tokens at these places, between them text
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from headstart.contract import Tokens
from headstart.models.tokenizers.slow import SlowBackend

Span = tuple[int, int]
SENTINEL = re.compile(r"<extra_id_\d+>")  # of T5: what is left out of a text, or filled in


class ControlTokens:
    """The control tokens of a tokenizer, {"</s>": 2}, and how it reads a text that spells them.

    A token of one character or of space alone ("\\n") is none: a text writes it so. Nor is the unknown token, which
    stands for what cannot be spelled (unless it also ends texts), nor a blank (the mask token, T5's <extra_id_0>),
    which a text writes to have it filled in.
    """

    def __init__(self, hf_tokenizer: Any, backend: Any) -> None:
        self.backend = backend
        added_tokens = {str(token.content): (token_id, token)
                        for token_id, token in hf_tokenizer.added_tokens_decoder.items() if token.special}
        named_ids = dict(zip(hf_tokenizer.all_special_tokens, hf_tokenizer.all_special_ids, strict=True))
        token_ids = named_ids | {content: token_id for content, (token_id, _) in added_tokens.items()}
        ends = (hf_tokenizer.eos_token_id, hf_tokenizer.bos_token_id, hf_tokenizer.sep_token_id,
                hf_tokenizer.cls_token_id)
        self.unknown_id = hf_tokenizer.unk_token_id  # of GPT-2 it is also the end token
        self.written_ids = {content: int(token_id) for content, token_id in token_ids.items()
                            if len(content.strip()) > 1 and token_id is not None
                            and (token_id != self.unknown_id or token_id in ends)}
        self.token_ids = {content: token_id for content, token_id in self.written_ids.items()
                          if content != str(hf_tokenizer.mask_token) and not SENTINEL.fullmatch(content)}
        self.ids = frozenset(self.token_ids.values())
        # tokens that take the space before or behind them, as the mask token of RoBERTa does
        self.takes_space = {content: (bool(token.lstrip), bool(token.rstrip))
                            for content, (_, token) in added_tokens.items()}
        self.control_pattern, self.written_pattern = any_of(self.token_ids), any_of(self.written_ids)
        self.blank_pattern = any_of(content for content in self.written_ids if content not in self.token_ids)

    def spelled_in(self, text: str) -> list[str]:
        """The control tokens that a text spells, in their order."""
        return self.control_pattern.findall(text)

    def read_as_text(self, text: str) -> Tokens:
        """Ids and offsets of a text, none of them a control token's; its blanks are blanks."""
        return self.read_around(text, [match.span() for match in self.blank_pattern.finditer(text)])

    def read_run(self, text: str, *, begins: bool) -> Tokens:
        """The same of a text without blanks; `begins` is whether nothing stands before it."""
        if isinstance(self.backend, SlowBackend):
            return self.read_in_parts(text)
        encoding = (self.begin_backend if begins else self.inner_backend).encode(text, add_special_tokens=False)
        return self.ordinary(Tokens(encoding.ids, encoding.offsets))

    def read_in_parts(self, text: str) -> Tokens:
        """The same by a tokenizer written in Python: what spells a token is cut behind its first character."""
        starts = [0, *(match.start() + 1 for match in self.written_pattern.finditer(text))]
        ids: list[int] = []
        offsets: list[Span] = []
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            encoding = self.backend.encode(text[start:end], add_special_tokens=False)
            ids += encoding.ids
            offsets += [(first + start, last + start) for first, last in encoding.offsets]
        return self.ordinary(Tokens(ids, offsets))

    def ordinary(self, tokens: Tokens) -> Tokens:
        """Tokens without those that a vocabulary still takes for control tokens: they must never come of a text."""
        kept_indices = [index for index, token in enumerate(tokens.ids)
                        if token not in self.ids or token == self.unknown_id]
        return Tokens([tokens.ids[index] for index in kept_indices],
                      tokens.offsets and [tokens.offsets[index] for index in kept_indices])

    def read_around(self, text: str, spans: Sequence[Span]) -> Tokens:
        """The tokens that stand at these places of a text, and what is between them as text."""
        ids: list[int] = []
        offsets: list[Span] = []
        position = 0
        for start, end in [*spans, (len(text), len(text))]:
            takes_left, takes_right = self.takes_space.get(text[start:end], (False, False))
            between = text[position:start].rstrip() if takes_left else text[position:start]
            if between:
                tokens = self.read_run(between, begins=position == 0)
                ids += tokens.ids
                offsets += [(first + position, last + position) for first, last in tokens.offsets or ()]
            if end > start:
                ids.append(self.written_ids[text[start:end]])
                offsets.append((start, end))
            position = end
            while takes_right and text[position:position + 1].isspace():
                position += 1
        return Tokens(ids, offsets)

    @cached_property
    def begin_backend(self) -> Any:
        """The tokenizer's pipeline that knows no control tokens."""
        return self.plain_backend(json.loads(self.backend.to_str()))

    @cached_property
    def inner_backend(self) -> Any:
        """The same for what follows something: what is put before a text's beginning alone is not put there."""
        pipeline = json.loads(self.backend.to_str())
        for stage in stages(pipeline.get("pre_tokenizer")):
            if stage.get("prepend_scheme") == "first":
                stage["prepend_scheme"] = "never"
        return self.plain_backend(pipeline)

    def plain_backend(self, pipeline: dict[str, Any]) -> Any:
        """A pipeline, as tokenizer.json writes it, that takes no control token from a text.

        They are not looked for, and a vocabulary that holds them (Unigram) sees them cut behind their first character.
        """
        from tokenizers import Regex, Tokenizer, pre_tokenizers

        backend = Tokenizer.from_str(json.dumps(pipeline))
        backend.encode_special_tokens = True
        if self.written_ids:
            cuts = "|".join(f"{re.escape(content[0])}(?={re.escape(content[1:])})" for content in self.written_ids)
            cut = pre_tokenizers.Split(Regex(cuts), "isolated")
            backend.pre_tokenizer = cut if backend.pre_tokenizer is None else pre_tokenizers.Sequence(
                [backend.pre_tokenizer, cut])
        return backend


def any_of(contents: Iterable[str]) -> re.Pattern[str]:
    """What finds any of these tokens, the longest first; nothing where there are none."""
    return re.compile("|".join(map(re.escape, sorted(contents, key=len, reverse=True))) or "(?!)")


def stages(step: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The stages of a step of tokenizer.json, those of sequences one by one."""
    if step is None:
        return []
    members = [member for key in ("pretokenizers", "normalizers") for member in step.get(key, ())]
    return [stage for member in members for stage in stages(member)] if members else [step]
