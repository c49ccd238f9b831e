"""The report weighs the words of wrong answers: they add up, they are escaped, every kind of task has them, decoders say why not."""

import html
import json
import re

import numpy as np
import pytest
import tiny
from conftest import QUICK

from headstart.contract import Doubt
from headstart.inspection.error_attribution import weigh
from headstart.models.loading.load import load

NOUNS = ["roses", "apples", "tables", "card"]


def line(**values):
    return json.dumps(values) + "\n"


def rows(task: str) -> str:
    """Rows that a tiny model gets wrong often enough."""
    draw, made = np.random.default_rng(0), []
    for number, text in enumerate(tiny.texts(60, seed=4)):
        noun = NOUNS[draw.integers(4)]
        if task == "text-classification":
            made.append(line(text=f"{text} <b>{noun}</b>", label="xyz"[draw.integers(3)]))
        elif task == "pair":
            made.append(line(text=text, pair=f"<i>{noun}</i> {number}", label="xyz"[draw.integers(3)]))
        elif task == "token-tagging":
            made.append(line(tokens=["the", noun, "<b>", *text.split()], tags=["O", f"B-{'XY'[draw.integers(2)]}", "O", *["O"] * len(text.split())]))
        else:
            made.append(line(question="what <b>?", passage=f"He counts the {noun} in 1984. {text}", answer=[noun]))
    return "".join(made)


@pytest.mark.parametrize("task", ["text-classification", "pair", "token-tagging", "question-answering"])
def test_the_report_shows_the_words_of_wrong_answers(task, tiny_bert, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text(rows(task), encoding="utf-8")
    extra = ["--pair", "pair"] if task == "pair" else []
    name = "text-classification" if task == "pair" else task
    code, _, err = headstart("finetune", file, "--task", name, *extra, "--model", tiny_bert, "--to", run, *QUICK, "--learning-rate", "3e-3",
                             "--set", "evaluation.explained=3")
    assert code == 0, err
    page = (run / "report.html").read_text(encoding="utf-8")
    (figure,) = re.findall(r'<figure id="reasons">(.*?)</figure>', page, re.S)
    items = re.findall(r"<li>(.*?)</li>", figure, re.S)
    held = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    written = [" ".join(text) if isinstance(text, list) else text for row in held for text in row.values()]
    assert 1 <= len(items) <= 3
    for item in items:
        shares = [float(share) for share in re.findall(r'title="([+-][\d.]+)"', item)]
        assert max(map(abs, shares)) == 1.0 and 'class="note"' in item
        read = html.unescape(re.sub(r"<[^>]+>", "", re.search(r"<p>(.*?)</p>", item, re.S).group(1)))
        assert all(any(part.strip() in text for text in written) for part in read.split("\n")), read
        output, missed = (float(re.search(rf"<b>{words}</b> (-?[\d.]+)", item).group(1)) for words in ("output", "missed by the words"))
        assert abs(missed) <= 0.05 * max(1, abs(output)), "the words do not add up"
    assert "<b>the" not in figure and "<script" not in figure


def test_no_words_are_weighed_when_none_are_wanted(tiny_bert, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text(rows("text-classification"), encoding="utf-8")
    assert headstart("finetune", file, "--model", tiny_bert, "--to", run, *QUICK, "--set", "evaluation.explained=0")[0] == 0
    assert 'id="reasons"' not in (run / "report.html").read_text(encoding="utf-8")


def test_a_decoder_says_that_its_words_are_not_weighed(tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text(rows("text-classification"), encoding="utf-8")
    assert headstart("finetune", file, "--model", tiny.model_folder("gpt2", tmp_path / "gpt2"), "--to", run, *QUICK)[0] == 0
    assert "worked out for encoders" in (run / "report.html").read_text(encoding="utf-8")


def test_words_are_weighed_as_captum_weighs_them(tmp_path, captum):
    """At a token's column, and at a feature's: the same integral, by another hand."""
    import torch
    import transformers

    folder = tiny.model_folder("bert", tmp_path / "m", "token-classification", ["O", "B-X", "I-X"], seed=4)
    model = load(str(folder), None, seed=0)
    text = "The gardener waters the roses."
    held = weigh(model, Doubt(0, text, None, "", "", places=((text.index("roses"), 1),)))
    plain = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    fed = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = fed.pop("offset_mapping")[0].tolist()
    place = next(at for at, (begin, _) in enumerate(offsets) if begin == text.index("roses"))
    special = [begin == end for begin, end in offsets]
    origin = torch.where(torch.tensor(special), fed["input_ids"], tokenizer.pad_token_id)
    table = plain.get_input_embeddings()

    def output(points):
        return plain(inputs_embeds=points).logits[:, place, 1]

    shares = captum.IntegratedGradients(output).attribute(table(fed["input_ids"]), table(origin), n_steps=200, method="gausslegendre")
    theirs = shares.sum(dim=-1)[0]
    for word, score in held.words:
        mine = sum(float(theirs[at].detach()) for at, (begin, end) in enumerate(offsets) if end > begin and word.begin <= begin < word.end)
        assert score == pytest.approx(mine, abs=1e-3)
    assert abs(held.error) < 1e-2
