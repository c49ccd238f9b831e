"""A row of a language model: a text, a prompt with its response, or a conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Column, Detection, Example, Field, Json, Piece, Prediction, Row, RowFault
from headstart.errors import Exit, Finding, UserError
from headstart.tasks.shared.column_detection import first_named
from headstart.tasks.shared.list_cells import parse_list
from headstart.tasks.shared.prompt_layout import ANSWERS, Turn
from headstart.tasks.shared.text_blocks import TextBlock
from headstart.tasks.shared.text_pairs import TEXT_NAMES, cell_text

PROMPT_NAMES, RESPONSE_NAMES = ("prompt", "instruction", "input"), ("response", "completion", "output", "answer")
MESSAGE_NAMES = ("messages", "conversation", "conversations")
ROLES = ("system", "developer", "user", ANSWERS)
TOOL_ROLES, TOOL_CALLS = ("tool", "function"), ("tool_calls", "function_call")
MESSAGES_FIX = 'Write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].'
FIELDS = (
    Field("text", "the text", required=False, aliases=TEXT_NAMES),
    Field("prompt", "what precedes the response; no loss is computed on it", required=False, aliases=PROMPT_NAMES,
          instead_of=("text",)),
    Field("messages", 'a conversation: [{"role": "user", "content": "…"}, …]; every turn of the assistant is learned',
          type="list", required=False, aliases=MESSAGE_NAMES, instead_of=("text", "prompt", "response")),
    Field("response", "the response to the prompt", required=False, target=True, aliases=RESPONSE_NAMES),
)


@dataclass(frozen=True)
class PromptedText(Example):
    """A text, or a conversation with its answers as the text: a prompt with its response is one of two turns.

    With `asks`, it ends where an answer is to be generated.
    """

    text: str
    prompt: str | None = None
    is_block: bool = False  # whether it is a block of a longer text, and continues the previous block
    piece: Piece | None = None  # of which running text it is a piece
    block: TextBlock | None = None  # the tokens that a block of a running text is
    turns: tuple[Turn, ...] = ()  # of a conversation
    asks: bool = False

    @property
    def full_text(self) -> str:
        """Prompt and text."""
        return self.text if self.prompt is None else f"{self.prompt}\n{self.text}"

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """The turns, also of a prompt with its response; none of a text."""
        if self.prompt is None or self.turns:
            return self.turns
        return (Turn("user", self.prompt), *(() if self.asks else (Turn(ANSWERS, self.text),)))


def detection(columns: Sequence[Column]) -> Detection | None:
    """Prompts with responses, conversations, or a file with nothing but texts."""
    prompt, response = first_named(columns, PROMPT_NAMES), first_named(columns, RESPONSE_NAMES)
    if prompt is not None and response is not None:
        return Detection({"prompt": prompt.name, "response": response.name}, 0.9,
                         f"{prompt.name!r} and {response.name!r} are there")
    messages = first_named(columns, MESSAGE_NAMES)
    if messages is not None and any(isinstance(value, list) and value and isinstance(value[0], dict)
                                    and "role" in value[0] for value in messages.values[:20]):
        return Detection({"messages": messages.name}, 0.9, f"{messages.name!r} holds conversations")
    columns = [column for column in columns if column.name.lower() != "document"]
    if len(columns) != 1 or columns[0].name.lower() not in TEXT_NAMES:
        return None
    return Detection({"text": columns[0].name}, 0.4, f"the only column, {columns[0].name!r}, holds texts")


def unanswered_prompts(splits: Mapping[str, Sequence[PromptedText]]) -> list[Finding]:
    """Faults: rows to learn or score that have a prompt and no response."""
    rows_by_split = {split: [example.row for example in examples if example.asks]
                     for split, examples in splits.items()}
    return [Finding("E202", f"{len(rows):,} of {len(splits[split]):,} rows of {split} have a prompt and no response "
                            f"(first: row {rows[0]}).",
                    "Name the column of the responses (--response COLUMN), or leave such rows out.")
            for split, rows in rows_by_split.items() if rows]


def describe_conversations(splits: Mapping[str, Sequence[PromptedText]]) -> list[Finding]:
    """A note of the training conversations: how many, of how many turns, whose turns they are, and what is learned."""
    conversations = turn_count = answer_count = 0
    longest, roles = 0, Counter[str]()
    for example in splits["train"]:
        turns = example.turns
        conversations, turn_count = conversations + bool(turns), turn_count + len(turns)
        longest = max(longest, len(turns))
        roles.update({turn.role for turn in turns})
        answer_count += sum(turn.is_answer for turn in turns)
    if not conversations:
        return []
    shares = ", ".join(f"{role} in {roles[role]:,}" for role in ROLES if roles[role])
    return [Finding("N214", f"train holds {conversations:,} conversations of up to {longest} turns ({shares}); of "
                            f"{turn_count:,} turns the assistant's {answer_count:,} are learned.")]


def mixed_columns(examples: Iterable[PromptedText]) -> tuple[str, ...]:
    """The columns of predictions for rows some of which ask and others are scored; none where all are alike."""
    kinds: set[bool] = set()
    for example in examples:
        kinds.add(example.asks)
        if len(kinds) > 1:
            return ("prediction", "log_probability", "perplexity")
    return ()


def check_scored(prediction: Prediction) -> None:
    """Refuse to score a response that was generated; raises UserError (65)."""
    if "loss" not in prediction.detail:
        raise UserError(f"Row {prediction.row} has a prompt and no response: there is nothing to score.",
                        fix="Give the responses; headstart predict generates them.", exit=Exit.DATA)


def read_prompted_text(row: Row) -> PromptedText:
    """The text, prompt and response, or conversation of a row; raises RowFault where there is none."""
    if row.values.get("messages") not in (None, ""):
        return read_conversation(row)
    text, prompt, response = (cell_text(row, name) for name in ("text", "prompt", "response"))
    if prompt is not None and prompt.strip():
        return PromptedText(row.id, response or "", prompt, asks=response is None or not response.strip())
    if text is None or not text.strip():
        field = next((name for name in ("prompt", "messages") if name in row.values), "text")
        raise RowFault("E201", f"the {field} is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                       field=field)
    return PromptedText(row.id, text, piece=row.piece)


def read_conversation(row: Row) -> PromptedText:
    """The conversation of a row; raises RowFault for what is none."""
    turns = tuple(read_turn(message, index) for index, message in enumerate(parse_list(row, "messages", MESSAGES_FIX)))
    if all(turn.is_answer for turn in turns[:1]):
        raise RowFault("E338", "the conversation begins with an answer." if turns else "the conversation is empty.",
                       field="messages", fix=f"Begin with the turn that is answered. {MESSAGES_FIX}")
    answers = [turn.content for turn in turns if turn.is_answer]
    prompt_texts = [turn.content for turn in turns if not turn.is_answer]
    return PromptedText(row.id, "\n".join(answers), "\n".join(prompt_texts), turns=turns, asks=not turns[-1].is_answer)


def read_turn(message: Json, index: int) -> Turn:
    """One message as a turn; raises RowFault."""
    role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text"
                                         and isinstance(part.get("text"), str) for part in content):
        content = "".join(part["text"] for part in content)  # a text in parts, as some services write it
    if role in TOOL_ROLES or (isinstance(message, dict) and any(message.get(name) for name in TOOL_CALLS)):
        raise RowFault("E338", f"message {index} ({role}) is the call of a tool or its answer, which no model here "
                               "learns.", field="messages", fix="Leave such conversations out (--bad-rows skip), or "
                               "write calls and answers as texts of the assistant and the user.")
    if role not in ROLES or not isinstance(content, str):
        reason = (f"has the role {role!r}; there are {', '.join(ROLES)}" if isinstance(content, str)
                  else f"is {message!r:.80}: a role and a text were expected")
        raise RowFault("E338", f"message {index} {reason}.", field="messages", fix=MESSAGES_FIX)
    if not content.strip():
        raise RowFault("E338", f"message {index} ({role}) is empty.", field="messages", fix=MESSAGES_FIX)
    return Turn(role, content)
