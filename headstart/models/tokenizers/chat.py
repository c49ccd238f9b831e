"""Conversations as token ids by a chat template: its control tokens are tokens, those that the turns spell are text."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from headstart.errors import Exit, UserError
from headstart.models.tokenizers.chat_template import WITHOUT, ChatTemplate, Conversation
from headstart.models.tokenizers.control_tokens import ControlTokens

# noncharacters of Unicode, one of which marks a control token that a turn spells while the template is applied
MARKS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
Key = tuple[tuple[tuple[str, str], ...], bool]


class ChatTokenizer:
    """The chat template of a tokenizer with what its text becomes."""

    def __init__(self, hf_tokenizer: Any, backend: Any, control: ControlTokens) -> None:
        self.hf_tokenizer, self.backend, self.control = hf_tokenizer, backend, control
        self.texts_ahead: dict[Key, tuple[str, str]] = {}  # replaced as a whole: threads may share it

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer has a chat template."""
        return bool(self.hf_tokenizer.chat_template)

    @property
    def control_ids(self) -> frozenset[int]:
        """The ids that no text becomes."""
        return self.control.ids

    def spelled_in(self, text: str) -> list[str]:
        """The control tokens that a text spells."""
        return self.control.spelled_in(text)

    @cached_property
    def template(self) -> ChatTemplate:
        """The template that is used where there are several: the one named default; raises UserError (69)."""
        templates = self.hf_tokenizer.chat_template
        template = templates.get("default") if isinstance(templates, dict) else templates
        if not isinstance(template, str):
            names = ", ".join(map(str, templates)) if isinstance(templates, dict) else type(templates).__name__
            raise UserError(f"The tokenizer has no chat template of the name default; it has {names}.",
                            fix=WITHOUT, exit=Exit.UNAVAILABLE)
        return ChatTemplate(template, self.hf_tokenizer.special_tokens_map)

    def ids(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Each conversation as ids; one that asks (True), up to where the answer begins. Raises UserError (65, 69, 77).

        Where no turn spells a control token, the ids are those of plain transformers' apply_chat_template.
        """
        keys, texts = list(map(key_of, conversations)), self.texts_ahead
        if not all(key in texts for key in keys):
            texts = self.texts(conversations)
        return [self.ids_of(*texts[key]) for key in keys]

    def read_ahead(self, conversations: Sequence[Conversation]) -> None:
        """Render many at once: asking the process that renders takes longer than what it does.

        What cannot be rendered is told when it is asked for, alone.
        """
        self.texts_ahead = {}
        with contextlib.suppress(UserError):
            self.texts_ahead = self.texts(conversations) if conversations else {}

    def texts(self, conversations: Sequence[Conversation]) -> dict[Key, tuple[str, str]]:
        """What the template makes of each conversation, and the mark in it; raises UserError."""
        distinct = {key_of(conversation): conversation for conversation in conversations}
        mark = self.mark(conversations)
        marked_conversations = [([{**message, "content": self.with_mark(message["content"], mark)}
                                  for message in messages], asks) for messages, asks in distinct.values()]
        return {key: (text, mark) for key, text in zip(distinct, self.template.render(marked_conversations),
                                                       strict=True)}

    def mark(self, conversations: Sequence[Conversation]) -> str:
        """A character that no turn holds; raises UserError (65) where there is none."""
        texts = [message["content"] for messages, _ in conversations for message in messages]
        mark = next((mark for mark in MARKS if not any(mark in text for text in texts)), None)
        if mark is None:
            raise UserError("A conversation holds every noncharacter from U+FDD0 to U+FDEF.",
                            fix="Leave them out: they are not text.", exit=Exit.DATA)
        return mark

    def with_mark(self, text: str, mark: str) -> str:
        """A turn in which no control token is spelled whole: the mark stands behind the first character of each."""
        return self.control.control_pattern.sub(lambda match: f"{match[0][0]}{mark}{match[0][1:]}", text)

    def ids_of(self, text: str, mark: str) -> list[int]:
        """What the template wrote as ids; tokens that are marked are read as text."""
        if mark not in text:
            return list(self.backend.encode(text, add_special_tokens=False).ids)
        plain_text, spans, position = "", [], 0
        for match in self.control.written_pattern.finditer(text):
            plain_text += text[position:match.start()].replace(mark, "")
            spans.append((len(plain_text), len(plain_text) + len(match[0])))
            plain_text, position = plain_text + match[0], match.end()
        return list(self.control.read_around(plain_text + text[position:].replace(mark, ""), spans).ids)


def key_of(conversation: Conversation) -> Key:
    """A conversation as the key of its text."""
    messages, asks = conversation
    return tuple((message["role"], message["content"]) for message in messages), asks
