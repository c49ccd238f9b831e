"""Every task that is exported: its folder answers and scores as the run, windows, thresholds and scales with it."""

import json

import pytest
import tiny
from conftest import QUICK_FLAGS

pytest.importorskip("onnxscript")
NOUNS = ["roses", "apples", "tables", "card"]
TEXTS = tiny.texts(60, seed=4)
LONG = " ".join(TEXTS[:12])  # more tokens than the model reads at once


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


ROWS = {  # task, rows, further flags
    "pair": ("text-classification", [{"text": text, "pair": TEXTS[-index], "label": "ab"[index % 2]}
                                     for index, text in enumerate(TEXTS)], ()),
    "windows": ("text-classification", [{"text": f"{LONG} {text}", "label": "ab"[index % 2]}
                                        for index, text in enumerate(TEXTS)], ("--set", "task.long_texts=windows")),
    "several labels": ("multilabel-classification", [{"text": text, "labels": ["a", "b"][:1 + index % 2]}
                                                     for index, text in enumerate(TEXTS)], ()),
    "number": ("regression", [{"text": text, "target": 100.5 + 7 * (index % 5)} for index, text in enumerate(TEXTS)], ()),
    "tags": ("token-tagging", [{"tokens": ["the", noun, "grows", str(index)], "tags": ["O", "B-X", "O", "O"]}
                               for index, noun in enumerate(NOUNS * 10)], ()),
    "answer": ("question-answering", [
        {"question": "what?", "passage": f"He counts the {noun} in 1984. {TEXTS[index]}", "answer": [noun]}
        for index, noun in enumerate(NOUNS * 10)], ()),
    "choice": ("multiple-choice", [{"context": text, "choices": NOUNS, "answer": index % 4}
                                   for index, text in enumerate(TEXTS)], ()),
    "vectors": ("retrieval", [{"question": f"where are the {noun} {index}?", "answer": TEXTS[index]}
                              for index, noun in enumerate(NOUNS * 12)], ()),
}


def close(value, expected):
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(close(value[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(close, value, expected))
    return value == pytest.approx(expected, abs=1e-4, rel=1e-4) if isinstance(expected, float) else value == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROWS)
def test_a_task_is_exported_and_answers_as_the_run(kind, tiny_bert, tmp_path, headstart):
    task, rows, flags = ROWS[kind]
    file, run, folder = tmp_path / "rows.jsonl", tmp_path / "run", tmp_path / "onnx"
    file.write_text(lines(rows), encoding="utf-8")
    code, _, stderr = headstart("finetune", file, "--task", task, "--model", tiny_bert, "--to", run, *QUICK_FLAGS, *flags)
    assert code == 0, stderr
    code, stdout, stderr = headstart("export", run, "--to", folder, "--set", "evaluation.resamples=20")
    assert code == 0, stderr
    assert "100.00 %" in stdout
    answers = []
    for model in (folder, run):
        code, stdout, stderr = headstart("predict", model, file, "--to", "-", "--quiet")
        assert code == 0, stderr
        answers.append(list(map(json.loads, stdout.splitlines())))
    for row, expected in zip(*answers, strict=True):
        assert close(row, expected), (row, expected)
