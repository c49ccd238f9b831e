"""Start and end probabilities over a passage: in the terminal, on a page, in the report; the answer is marked."""

import json
import re

import numpy as np
import pytest
import tiny
from conftest import QUICK_FLAGS

import headstart
from headstart.contract import Figure, Row
from headstart.prediction.torch_runtime import torch_predictor
from headstart.reports.figures import render
from headstart.tasks.question_answering.token_chart import token_chart

QUESTION, PASSAGE = "Who counts?", "The old captain counts seven green apples before noon."
LONG_PASSAGE = " ".join(tiny.sentences()[:40])


def model_of(family, folder, head="question-answering"):
    return headstart.load(tiny.model_folder(family, folder / f"{family}-{head}", head))


def chart_of(model, question, passage, **options):
    example = model.task.read(Row(0, {"question": question, "passage": passage}))
    (prediction,) = torch_predictor(model.task, model.transformer, batch_tokens=4000).predict([example])
    return token_chart(example, prediction, **options), prediction


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "xlm-roberta", "electra"])
def test_probabilities_are_those_of_plain_transformers(family, tmp_path):
    import torch
    import transformers

    model = model_of(family, tmp_path)
    chart, prediction = chart_of(model, QUESTION, PASSAGE)
    folder = tmp_path / f"{family}-question-answering"
    reference = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(QUESTION, PASSAGE, return_tensors="pt")
    with torch.no_grad():
        output = reference(**inputs)
    of_passage = [index for index, sequence in enumerate(inputs.sequence_ids()) if sequence == 1]
    for values, logits in ((chart.starts, output.start_logits), (chart.ends, output.end_logits)):
        probabilities = torch.softmax(logits[0], -1)
        assert values == pytest.approx(probabilities[of_passage].tolist(), abs=1e-5)
    assert chart.elsewhere[0] == pytest.approx(1 - sum(chart.starts)) and chart.passage_tokens == len(of_passage)
    assert list(chart.pieces) == tokenizer.convert_ids_to_tokens(inputs["input_ids"][0][of_passage])
    first, last = chart.answer_range
    offsets = tokenizer(QUESTION, PASSAGE, return_offsets_mapping=True)["offset_mapping"]
    spans = [offsets[index] for index in of_passage]
    assert PASSAGE[spans[first][0]:spans[last][1]].strip() == prediction.values["prediction"] == chart.answer


def test_a_long_passage_shows_the_window_of_the_answer(tmp_path):
    model = model_of("bert", tmp_path)
    chart, prediction = chart_of(model, QUESTION, LONG_PASSAGE)
    number, count = chart.window
    assert count > 2 and 1 <= number <= count and f"window {number} of {count}" in chart.caption()
    assert chart.answer_range is not None and chart.answer == prediction.values["prediction"]
    part, _ = chart_of(model, QUESTION, LONG_PASSAGE, max_tokens=10)
    first, last = (index + part.first_token for index in part.answer_range)
    assert len(part.pieces) == 10 and (first, last) == (max(chart.answer_range[0], part.first_token),
                                                        min(chart.answer_range[1], part.first_token + 9))
    assert part.starts == chart.starts[part.first_token:part.first_token + 10]
    assert part.elsewhere[0] == pytest.approx(1 - sum(part.starts)) and "are shown" in part.caption()


@pytest.mark.parametrize("family", ["xlnet", "xlm"])
def test_a_head_that_searches_with_beams_is_charted_and_told(family, tmp_path):
    model = model_of(family, tmp_path, "question-answering-beams")
    chart, prediction = chart_of(model, QUESTION, PASSAGE)
    assert chart.given_start and "given the likeliest start" in chart.caption()
    assert sum(chart.starts) + chart.no_answer[0] == pytest.approx(1, abs=1e-6)
    starts = sorted(np.exp(output[0]) for output in zip(chart_scores(prediction), strict=True))
    assert max(chart.starts) == pytest.approx(max(starts), abs=1e-5) or chart.no_answer[0] >= max(chart.starts)


def chart_scores(prediction):
    """log p of the starts, from the logits that the prediction keeps: a softmax over tokens where an answer may be."""
    detail = prediction.detail
    start = detail["passage_start"]
    allowed = [*range(start, start + len(detail["offsets"])), detail["no_answer_position"]]
    logits = detail["scores"][sorted(set(allowed)), 0].astype(np.float64)
    return logits - np.log(np.exp(logits).sum())


