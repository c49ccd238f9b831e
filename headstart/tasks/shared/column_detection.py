"""Which columns of a file look like texts, which like targets, and which can be neither."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from headstart.contract import Column, Detection

MAX_INTEGER_CLASSES = 20  # integer targets with more values are numbers, not classes
MIN_IDENTIFIER_DIGITS = 7
MAX_EMPTY_SHARE = 0.5  # a column that is emptier is no target
EXACT, PARTIAL, BY_VALUE = 3, 2, 1  # how a column is known: by its name, by a word of its name, by what it holds

# Words of a column's name that say what it is for; of a compound name ("review_text") the last word counts most.
TEXT_WORDS = frozenset((
    "text", "texts", "sentence", "review", "content", "contents", "comment", "comments", "tweet", "message", "msg",
    "body", "document", "query", "utterance", "question", "description", "excerpt", "essay", "post", "narrative",
    "transcript", "feedback", "complaint", "abstract", "article", "paragraph", "statement", "lyrics", "news", "sms",
    "email", "mail", "request", "answer", "response"))
TITLE_WORDS = frozenset((
    "title", "headline", "headlines", "subject", "name", "summary", "keyword", "keywords", "topic", "betreff", "titel"))
LABEL_WORDS = frozenset((
    "label", "labels", "category", "categories", "class", "intent", "sentiment", "target", "topic", "stars", "rating",
    "score", "polarity", "emotion", "stance", "genre", "priority", "severity", "kategorie", "klasse", "categoria",
    "categorie", "etiqueta", "thema", "bewertung", "sterne", "abteilung", "department"))
FOREIGN_TEXT_ENDINGS = ("text", "texte", "texto", "testo", "tekst", "nachricht", "beschreibung", "kommentar",
                        "anfrage", "mitteilung", "commentaire", "comentario", "mensaje", "descripcion", "rezension")
# A column of one of these words identifies, dates, counts or judges its row, or was made by headstart: no target.
NEVER_TARGET_WORDS = frozenset((
    "id", "ids", "idx", "index", "uuid", "guid", "key", "hash", "url", "uri", "link", "href", "row", "line", "number",
    "nr", "no", "num", "seq", "sequence", "timestamp", "date", "time", "datetime", "created", "updated", "modified",
    "year", "month", "day", "hour", "lat", "latitude", "lon", "lng", "long", "longitude", "zip", "zipcode",
    "postcode", "phone", "email", "user", "username", "userid", "author", "authors", "name", "ip", "version", "page",
    "offset", "length", "len", "count", "counts", "likes", "retweets", "votes", "upvotes", "helpful", "funny", "cool",
    "useful", "favorites", "views", "followers", "confidence", "conf", "probability", "probabilities", "prob",
    "certainty", "agreement", "trusted", "annotator", "annotators", "worker", "hit", "assignment", "split", "fold",
    "subset", "prediction", "predicted", "logit", "logits", "document", "datum", "uhrzeit", "kundennr", "unnamed",
    "stderr", "error"))
# Of a row in a survey; "weight in kg" is another thing.
ROW_WEIGHTS = ("weight", "weights", "gewicht", "sample_weight", "survey_weight")
TARGET_NAME_EXCEPTIONS = frozenset(("class_index", "y"))  # AG News and a Kaggle habit: a target in spite of its name
GENERIC_TARGET_NAMES = ("label", "gold_label", "labels", "class", "target", "class_index", "y")
QUESTION_NAMES = ("question", "query")
PASSAGE_NAMES = ("passage", "context", "document", "paragraph", "article", "sentence")
PROMPT_NAMES, RESPONSE_NAMES = ("prompt", "instruction"), ("response", "completion", "output")
WITH_PROMPTS = 0.9  # confidence of a label beside prompts with responses, which are for a language model as likely
# 1,5 and 1.234,50; $3.99, 12 €, EUR 3,50; 50 %.
AMOUNT, CURRENCY = r"[0-9]+([.,][0-9]+)*", "[$€£¥]|EUR|USD|GBP|CHF"
WRITTEN_NUMBER = re.compile(rf"[+-]?([0-9.]*[0-9],[0-9]+|({CURRENCY}) ?{AMOUNT}|{AMOUNT} ?({CURRENCY}|%))")
YES_OR_NO = {"yes", "no", "true", "false"}


def first_named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the first of these names that exists."""
    lowered = {column.name.lower(): column for column in reversed(columns)}
    return next((lowered[name] for name in names if name in lowered), None)


