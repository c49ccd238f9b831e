"""The report scores the words of wrong predictions: they add up, they are escaped, every kind of task has
them, decoders and heads that search with beams too.
"""

import html
import json
import re

import numpy as np
import pytest
import tiny
from conftest import QUICK_FLAGS

from headstart.contract import ErrorToExplain
from headstart.inspection.error_attribution import explain_error
from headstart.models.loading.load import load

NOUNS = ["roses", "apples", "tables", "card"]


def line(**values):
    return json.dumps(values) + "\n"


def rows(task: str) -> str:
    """Rows that a tiny model gets wrong often enough."""
    random, lines = np.random.default_rng(0), []
    for number, text in enumerate(tiny.texts(60, seed=4)):
        noun = NOUNS[random.integers(4)]
        if task == "text-classification":
            lines.append(line(text=f"{text} <b>{noun}</b>", label="xyz"[random.integers(3)]))
        elif task == "pair":
            lines.append(line(text=text, pair=f"<i>{noun}</i> {number}", label="xyz"[random.integers(3)]))
        elif task == "token-tagging":
            lines.append(line(tokens=["the", noun, "<b>", *text.split()],
                              tags=["O", f"B-{'XY'[random.integers(2)]}", "O", *["O"] * len(text.split())]))
        else:
            lines.append(line(question="what <b>?", passage=f"He counts the {noun} in 1984. {text}", answer=[noun]))
    return "".join(lines)


@pytest.mark.parametrize("task", ["text-classification", "pair", "token-tagging", "question-answering"])
def test_the_report_shows_the_words_of_wrong_answers(task, tiny_bert, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text(rows(task), encoding="utf-8")
    options = ["--pair", "pair"] if task == "pair" else []
    name = "text-classification" if task == "pair" else task
    code, _, stderr = headstart("finetune", file, "--task", name, *options, "--model", tiny_bert, "--to", run,
                                *QUICK_FLAGS, "--learning-rate", "3e-3",
                             "--set", "evaluation.explained_errors=3")
    assert code == 0, stderr
    page = (run / "report.html").read_text(encoding="utf-8")
    items = explained_items(page)
    file_rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    file_texts = [" ".join(text) if isinstance(text, list) else text for row in file_rows for text in row.values()]
    assert 1 <= len(items) <= 3
    for item in items:
        shares = [float(share) for share in re.findall(r'title="([+-][\d.]+)"', item)]
        assert max(map(abs, shares)) == 1.0 and 'class="note"' in item
        read = html.unescape(re.sub(r"<[^>]+>", "", re.search(r'<p class="scored" dir="auto">(.*?)</p>', item, re.S).group(1)))
        assert all(any(part.strip() in text for text in file_texts) for part in read.split("\n")), read
        output, missed = (float(re.search(rf"<b>{words}</b> <bdi>(-?[\d.]+)", item).group(1))
                          for words in ("output", "attribution error"))
        assert abs(missed) <= 0.05 * max(1, abs(output)), "the words do not add up"
        assert "<b>the" not in item and "<script" not in item


def explained_items(page: str) -> list[str]:
    """The entries of the page's lists whose words are scored."""
    return [item for item in re.findall(r"<li[^>]*>(.*?)</li>", page, re.S) if 'class="scored"' in item]


def test_no_words_are_scored_when_none_are_asked_for(tiny_bert, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text(rows("text-classification"), encoding="utf-8")
    assert headstart("finetune", file, "--model", tiny_bert, "--to", run, *QUICK_FLAGS, "--set",
                     "evaluation.explained_errors=0")[0] == 0
    assert not explained_items((run / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("family, task", [("gpt2", "text-classification"), ("xlnet", "token-tagging"),
                                          ("xlnet", "beams"), ("xlm", "beams")])
def test_the_words_of_decoders_and_of_beam_heads_are_scored_too(family, task, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    name = "question-answering" if task == "beams" else task
    file.write_text(rows(name), encoding="utf-8")
    beams = ["--set", "task.beam_search=true"] if task == "beams" else []
    code, _, stderr = headstart("finetune", file, "--task", name, "--model",
                                tiny.model_folder(family, tmp_path / family), "--to", run, *QUICK_FLAGS, *beams)
    assert code == 0, stderr
    page = (run / "report.html").read_text(encoding="utf-8")
    errors = [re.search(r"<b>output</b> <bdi>(-?[\d.]+)</bdi></span><span><b>attribution error</b> <bdi>(-?[\d.]+)",
                        item).groups() for item in explained_items(page)]
    assert errors and all(abs(float(missed)) <= 0.05 * max(1, abs(float(output))) for output, missed in errors)


def test_words_are_scored_as_captum_scores_them(tmp_path, captum):
    """At a token's column, and at a feature's: the same integral, by another hand."""
    import torch
    import transformers

    folder = tiny.model_folder("bert", tmp_path / "m", "token-classification", ["O", "B-X", "I-X"], seed=4)
    model = load(str(folder), None, seed=0)
    text = "The gardener waters the roses."
    attribution = explain_error(model, ErrorToExplain(0, text, None, "", "",
                                                      position_columns=((text.index("roses"), 1),)))
    reference = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = inputs.pop("offset_mapping")[0].tolist()
    position = next(index for index, (begin, _) in enumerate(offsets) if begin == text.index("roses"))
    special = [begin == end for begin, end in offsets]
    origin = torch.where(torch.tensor(special), inputs["input_ids"], tokenizer.pad_token_id)
    table = reference.get_input_embeddings()

    def output(points):
        return reference(inputs_embeds=points).logits[:, position, 1]

    shares = captum.IntegratedGradients(output).attribute(table(inputs["input_ids"]), table(origin), n_steps=200,
                                                          method="gausslegendre")
    expected = shares.sum(dim=-1)[0]
    for word, score in attribution.words:
        expected_score = sum(float(expected[index].detach()) for index, (begin, end) in enumerate(offsets)
                             if end > begin and word.begin <= begin < word.end)
        assert score == pytest.approx(expected_score, abs=1e-3)
    assert abs(attribution.error) < 1e-2