def test_the_command_charts_an_answer(tmp_path, headstart):
    folder = tiny.model_folder("bert", tmp_path / "m", "question-answering")
    (tmp_path / "passage.txt").write_text(f"<b>{PASSAGE}</b>", encoding="utf-8")
    code, stdout, stderr = headstart("inspect", folder, "--question", QUESTION, "--passage",
                                     f"@{tmp_path / 'passage.txt'}", "--page", tmp_path / "a.html", "--attribute",
                                     "integrated-gradients")
    assert code == 0 and stdout.startswith("start\n") and "\nend\n" in stdout and stdout.count("\n* ") == 2, stderr
    assert "Answer: " in stderr and "start and end logits of" in stderr and "word " in stdout
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2 and "://" not in page and "<b>The old" not in page and page.count("<script") == 1
    code, stdout, _ = headstart("inspect", folder, "--question", QUESTION, "--passage", PASSAGE, "--json", "--quiet")
    chart = json.loads(stdout)
    (row,) = headstart_predictions(folder)
    assert code == 0 and chart["prediction"] == row["prediction"]
    assert sum(token["start"] for token in chart["tokens"]) + chart["elsewhere"][0] == pytest.approx(1)
    for arguments, message in ((["--question", "Who?"], "go together"), (["--passage", "x"], "go together"),
                               (["--question", "Who?", "--passage", "x", "text"], "does not go with them"),
                               (["--question", "Who?", "--passage", "x", "--to", "a.npz"], "does not go with them")):
        code, _, stderr = headstart("inspect", folder, *arguments)
        assert code == 2 and message in stderr
    assert headstart("inspect", folder, "--question", " ", "--passage", "x")[0] == 65
    classifier = tiny.model_folder("bert", tmp_path / "c", "sequence-classification")
    code, _, stderr = headstart("inspect", classifier, "--question", "Who?", "--passage", "x")
    assert code == 2 and "is for question-answering models" in stderr


def headstart_predictions(folder):
    return headstart.load(folder).predict([{"question": QUESTION, "passage": PASSAGE}])


def test_words_of_a_long_passage_are_those_of_the_window_of_the_answer(tmp_path, headstart):
    folder = tiny.model_folder("roberta", tmp_path / "m", "question-answering")
    code, stdout, stderr = headstart("inspect", folder, "--question", QUESTION, "--passage", LONG_PASSAGE,
                                     "--attribute", "gradient-x-input", "--json")
    assert code == 0, stderr
    result = json.loads(stdout)
    words = [word for word in result["attribution"]["words"] if word["of"] == "pair"]
    assert result["attribution"]["label"] == result["prediction"] and len(words) < len(LONG_PASSAGE.split())
    assert all(LONG_PASSAGE[word["begin"]:word["end"]] == word["word"] for word in words)


def test_the_report_charts_a_few_answers(tiny_bert, tmp_path, headstart):
    lines = [json.dumps({"question": "what?", "passage": f"He counts the {noun} in 1984. {text}",
                         "answer": [noun] if number % 3 else []}) + "\n"
             for number, text in enumerate(tiny.texts(40, seed=4)) for noun in [("roses", "apples")[number % 2]]]
    (tmp_path / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    code, _, stderr = headstart("finetune", tmp_path / "rows.jsonl", "--task", "question-answering", "--model",
                                tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS)
    assert code == 0, stderr
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    figures = re.findall(r'<figure id="probabilities_(\w+)_\d">(.*?)</figure>', page, re.S)
    assert figures and {kind for kind, _ in figures} <= {"right", "wrong", "unanswered"}
    for kind, figure in figures:
        assert figure.count("<svg") == 2 and figure.count('class="token') > 20
        assert ('class="token s1"' in figure) == (kind != "unanswered")


def test_a_chart_is_drawn_whatever_its_tokens_are():
    figure = Figure("x", "Chart", "token_bars", {"tokens": ["<b>", "\u2028", "ok"], "marked": [2, 2],
                                                 "series": {"start": [0.0, 0.25, 0.75], "end": [0.1, 0.1, 0.8]}})
    page = render(figure)
    assert "<b>" not in page and page.count('class="token s1"') == 2 and 'height="82.50"' in page
    empty = Figure("x", "Chart", "token_bars", {"tokens": [], "marked": None, "series": {"start": [], "end": []}})
    assert "<svg" in render(empty)