def name_words(name: str) -> list[str]:
    """The words of a column's name, in lower case: "Review Text", "reviewText" and "review_text" are the same."""
    spaced = re.sub(r"(?<=[a-zäöüß0-9])(?=[A-ZÄÖÜ])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def plain_name(name: str) -> str:
    """A name as the lists of names have it: "Class Index" -> "class_index"."""
    return "_".join(name_words(name))


def filled_values(column: Column) -> list[str]:
    """The values of a column that say something, as text."""
    return [str(value) for value in column.values if value is not None and str(value).strip()]


def distinct_labels(column: Column) -> set[str]:
    """The different values of a column, as text."""
    return set(filled_values(column))


def has_recurring_labels(column: Column) -> bool:
    """Whether the values recur like labels: recurring strings, or at most 20 different integers."""
    distinct = distinct_labels(column)
    if holds_written_numbers(column):
        return False
    if all(is_number(value) for value in distinct):
        return len(distinct) <= MAX_INTEGER_CLASSES and not any("." in value or "e" in value.lower()
                                                                for value in distinct)
    return len(distinct) <= max(20, len(column.values) / 2)


def is_written_number(text: str) -> bool:
    """Whether a text is a number as people write it, which is not read as one: 1,5 or $3.99 or 12 %."""
    return WRITTEN_NUMBER.fullmatch(text.strip()) is not None


def holds_written_numbers(column: Column) -> bool:
    """Whether all values are numbers, and some are written with a decimal comma, a currency or a percent sign."""
    distinct = distinct_labels(column)
    return any(map(is_written_number, distinct)) and all(is_number(value) or is_written_number(value)
                                                         for value in distinct)


def is_number(text: str) -> bool:
    """Whether a text is a number: 3, -2.5 or 1e3, not nan and not 1_000."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def is_row_counter(column: Column) -> bool:
    """Whether integers only grow, as in a column that counts the rows."""
    values = [float(value) for value in filled_values(column) if is_number(value)]
    return all(value % 1 == 0 for value in values) and all(first < second for first, second in pairwise(values))


def is_identifier(column: Column) -> bool:
    """Whether a column holds a different whole number of seven digits or more in every row."""
    values = filled_values(column)
    return len(values) > 2 and len(set(values)) == len(values) and all(
        value.isdecimal() and len(value) >= MIN_IDENTIFIER_DIGITS for value in values)


def can_be_target(column: Column, target_names: Sequence[str]) -> bool:
    """Whether a column may be a target: its name says so, or does at least not say that it identifies, dates, counts or
    judges a row.
    """
    plain = plain_name(column.name)
    if plain in target_names or plain in TARGET_NAME_EXCEPTIONS:
        return True
    if not column.name.strip() or plain in ROW_WEIGHTS or NEVER_TARGET_WORDS & set(name_words(column.name)):
        return False
    return len(filled_values(column)) > MAX_EMPTY_SHARE * len(column.values)


def name_strength(column: Column, names: Sequence[str], words: frozenset[str]) -> int:
    """EXACT for one of the names, PARTIAL where the name's first or last word is one of `words`, else BY_VALUE."""
    if plain_name(column.name) in names or plain_name(column.name) in TARGET_NAME_EXCEPTIONS:
        return EXACT
    parts = name_words(column.name)
    return PARTIAL if parts and words & {parts[0], parts[-1]} else BY_VALUE


def first_by_name(columns: Sequence[Column], names: Sequence[str]) -> Column:
    """The column whose name comes first in a list of names; one that is not in it comes last."""
    ranks = {name: rank for rank, name in enumerate(names)}
    return min(columns, key=lambda column: ranks.get(plain_name(column.name), len(ranks)))


def label_columns(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    """The columns that are labels by the strongest sign there is: more than one where they are equally likely.

    Of exact names the first in the list counts, where it is one that only targets have ("label" before "category").
    """
    strengths: dict[int, list[Column]] = {}
    for column in columns:
        if not (can_be_target(column, names) and has_recurring_labels(column)):
            continue
        strength = name_strength(column, names, LABEL_WORDS)
        if strength == EXACT or 2 <= len(distinct_labels(column)) <= len(column.values) / 2:
            strengths.setdefault(strength, []).append(column)
    best = strengths.get(max(strengths, default=0), [])
    generic = [column for column in best if plain_name(column.name) in GENERIC_TARGET_NAMES]
    return [first_by_name(generic, names)] if generic else best


def mean_words(column: Column) -> float:
    """How many words a value has on average."""
    return sum(len(str(value).split()) for value in column.values) / max(1, len(column.values))


def holds_texts(column: Column) -> bool:
    """Whether a column may be a text: it holds letters, and its name does not say that it identifies a row."""
    values = filled_values(column)[:100]
    identifies_rows = {"id", "ids", "uuid", "guid", "hash", "url", "key"} & set(name_words(column.name)[-1:])
    if any(isinstance(value, dict) for value in column.values[:100]):
        return False  # an object: one of its parts may be a text, and only the user says which
    return bool(values) and not identifies_rows and not all(is_number(value) for value in values)


def text_strength(column: Column, names: Sequence[str]) -> int:
    """EXACT for a name that texts have, PARTIAL for a title's, BY_VALUE for others."""
    parts, plain = name_words(column.name), plain_name(column.name)
    if parts and parts[-1] in TITLE_WORDS:
        return PARTIAL
    if plain in names or (parts and (parts[-1] in TEXT_WORDS or parts[-1].endswith(FOREIGN_TEXT_ENDINGS))):
        return EXACT
    return BY_VALUE


def text_columns(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    """The columns that are the text by the strongest sign there is: more than one where they are equally likely.

    A column called `text` is the text; without a telling name, the longest one that has several words is.
    """
    usable = [column for column in columns if holds_texts(column)]
    strengths: dict[int, list[Column]] = {EXACT: [], PARTIAL: [], BY_VALUE: []}
    for column in usable:
        strengths[text_strength(column, names)].append(column)
    exact = strengths[EXACT]
    if exact:
        first = next((column for column in exact if column.name.lower() == "text"), None)
        longest = max(map(mean_words, exact))
        return [first] if first is not None else [column for column in exact if mean_words(column) >= longest / 2]
    longest_column = max((*strengths[PARTIAL], *strengths[BY_VALUE]), key=mean_words, default=None)
    if longest_column is not None and mean_words(longest_column) >= 2:
        return [longest_column]
    return strengths[PARTIAL][:1]


def question_pair(columns: Sequence[Column]) -> tuple[Column, Column] | None:
    """A question and the text that it is asked about, where such columns are there: both are read for a label."""
    texts = [column for column in columns if holds_texts(column)]
    question, passage = first_named(texts, QUESTION_NAMES), first_named(texts, PASSAGE_NAMES)
    return None if question is None or passage is None else (question, passage)


def yes_or_no_column(columns: Sequence[Column]) -> Column | None:
    """A column of answers that are nothing but yes and no, or true and false: classes, no texts."""
    column = first_named(columns, ("answer", "answers"))
    values = {value.strip().lower() for value in filled_values(column)} if column is not None else set()
    return column if values and values <= YES_OR_NO else None


def is_answered_prompt(columns: Sequence[Column], text: Column) -> bool:
    """Whether a text is a prompt or its response, both of which are there: a label of one leaves the other unread."""
    pair = first_named(columns, PROMPT_NAMES), first_named(columns, RESPONSE_NAMES)
    return None not in pair and text in pair


def column_choices(choices: Sequence[Mapping[str, str]], confidence: float, reason: str) -> Detection:
    """A detection of the first choice of columns; the others are alternatives that the user is asked about."""
    return Detection(choices[0], confidence, reason, choices[1:])
