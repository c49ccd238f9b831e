"""A large file is passed once: what is found is the same as where every pass is made by itself."""

import dataclasses
import random

import pytest
from conftest import write_csv

from headstart.data.checks import checks, first_look, text_hashes
from headstart.errors import Finding
from headstart.preparation.dataset import read_dataset
from headstart.progress import Reporter
from headstart.settings.run_settings import run_settings
from headstart.text.normalise import letters_of, normalise_text

PIECES = ["good", "Good", "GOOD", "roses", "ro ses", "bad!", "bad", "b-a-d", "caf\u00e9", "cafe\u0301", "CAF\u00c9", "\ufb01ne", "fine",
          "1", "1.0", "10", "\u00a0", "\u200b", "\U0001f600", "İ", "ß", "ss", "ＡＢ", "ab", "...", "…", "", " ", "\ud83d"]


def drawn_texts(seed, count):
    rng = random.Random(seed)
    return [rng.choice(["", " "]).join(rng.choices(PIECES, k=rng.randint(1, 3))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_texts_of_one_normal_form_have_the_same_letters(seed):
    texts = drawn_texts(seed, 200)
    letters = {}
    for text in texts:
        assert letters.setdefault(normalise_text(text), letters_of(text)) == letters_of(text)


@pytest.mark.parametrize("seed", range(10))
def test_equal_and_nearly_equal_texts_are_counted_as_by_comparing_them(seed):
    """The hashes of several splits against the texts themselves."""
    class Texts:
        def dedup_key(self, example):
            return example

        def stratum(self, example):
            return None

    splits = {"train": drawn_texts(seed, 120), "dev": drawn_texts(seed + 100, 40)}
    scans = {split: text_hashes.scan_split(Texts(), texts, {}, None) for split, texts in splits.items()}
    hashes = text_hashes.text_hashes(Texts(), splits, scans)
    for split, texts in splits.items():
        forms = [normalise_text(text) for text in texts]
        assert text_hashes.count_repeats(hashes[split].exact) == len(texts) - len(set(texts))
        assert text_hashes.count_repeats(hashes[split].normalised) == len(forms) - len(set(forms))
        firsts, repeats = text_hashes.repeat_pairs(hashes[split].exact)
        assert [(texts.index(texts[row]), row) for row in repeats.tolist()] == list(zip(firsts.tolist(), repeats.tolist(),
                                                                                       strict=True))
    train_forms = {normalise_text(text) for text in splits["train"]}
    in_both = [normalise_text(text) in train_forms for text in splits["dev"]]
    known = set(hashes["train"].normalised.tolist())
    assert [number in known for number in hashes["dev"].normalised.tolist()] == in_both


def found(path, columns, values, monkeypatch, *, looks):
    """What a check finds, with one pass or with several."""
    passes = []
    with monkeypatch.context() as patches:
        if not looks:
            patches.setattr(first_look.FirstLook, "take", lambda look, task, examples: None)
        scan_split = checks.scan_split
        patches.setattr(checks, "scan_split", lambda *arguments: passes.append(1) or scan_split(*arguments))
        dataset = read_dataset(run_settings({"train": str(path)}, columns, values), Reporter(), None, split=False)
    assert all(isinstance(finding, Finding) for finding in dataset.findings)
    return dataset.json(), dataset.task.learned, dataclasses.asdict(dataset.check), len(passes)


@pytest.mark.parametrize("values", [{}, {"task.merge": "bad=poor"}, {"data.bad_rows": "skip"}])
def test_one_pass_finds_what_several_passes_find(values, tmp_path, monkeypatch):
    rng = random.Random(1)
    rows = [(rng.choice(["good roses", "Good, roses", "bad cups", f"text {number}"]), rng.choice(["good", "Good", "bad"]))
            for number in range(300)]
    rows += [("", "good")] * 3 if "data.bad_rows" in values else []
    folder = tmp_path / "parts"
    folder.mkdir()
    write_csv(folder / "train.csv", rows)
    write_csv(folder / "dev.csv", [*rows[:20], ("brand new", "other")])
    one_pass = found(folder, {}, values, monkeypatch, looks=True)
    several = found(folder, {}, values, monkeypatch, looks=False)
    assert one_pass[:3] == several[:3]
    assert (one_pass[3], several[3]) == (1, 2)  # dev is passed by itself


def test_rows_whose_label_only_all_rows_tell_are_read_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a b", "label": ["x", "y"]}\n{"text": "c d", "label": ["x"]}\n{"text": "e f", "label": ["z"]}\n'
                    '{"text": "g h", "label": ["x", "z"]}\n')
    settings = run_settings({"train": str(path), "task": "text-classification"}, {}, {"task.reduce": "rarest"})
    dataset = read_dataset(settings, Reporter(), None, split=False)
    assert dataset.check.counts["train"] == {"x": 1, "y": 1, "z": 2}
