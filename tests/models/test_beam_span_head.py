"""XLNet's and XLM's answer heads with several starts and ends: trained, saved, read by plain transformers, decoded as by hand."""

import itertools
import json
import math

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK

from headstart.contract import Layout, Learned, Row
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.tasks.question_answering.task import QuestionAnswering

BEAMS = [("xlnet", "XLNetForQuestionAnswering"), ("xlm", "XLMForQuestionAnswering")]


def rows(count: int) -> list[dict]:
    made = []
    for number in range(count):
        noun, said = ("roses", "apples", "tables", "card")[number % 4], number % 3 > 0
        passage = f"Nobody here forgets. {f'The old captain counts the {noun}' if said else 'The river bank'} in 1984."
        made.append({"question": "what does he count?", "passage": passage, "answer": [noun] if said else []})
    return made


@pytest.mark.parametrize(("family", "cls"), BEAMS)
def test_a_head_with_beams_is_trained_saved_and_asked(family, cls, tmp_path, headstart):
    file, run = tmp_path / "rows.jsonl", tmp_path / "run"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(48)))
    code, _, err = headstart("finetune", file, "--task", "question-answering", "--model", tiny.model_folder(family, tmp_path / "base"), "--to", run,
                             *QUICK, "--learning-rate", "3e-3", "--set", "task.beams=true")
    assert code == 0, err
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert {"f1", "exact_match", "has_answer_f1", "no_answer_f1", "best_f1", "best_threshold"} <= set(scores)
    assert (run / "official" / "dev" / "null_odds.json").exists()
    assert json.loads((run / "model" / "config.json").read_text())["architectures"] == [cls]
    plain = getattr(transformers, cls).from_pretrained(run / "model")  # nothing missing, nothing over: warnings are errors here
    assert plain.start_n_top if family == "xlnet" else plain.qa_outputs.start_n_top
    assert headstart("predict", run, file, "--to", tmp_path / "out.jsonl")[0] == 0
    for row, one in zip(rows(48), map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines()), strict=True):
        assert row["passage"][one["start"]:one["end"]] == one["prediction"] if one["prediction"] else one["start"] is None
        assert 0 <= one["no_answer_probability"] <= 1


@pytest.mark.parametrize(("family", "cls"), BEAMS)
def test_a_published_model_with_beams_answers_untrained_as_a_slow_search_does(family, cls, tmp_path, headstart):
    folder = tiny.model_folder(family, tmp_path / "published", "question-answering-beams", ["a", "b"], seed=4)
    passage, question = " ".join(tiny.texts(3, seed=8)), "Who counts the roses?"
    code, out, err = headstart("predict", folder, "--value", f"question={question}", "--value", f"passage={passage}")
    assert code == 0, err
    answer = json.loads(out)
    held = load(str(folder), None, seed=0)
    task = QuestionAnswering(learned=Learned(values={"no_answer": False, "threshold": 0.5, "beams": True}))
    (feature,) = task.encode(task.read(Row(0, {"question": question, "passage": passage})), held.tokenizer)
    outside = feature.targets["outside"].value
    plain = getattr(transformers, cls).from_pretrained(folder).eval()
    inputs = {"input_ids": torch.tensor([feature.ids])} | ({"token_type_ids": torch.tensor([feature.types])} if family == "xlnet" else {})
    with torch.inference_mode():
        found = plain(**inputs, p_mask=torch.tensor([outside]).float(), cls_index=torch.tensor([feature.info["none"]]))
    starts, at, offsets = len(found.start_top_index[0]), feature.info["at"], feature.info["offsets"]
    ends = len(found.end_top_index[0]) // starts
    best = -math.inf, (0, 0)
    for start, end in itertools.product(range(starts), range(ends)):
        place = end * starts + start  # the flat list runs over ends, and over starts within
        first, last = int(found.start_top_index[0, start]), int(found.end_top_index[0, place])
        score = math.log(found.start_top_log_probs[0, start]) + math.log(found.end_top_log_probs[0, place])
        if first >= at and last < at + len(offsets) and first <= last < first + 30:
            best = max(best, (score, (offsets[first - at][0], offsets[last - at][1])))
    assert best[0] > -math.inf
    assert answer["prediction"] == passage[slice(*best[1])].strip()
    assert answer["no_answer_probability"] == pytest.approx(float(torch.sigmoid(found.cls_logits[0])), abs=1e-5)


def test_no_answer_is_looked_for_where_none_can_be(tmp_path):
    held = load(str(tiny.model_folder("xlnet", tmp_path / "m", "question-answering-beams", ["a", "b"], seed=4)), None, seed=0)
    task = QuestionAnswering(learned=Learned(values={"no_answer": False, "threshold": 0.5, "beams": True}))
    (feature,) = task.encode(task.read(Row(0, {"question": "Who?", "passage": "My sister waters the roses."})), held.tokenizer)
    output = held.parted(collate([feature], Layout(False)), {name: values.detach().numpy() for name, values in held.forward(
        collate([feature], Layout(False))).items()})[0]
    allowed = {place for place, one in enumerate(feature.targets["outside"].value) if not one}
    likely = output["starts"][np.exp(output["start_scores"]) > 1e-6]
    assert set(likely.tolist()) <= allowed and np.isfinite(output["logits"]).all()


def test_beams_on_a_family_without_them_are_refused_before_weights_are_read(tmp_path, headstart):
    file, folder = tmp_path / "rows.jsonl", tiny.model_folder("bert", tmp_path / "bert")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(12)))
    held = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(held[:-400] + b"\xff" * 400)  # numbers that are none: reading them would be told
    code, _, err = headstart("finetune", file, "--task", "question-answering", "--model", folder, "--to", tmp_path / "run", "--set",
                             "task.beams=true")
    assert code == 2 and "question-answering-beams" in err and "xlnet" in err and "xlm" in err
