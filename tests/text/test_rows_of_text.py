import random
import textwrap

import pytest
import tiny

from headstart.text.running_text import choose_rows

NAMES = "Ada Bela Cyril Dora Emil Flora Georg Hedda Ivar Jutta Knut Lotte".split()
THINGS = "the boat|a letter|the clock tower|his garden|an old map|the winter coat|their horses|a cup of tea".split("|")


def prose(seed: int, paragraphs: int = 40) -> list[str]:
    """Paragraphs whose sentences speak of one person and one thing each."""
    rng = random.Random(seed)
    texts = []
    for _ in range(paragraphs):
        name, thing = rng.choice(NAMES), rng.choice(THINGS)
        verbs = rng.sample("sold saw lost praised drew mended forgot found moved".split(), 6)
        texts.append(" ".join(f"{name} {verb} {thing} {rng.choice(['at noon', 'before the rain', 'in spring'])}, and "
                              f"{rng.choice(['nobody knew why', 'the others laughed', 'that was the end of it'])}."
                              for verb in verbs))
    return texts


def wrapped(seed: int, width: int) -> list[str]:
    return [line for text in prose(seed) for line in textwrap.wrap(text, width)]


def play(seed: int) -> list[str]:
    rng = random.Random(seed)
    verses = [line for text in prose(seed) for line in textwrap.wrap(text, 42)]
    return [line for start in range(0, len(verses), 3)
            for line in [f"{rng.choice(NAMES).upper()}.", *verses[start:start + 3], ""]]


def posts(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"@{rng.choice(NAMES)} {rng.choice(tiny.sentences()).lower()} #{rng.choice(NAMES)}" for _ in range(200)]


KINDS = {
    "paragraphs with blank lines": (lambda seed: [line for text in prose(seed) for line in (text, "")], "document"),
    "a paragraph a line": (prose, "document"),
    "wrapped at 72, blank lines": (lambda seed: [line for text in prose(seed)
                                                 for line in [*textwrap.wrap(text, 72), ""]], "document"),
    "wrapped at 72": (lambda seed: wrapped(seed, 72), "document"),
    "a play": (play, "document"),
    "a poem": (lambda seed: [line.lower() for line in wrapped(seed, 38)], "document"),
    "code": (lambda seed: [line for number in range(40) for line in (
        f"def step_{number}(value, other):", f"    if value > {number}:", "        return other", "    return value",
        "")], "document"),
    "one huge line": (lambda seed: [" ".join(prose(seed))], "document"),
    "posts": (posts, "lines"),
    "sentences of a list": (lambda seed: random.Random(seed).sample(tiny.sentences(), 150), "lines"),
    "queries": (lambda seed: [f"how do I {word}?" for word in random.Random(seed).choices(THINGS, k=100)], "lines"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_is_taken_for_what_it_is(kind):
    make, rows = KINDS[kind]
    for seed in range(5):
        choice = choose_rows(make(seed))
        assert choice.rows == rows and choice.reason, (seed, choice)
        assert "--set data.rows=" + ("lines" if rows == "document" else "document") in choice.words("x.txt")


def test_a_close_choice_says_so():
    lines = [sentence for text in prose(0) for sentence in text.replace(". ", ".\n").split("\n")]  # a sentence a line
    choice = choose_rows(lines)
    assert choice.rows == "document" and choice.is_close and "close choice" in choice.words("x.txt")
    assert not choose_rows(wrapped(0, 72)).is_close and "close" not in choose_rows(wrapped(0, 72)).words("x.txt")


def test_berts_own_form_stays_lines_for_tasks_that_need_sentences():
    lines = [line for text in prose(0) for line in [*text.replace(". ", ".\n").split("\n"), ""]]
    assert choose_rows(lines, needs_sentences=True).rows == "lines"
    folded = [line for text in prose(0) for line in [*textwrap.wrap(text, 72), ""]]
    assert choose_rows(folded, needs_sentences=True).rows == "document"


@pytest.mark.parametrize("lines", [[], [""], ["x"], ["", "x", ""], ["x"] * 3, ["a\tb"] * 400, ["¿", "…"]])
def test_odd_files_get_an_answer(lines):
    assert choose_rows(lines).rows in ("document", "lines")
