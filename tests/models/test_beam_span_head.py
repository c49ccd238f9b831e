"""XLNet's and XLM's beam span heads: trained, saved, read by plain transformers, decoded as by hand."""

import itertools
import json
import math

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK_FLAGS

from headstart.contract import Layout, Learned, Row
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.tasks.question_answering.task import QuestionAnswering

BEAMS = [("xlnet", "XLNetForQuestionAnswering"), ("xlm", "XLMForQuestionAnswering")]


def question_rows(count: int) -> list[dict]:
    rows = []
    for index in range(count):
        noun, answerable = ("roses", "apples", "tables", "card")[index % 4], index % 3 > 0
        passage = (f"Nobody here forgets. {f'The old captain counts the {noun}' if answerable else 'The river bank'} "
                   "in 1984.")
        rows.append({"question": "what does he count?", "passage": passage, "answer": [noun] if answerable else []})
    return rows


@pytest.mark.parametrize(("family", "cls"), BEAMS)
def test_a_beam_span_head_is_trained_saved_and_predicted_with(family, cls, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text("".join(json.dumps(row) + "\n" for row in question_rows(48)))
    base = tiny.model_folder(family, tmp_path / "base")
    code, _, stderr = headstart("finetune", file, "--task", "question-answering", "--model", base, "--to", run,
                                *QUICK_FLAGS, "--learning-rate", "3e-3", "--set", "task.beam_search=true")
    assert code == 0, stderr
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert {"f1", "exact_match", "has_answer_f1", "no_answer_f1", "best_f1", "best_threshold"} <= set(scores)
    assert (run / "official" / "dev" / "null_odds.json").exists()
    assert json.loads((run / "model" / "config.json").read_text())["architectures"] == [cls]
    # nothing missing, nothing over: warnings are errors here
    plain = getattr(transformers, cls).from_pretrained(run / "model")
    assert plain.start_n_top if family == "xlnet" else plain.qa_outputs.start_n_top
    assert headstart("predict", run, file, "--to", tmp_path / "out.jsonl")[0] == 0
    for row, prediction in zip(question_rows(48), map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines()),
                               strict=True):
        start, end, answer = (prediction[name] for name in ("start", "end", "prediction"))
        assert row["passage"][start:end] == answer if answer else start is None
        assert 0 <= prediction["no_answer_probability"] <= 1


@pytest.mark.parametrize(("family", "cls"), BEAMS)
def test_a_published_beam_span_model_predicts_as_an_exhaustive_search_does(family, cls, tmp_path, headstart):
    folder = tiny.model_folder(family, tmp_path / "published", "question-answering-beams", ["a", "b"], seed=4)
    passage, question = " ".join(tiny.texts(3, seed=8)), "Who counts the roses?"
    code, stdout, stderr = headstart("predict", folder, "--value", f"question={question}", "--value",
                                     f"passage={passage}")
    assert code == 0, stderr
    answer = json.loads(stdout)
    model = load(str(folder), None, seed=0)
    task = QuestionAnswering(state=Learned(values={"no_answer": False, "threshold": 0.5, "beams": True}))
    (feature,) = task.encode(task.read(Row(0, {"question": question, "passage": passage})), model.tokenizer)
    outside = feature.targets["outside"].value
    plain = getattr(transformers, cls).from_pretrained(folder).eval()
    inputs = {"input_ids": torch.tensor([feature.ids])} | ({"token_type_ids": torch.tensor([feature.types])}
                                                           if family == "xlnet" else {})
    with torch.inference_mode():
        outputs = plain(**inputs, p_mask=torch.tensor([outside]).float(),
                        cls_index=torch.tensor([feature.info["no_answer_position"]]))
    start_count, passage_start, offsets = len(outputs.start_top_index[0]), feature.info["passage_start"], feature.info[
        "offsets"]
    end_count = len(outputs.end_top_index[0]) // start_count
    best = -math.inf, (0, 0)
    for start_rank, end_rank in itertools.product(range(start_count), range(end_count)):
        end_index = end_rank * start_count + start_rank  # the flat list runs over ends, and over starts within
        start_token, end_token = int(outputs.start_top_index[0, start_rank]), int(outputs.end_top_index[0, end_index])
        score = math.log(outputs.start_top_log_probs[0, start_rank]) + math.log(outputs.end_top_log_probs[0, end_index])
        if start_token >= passage_start and end_token < passage_start + len(
            offsets) and start_token <= end_token < start_token + 30:
            best = max(best, (score, (offsets[start_token - passage_start][0], offsets[end_token - passage_start][1])))
    assert best[0] > -math.inf
    assert answer["prediction"] == passage[slice(*best[1])].strip()
    assert answer["no_answer_probability"] == pytest.approx(float(torch.sigmoid(outputs.cls_logits[0])), abs=1e-5)


def test_no_answer_is_predicted_outside_the_passage(tmp_path):
    model = load(str(tiny.model_folder("xlnet", tmp_path / "m", "question-answering-beams", ["a", "b"], seed=4)), None,
                 seed=0)
    task = QuestionAnswering(state=Learned(values={"no_answer": False, "threshold": 0.5, "beams": True}))
    (feature,) = task.encode(task.read(Row(0, {"question": "Who?", "passage": "My sister waters the roses."})),
                             model.tokenizer)
    output = model.split_outputs(collate([feature], Layout(False)),
                                 {name: values.detach().numpy() for name, values in model.forward(
        collate([feature], Layout(False))).items()})[0]
    allowed = {position for position, excluded in enumerate(feature.targets["outside"].value) if not excluded}
    likely = output["starts"][np.exp(output["start_scores"]) > 1e-6]
    assert set(likely.tolist()) <= allowed and np.isfinite(output["logits"]).all()


def test_beams_on_a_family_without_them_are_refused_before_weights_are_read(tmp_path, headstart):
    file, folder = tmp_path / "rows.jsonl", tiny.model_folder("bert", tmp_path / "bert")
    file.write_text("".join(json.dumps(row) + "\n" for row in question_rows(12)))
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-400] + b"\xff" * 400)  # NaNs: reading them would be reported
    code, _, stderr = headstart("finetune", file, "--task", "question-answering", "--model", folder, "--to",
                                tmp_path / "run", "--set",
                             "task.beam_search=true")
    assert code == 2 and "question-answering-beams" in stderr and "xlnet" in stderr and "xlm" in stderr
