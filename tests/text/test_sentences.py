"""Sentences end where a reader would end them, and keep their offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.text.sentences import sentence_spans, split_sentences

CASES = [
    "She left.|He stayed.|Why?|Because!",
    "Dr. Reed met Mrs. Moss at 5 p.m. on Monday.|They talked.",
    "J. R. Reed wrote it.|K. Moss did not.",
    "It grew by 3.5 percent.|Then it fell to 1,200.50 again.",
    "He said \"Stop.\"|She did not.",
    "“Is it here?” she asked.|“No,” he said.",
    "(It was late.)|The shop was shut.",
    "See https://example.org/a.b?c=1!d for more.|It helps.",
    "Write to a.reed@example.org today.|Thanks!",
    "The firm Reed Inc.|Its owner left.",
    "He moved to the U.S.|The family followed.",
    "The U.S. Congress met.|It voted.",
    "The U.S. economy grew.|It then shrank.",
    "Tea, milk, etc. are there.|Sugar is not.",
    "Use e.g. Tea or i.e. Mint here.|Good.",
    "Wait... what happened?|Nothing.",
    "Wait...|Nothing happened.",
    "It is 5 p.m.|The bell rings.",
    "See Fig. 3 and No. 5 on p. 7.|Then go on.",
    "She said no.|He said yes.",
    "It was I.|You knew.",
    "今天下雨。|我们在家！|你呢？|好。",
    "彼は「行く。」|と言った。|終わり。",
    "Really?!|Yes!!!|No.",
    "One line\nstill the same sentence.|A new one.",
    "A heading\n\n|The text begins.",
    "One capital. here it goes on.",
    "without any capital.|a small letter begins!|e.g. here.|so did j. r. reed and i.|he too.",
    "Es gilt z.B. Folgendes.|Das ist am 3. Mai so.",
    "Version 2.0 is out.|Version 3 is not.",
    "He came in 1999.|She came in 2004.",
]


@pytest.mark.parametrize("case", CASES)
def test_sentences_end_where_a_reader_ends_them(case):
    expected = [sentence.strip() for sentence in case.split("|")]
    text = case.replace("|", "" if any(terminator in case for terminator in "。！？") or "\n\n|" in case else " ")
    assert split_sentences(text) == expected


@given(st.lists(st.sampled_from(["Dr.", "a", "B", "end.", "3.5", " ", "\n", "\n\n", "?", "\"", ")", "。", "…", "etc.",
                                 "."]) | st.text(max_size=4)))
def test_nothing_but_space_lies_between_sentences(parts):
    text = "".join(parts)
    previous_end = 0
    for start, end in sentence_spans(text):
        assert previous_end <= start < end and not text[previous_end:start].strip()
        assert text[start:end] == text[start:end].strip()
        previous_end = end
    assert not text[previous_end:].strip()


def test_the_empty_text_has_no_sentence():
    assert split_sentences("") == split_sentences(" \n ") == []


def test_a_long_text_without_an_end_is_quick():
    assert len(split_sentences("word " * 200_000)) == 1
    assert len(split_sentences("." * 200_000)) == 1
    assert len(split_sentences("\n " * 100_000 + "a")) == 1
