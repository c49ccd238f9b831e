"""How a prompt becomes tokens: one function for training, generation, prediction and the report's samples.

    "prompt"   <start> the prompt, a line end, then the response <end>; further turns likewise
    "chat"     what the tokenizer's chat template makes of the turns

L tokens of a conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headstart.contract import Task, Tokenizer
from headstart.errors import Exit, UserError

Layout = Literal["raw", "prompt", "chat"]
LAYOUTS: tuple[Layout, ...] = ("raw", "prompt", "chat")
ANSWERS = "assistant"  # the role of what is learned and generated
GENERATED = "generated"  # the role of a feature after which a text is generated


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: who speaks (system, user, assistant), and the text."""

    role: str
    content: str

    @property
    def is_answer(self) -> bool:
        """Whether it is what the model says."""
        return self.role == ANSWERS


@dataclass(frozen=True)
class LaidOut:
    """A conversation as ids, (L,), and the spans [start, end) of those that are learned: answers with their end."""

    ids: list[int]
    learned: list[tuple[int, int]]


def learned_layout(task: Task[Any]) -> Layout | None:
    """The layout that a run was trained in; None for a model that is not a run's. Raises UserError (69)."""
    layout = None if task.state is None else task.state.values.get("layout")
    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"headstart.json says that texts were laid out as {layout!r}; there is {', '.join(LAYOUTS)}.",
                        fix="Copy the model folder again, or train again.", exit=Exit.UNAVAILABLE)
    return layout


def learns_prompts(task: Task[Any]) -> bool:
    """Whether a run was trained on prompts with responses; raises UserError (69)."""
    return learned_layout(task) not in (None, "raw")


def layout_of(task: Task[Any], tokenizer: Tokenizer) -> Layout:
    """The layout of a task's prompts: as it was trained, else the chat template where there is one and the task wants
    it.
    """
    learned = learned_layout(task)
    if learned is not None and learned != "raw":
        return learned
    return "chat" if task.settings.chat and tokenizer.chat.has_template else "prompt"


def prompt_ids(turns: Sequence[Turn], tokenizer: Tokenizer, layout: Layout) -> list[int]:
    """The turns up to where the answer begins; raises UserError for a chat template that cannot be used."""
    if layout == "chat":
        return tokenizer.chat.ids([(messages(turns), True)])[0]
    return plain_layout(turns, tokenizer).ids


def lay_out(turns: Sequence[Turn], tokenizer: Tokenizer, layout: Layout) -> LaidOut:
    """A conversation with its answers; raises UserError for a chat template that cannot be used."""
    return chat_layout(turns, tokenizer) if layout == "chat" else plain_layout(turns, tokenizer)


def plain_layout(turns: Sequence[Turn], tokenizer: Tokenizer) -> LaidOut:
    """Without a template: a line end after each turn, and the end token after each answer."""
    ids = [token for token in (tokenizer.start_id,) if token is not None]
    end_ids = [token for token in (tokenizer.end_id,) if token is not None]
    learned = []
    for turn in turns:
        start = len(ids)
        ids += tokenizer.tokenize(turn.content if turn.is_answer else f"{turn.content}\n").ids
        if turn.is_answer:
            ids += end_ids
            learned.append((start, len(ids)))
    return LaidOut(ids, learned)


def chat_layout(turns: Sequence[Turn], tokenizer: Tokenizer) -> LaidOut:
    """By the chat template: what it writes after asking, up to the token that ends the turn, is learned.

    An answer that the template writes otherwise than it asks for it is not learned; the last one is then appended to
    what asks for it, with the end token.
    """
    answers = [index for index, turn in enumerate(turns) if turn.is_answer and index > 0]
    conversation_ids, *parts = tokenizer.chat.ids(chat_requests(turns))
    prompt_parts, answer_parts = parts[::2], parts[1::2]
    end_ids = [token for token in (tokenizer.end_id,) if token is not None]
    ends_with_answer = bool(answers) and answers[-1] == len(turns) - 1
    if ends_with_answer and conversation_ids[:len(prompt_parts[-1])] != prompt_parts[-1]:
        conversation_ids = answer_parts[-1] = [*prompt_parts[-1], *tokenizer.tokenize(turns[-1].content).ids, *end_ids]
    learned = [span for before, after in zip(prompt_parts, answer_parts, strict=True)
               if (span := answer_span(conversation_ids, before, after, tokenizer.chat.control_ids)) is not None]
    if ends_with_answer and learned and conversation_ids[learned[-1][1] - 1] not in tokenizer.chat.control_ids:
        conversation_ids = [*conversation_ids, *end_ids]
        learned[-1] = (learned[-1][0], len(conversation_ids))
    return LaidOut(conversation_ids, learned)


def chat_requests(turns: Sequence[Turn]) -> list[tuple[list[dict[str, str]], bool]]:
    """What the template is applied to: the conversation, and for each answer what asks for it and what ends with it."""
    return [(messages(turns), False), *(
        request for index, turn in enumerate(turns) if turn.is_answer and index > 0
        for request in ((messages(turns[:index]), True), (messages(turns[:index + 1]), False)))]


def read_ahead(conversations: Sequence[Sequence[Turn]], tokenizer: Tokenizer, layout: Layout) -> None:
    """Lay out many conversations at once, which are encoded next."""
    if layout == "chat":
        tokenizer.chat.read_ahead([request for turns in conversations for request in (
            chat_requests(turns) if turns[-1].is_answer else [*chat_requests(turns), (messages(turns), True)])])


def answer_span(conversation_ids: Sequence[int], before: Sequence[int], after: Sequence[int],
                control_ids: frozenset[int]) -> tuple[int, int] | None:
    """Where an answer stands in a conversation, between what asks for it and what follows it, its end token included;
    None where the conversation does not begin with what asks for it.
    """
    start = shared_length(conversation_ids, before)
    end = shared_length(conversation_ids, after)
    if end < len(after) and conversation_ids[end:end + 1] and conversation_ids[end] in control_ids:
        end += 1  # the turn ends otherwise where another follows
    if start < len(before) or end <= start:
        return None
    ends = [position + 1 for position in range(start, end) if conversation_ids[position] in control_ids]
    return start, ends[-1] if ends else end


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two lists begin with alike."""
    shortest = min(len(first), len(second))
    return next((index for index in range(shortest) if first[index] != second[index]), shortest)


def turn_end_id(tokenizer: Tokenizer) -> int | None:
    """The token with which the chat template ends an answer; None where it writes none. Raises UserError."""
    laid_out = chat_layout([Turn("user", "Hello"), Turn(ANSWERS, "Hello")], tokenizer)
    last = [laid_out.ids[end - 1] for _, end in laid_out.learned[-1:]]
    return next((token for token in last if token in tokenizer.chat.control_ids), None)


def messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Turns as a chat template reads them."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]
