"""Attribution of wrong predictions to the words of their texts: integrated gradients of the output that gave them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.contract import ErrorToExplain
from headstart.errors import UserError
from headstart.inspection.encode import EncodedText, Word, encode, split_words
from headstart.inspection.explained_output import BeamSpanOutput, ColumnOutput, ExplainedOutput, TokenOutput
from headstart.inspection.scorer import Scorer, finished, integrated_gradients
from headstart.inspection.subjects import BEAM_SPAN

if TYPE_CHECKING:
    from headstart.models.model import Model

# Points of the path at first, and where the scores miss much: five rows of MiniLM miss 2 % at most, with 24 for all
# they missed 15 %.
STEPS, MAX_STEPS = 16, 32
MAX_ERROR = 0.05  # as a share of the difference that is explained; the report shows the error


@dataclass(frozen=True)
class ErrorAttribution:
    """Words with their scores for the prediction, and what the scores miss of the output's difference from the
    baseline.
    """

    words: tuple[tuple[Word, float], ...]
    difference: float
    error: float


def explain_error(model: Model, error: ErrorToExplain) -> ErrorAttribution | None:
    """How much each word supported a wrong prediction; None where its text is longer than the model reads at once."""
    try:
        encoded = encode(model, error.text, error.pair)
    except UserError:
        return None
    output = explained_output(model, encoded, error)
    replaced = [not token.special for token in encoded.tokens]
    scorer = Scorer(model, encoded.feature, replaced, model.tokenizer.pad_id, output)
    difference = scorer.value - scorer.baseline_value
    scores, _ = finished(integrated_gradients(scorer, STEPS))
    if abs(float(scores.sum()) - difference) > MAX_ERROR * abs(difference):
        scores, _ = finished(integrated_gradients(scorer, MAX_STEPS))
    word_scores = tuple((word, float(sum(scores[token] for token in word.token_indices)))
                        for word in split_words(encoded))
    return ErrorAttribution(word_scores, difference, float(scores.sum()) - difference)


def explained_output(model: Model, encoded: EncodedText, error: ErrorToExplain) -> ExplainedOutput:
    """The output that gave the prediction: a column, or columns of the tokens that have some characters."""
    if error.column is not None:
        return ColumnOutput(error.column)
    token_columns = tuple((token_position(encoded, error, character), column)
                          for character, column in error.position_columns)
    if model.head == BEAM_SPAN:
        return BeamSpanOutput(token_columns[0][0], token_columns[1][0])
    return TokenOutput(token_columns)


def token_position(encoded: EncodedText, error: ErrorToExplain, character: int) -> int:
    """The position of the token of the last part that has this character, or of the nearest one."""
    part = "text" if error.pair is None else "pair"
    tokens = [(position, token) for position, token in enumerate(encoded.tokens) if token.part == part
              and token.begin is not None]
    return min(tokens, key=lambda pair: distance(pair[1].begin or 0, pair[1].end or 0, character))[0] if tokens else 0


def distance(begin: int, end: int, character: int) -> int:
    """How many characters a character is away from a token's."""
    return max(begin - character, character - end + 1, 0)
