"""What a model cannot read of the user's texts is told in `check` and before training."""

import json

import pytest
import tiny
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart.contract import Tokens
from headstart.data.checks.tokenization import TokenCounts, lost_characters
from headstart.errors import Exit
from headstart.text.normalise import normalise_label

HIDDEN = "\u200b\u200b"  # zero-width spaces
JAPANESE = "東京は今日も雨"


def check(headstart, path, model, *flags):
    code, stdout, stderr = headstart("check", path, "--model", model, *flags)
    return code, stdout + stderr


@pytest.mark.parametrize(("odd_rows", "text", "code", "exit_code"), [
    (60, JAPANESE, "E250", Exit.DATA), (60, HIDDEN, "E251", Exit.DATA), (6, JAPANESE, "W25", 0), (6, HIDDEN, "W251", 0),
    (0, "", None, 0)])
def test_texts_that_a_model_cannot_read_are_told(odd_rows, text, code, exit_code, tiny_bert, tmp_path, headstart):
    rows = [(text if index < odd_rows else row_text, label) for index, (row_text, label) in enumerate(review_rows(60))]
    path = write_csv(tmp_path / "rows.csv", rows)
    found_exit, words = check(headstart, path, tiny_bert)
    assert found_exit == exit_code
    assert (code in words) if code is not None else ("25" not in words.replace("0.25", ""))
    if code is not None:
        assert f"{path.name}:2" in words and "choose a model of the texts' language" in words.lower()
        assert check(headstart, path, tiny_bert, "--strict")[0] == Exit.DATA


def test_nothing_is_trained_on_texts_that_the_model_cannot_read(tiny_bert, tmp_path, headstart):
    path = write_csv(tmp_path / "rows.csv", [(f"{JAPANESE} {index}", label) for index, (_, label) in
                                             enumerate(review_rows(60))])
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS)
    assert code == Exit.DATA and "E250" in stderr and not (tmp_path / "run" / "checkpoints").exists()
    code, _, stderr = headstart("finetune", path, "--model", tiny.model_folder("roberta", tmp_path / "bytes"), "--to",
                                tmp_path / "run", *QUICK_FLAGS)  # a byte-level vocabulary reads every text
    assert code == 0, stderr
    shares = json.loads((tmp_path / "run" / "data.json").read_text())["check"]["tokenization"]
    assert shares["train"]["unknown_tokens"] == shares["train"]["lost_characters"] == 0


def test_a_check_without_a_model_says_that_tokens_were_not_looked_at(reviews, headstart, monkeypatch):
    monkeypatch.setattr("headstart.models.loading.default_model.is_installed", lambda package: False)
    code, stdout, _ = headstart("check", reviews)
    assert code == 0 and "tokens: not checked" in stdout


def test_characters_that_no_known_token_stands_for_are_lost():
    tokens = Tokens([5, 0, 6], [(0, 2), (3, 5), (6, 8)])
    assert lost_characters("ab ☃☃ cdx", tokens, 0) == "☃☃x"
    assert lost_characters("ab ☃☃ cdx", Tokens([5, 0, 6]), 0) == ""
    counts = TokenCounts()
    counts.add(3, "ab ☃☃ cdx", tokens, 0)
    counts.add(4, "\u200b", Tokens([], []), 0)
    assert (counts.unknown_share, counts.empty_share, counts.first_row, counts.first_empty_row) == (1 / 3, 0.5, 3, 4)
    assert counts.lost_share == 4 / 8 and counts.example == "☃☃x"


@pytest.mark.parametrize(("first", "second"), [("caf\u00e9", "cafe\u0301"), ("yes", "yes\u200b"), ("1", "1.0"), ("No", "no "),
                                               ("\ufb01ne", "fine"), ("+3.00", "3"), ("a  b", "a b")])
def test_labels_that_look_the_same_are_told(first, second, tmp_path, headstart):
    assert first != second and normalise_label(first) == normalise_label(second)
    rows = [(f"{text} {label}", [first, second, "other"][index % 3])
            for index, (text, label) in enumerate(review_rows(30))]
    path = write_csv(tmp_path / "rows.csv", rows)
    code, stdout, stderr = headstart("check", path, "--task", "text-classification")
    assert code == 0 and "W204" in stdout + stderr


def test_labels_that_are_different_stay_so():
    assert len({normalise_label(label) for label in ("1", "1.5", "10", "-1", "one", "café", "cafe", "1.0.0")}) == 8
