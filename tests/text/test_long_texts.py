import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.text.long_texts import tokenize_pieces

JOINTS = st.sampled_from([" ", "\n", "\n\n", "  \n\t", " — ", "", " é̂", "aaaaaa", " 東京の", "...", "\u00a0"])
TEXTS = st.lists(st.tuples(st.sampled_from(tiny.sentences()), JOINTS), min_size=60, max_size=120).map(
    lambda parts: "".join(sentence + joint for sentence, joint in parts))
FAMILIES = ("gpt2", "llama", "bert", "xlm-roberta", "albert", "modernbert")


def tokenizer(family):
    return FamilyTokenizer(tiny.tokenizer(family), tiny.POSITIONS)


@pytest.mark.parametrize("family", FAMILIES)
def test_windows_give_the_tokens_of_the_whole_text(family):
    family_tokenizer = tokenizer(family)

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TEXTS, st.integers(1, 900))
    def check(text, size):
        whole = family_tokenizer.tokenize(text)
        runs = list(tokenize_pieces([text[start:start + size] for start in range(0, len(text), size)],
                                    family_tokenizer, window=1200, overlap=500))
        assert [token for run in runs for token in run.ids] == list(whole.ids)
        assert [pair for run in runs for pair in zip(run.starts, run.ends, strict=True)] == whole.offsets

    check()


@pytest.mark.parametrize("size", [7, 10_000])
def test_where_windows_agree_nowhere_no_character_is_lost(size):
    family_tokenizer = tokenizer("gpt2")
    text = "ab" * 1501 + "b" * 1000
    runs = tokenize_pieces([text[start:start + size] for start in range(0, len(text), size)], family_tokenizer,
                           window=400, overlap=100)
    assert family_tokenizer.hf_tokenizer.decode([token for run in runs for token in run.ids]) == text
