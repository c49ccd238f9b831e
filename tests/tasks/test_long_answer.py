"""The task long-answer: rows, layout under a budget, both kinds of model, a run from file to answers."""

import json
from random import Random

import pytest
import tiny
import tiny_writers

from headstart.contract import Learned, Row, RowFault
from headstart.data.examples import read_examples
from headstart.generation.dispatch import prompt_ids
from headstart.models.loading.load import load
from headstart.settings import Data
from headstart.tasks.long_answer import prompts
from headstart.tasks.long_answer.task import LongAnswer, Settings

FAMILIES = pytest.mark.parametrize("family", ["t5", "gpt2", "llama"])
TEXTS = tiny.texts(60, seed=5)
LONG_PASSAGES = [" ".join(TEXTS[start:start + 2]) for start in range(0, 8, 2)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    parent = tmp_path_factory.mktemp("long")
    tiny_writers.model_folder("t5", parent / "t5", seed=2)
    for family in ("gpt2", "llama"):
        tiny.model_folder(family, parent / family, "causal-language-model")
    return {family: parent / family for family in ("t5", "gpt2", "llama")}


def loaded_task(family, folders, **settings):
    task = LongAnswer(Settings(**settings), Learned(values={"answer_words": 10}))
    model = load(str(folders[family]), None, seed=0)
    return task, model, model.tokenizer


def model_input(family, feature):
    """What the model is given, without the answer."""
    return list(feature.ids) if family == "t5" else prompt_ids(feature)


def read(task, **values):
    return task.read(Row(0, values))


def test_a_row_is_read_in_every_form():
    task = LongAnswer()
    example = read(task, question="Why?", details="Really.",
                   passages=["a b", {"text": "c d", "title": "T", "document": "x.md", "score": 0.5}],
                   answer="Because.", document="x.md")
    assert example.texts == ["a b", "T. c d"] and example.answers == ("Because.",) and example.passages[
        1].score == 0.5 and example.document == "x.md"
    assert read(task, question="Why?", passages='["a", "b"]').texts == ["a", "b"]
    assert read(task, question="Why?").answers is None and read(task, question="Why?").passages == ()
    answers = [{"text": "first", "score": 1}, {"text": "good", "score": 3}, {"text": "bad", "score": 2}]
    assert read(task, question="Why?", answers=answers).answers == ("first", "good")
    assert read(task, question="Why?", answer="own", answers=answers).answers == ("own", "good")
    assert read(task, question="Why?", answers=["only", "text"]).answers == ("only",)


@pytest.mark.parametrize(("values", "code"), [
    ({"question": " ?! ", "answer": "x"}, "E201"), ({"question": "Why?", "answer": " "}, "E201"),
    ({"question": "Why?", "passages": [3]}, "E332"), ({"question": "Why?", "passages": "[oops]"}, "E330"),
    ({"question": "Why?", "answers": [{"score": 3}]}, "E332")])
def test_a_faulty_row_is_reported(values, code):
    with pytest.raises(RowFault) as error:
        read(LongAnswer(), **values)
    assert error.value.code == code and error.value.fix


@FAMILIES
def test_passages_stand_in_their_order_and_the_last_is_cut_at_a_sentence(family, folders):
    task, _, tokenizer = loaded_task(family, folders)
    example = read(task, question="Who waters the roses?", passages=LONG_PASSAGES, answer=TEXTS[40])
    prompt_parts = prompts.prompt_parts(example, "plain")
    (feature,) = task.encode(example, tokenizer)
    text = tokenizer.hf_tokenizer.decode(model_input(family, feature), skip_special_tokens=True)
    assert feature.truncated_tokens > 0 and "[1]" in text and "[4]" not in text and len(feature) <= tokenizer.max_length
    body = text.removesuffix("\n").removesuffix("answer:").strip()
    assert body.endswith((".", "!", "?")) and "".join(body.split()) in "".join((prompt_parts[0]
                                                                                + "".join(prompt_parts[1])).split())
    roomy_tokenizer = tokenizer.with_max_length(10_000)
    (uncut_feature,) = task.encode(example, roomy_tokenizer)
    assert uncut_feature.truncated_tokens == 0 and len(model_input(family, uncut_feature)) - len(
        model_input(family, feature)) == feature.truncated_tokens


@FAMILIES
def test_training_and_prediction_read_the_same(family, folders):
    task, _, tokenizer = loaded_task(family, folders)
    for passages in (LONG_PASSAGES, LONG_PASSAGES[:1], []):
        training_features = task.encode(read(task, question="Who waters the roses?", passages=passages,
                                             answer=TEXTS[40]), tokenizer, Random(0))
        prediction_features = task.encode(read(task, question="Who waters the roses?", passages=passages), tokenizer)
        assert [model_input(family, feature) for feature in training_features] == [model_input(family, feature)
                                                                                   for feature in prediction_features]


@FAMILIES
def test_only_the_answer_and_its_end_are_learned(family, folders):
    task, _, tokenizer = loaded_task(family, folders)
    (feature,) = task.encode(read(task, question="Who?", passages=TEXTS[:1], answer="The captain."), tokenizer,
                             Random(0))
    label = list(feature.targets["label"].value)
    assert label == [*tokenizer.tokenize("The captain.").ids, tokenizer.end_id]
    if family != "t5":
        assert [feature.ids[position + 1]
                for position in feature.label_positions] == label and feature.label_positions[-1] == len(feature) - 2


@FAMILIES
def test_further_good_answers_are_learned_too_and_a_question_counts_once(family, folders):
    task, _, tokenizer = loaded_task(family, folders)
    example = read(task, question="Who?", passages=TEXTS[:1],
                   answers=[{"text": "One."}, {"text": "Two.", "score": 4}, {"text": "No.", "score": 0}])
    features = task.encode(example, tokenizer, Random(0))
    assert len(features) == 2 and sum(feature.weight
                                      for feature in features) == 1 and len(task.encode(example, tokenizer)) == 1


def test_long_details_leave_room_for_passages(folders):
    task, _, tokenizer = loaded_task("t5", folders)
    example = read(task, question="Who?", details=" ".join(TEXTS[:10]), passages=TEXTS[10:11])
    text = tokenizer.hf_tokenizer.decode(list(task.encode(example, tokenizer)[0].ids))
    assert "[1]" in text and TEXTS[0][:12] in text


def test_a_question_that_fills_all_is_cut_but_the_prompt_keeps_its_end(folders):
    task, _, tokenizer = loaded_task("gpt2", folders, layout="instruct")
    (feature,) = task.encode(read(task, question="Who? " * 5, passages=TEXTS[:3]), tokenizer)
    assert tokenizer.hf_tokenizer.decode(list(feature.ids)).rstrip().endswith(
        "Answer:") and feature.truncated_tokens > 0


def test_a_passage_below_the_threshold_is_abstained_from(folders):
    task, _, _ = loaded_task("t5", folders, threshold=0.5)
    output = {"text": "It rains.", "log_probability": -1.0, "ended": "end", "cut": 0, "tokens": 3}
    for score, abstains in ((0.4, True), (0.6, False)):
        prediction = task.decode(read(task, question="Why?", passages=[{"text": "It rains.", "score": score}]),
                                 [output])
        assert prediction.values["abstained"] == abstains and (prediction.values["prediction"]
                                                               == prompts.NO_ANSWER) == abstains
    refusal = task.decode(read(task, question="Why?", passages=["It rains."]),
                          [output | {"text": "Nothing in these documents answers this"}])
    assert refusal.values["abstained"] and refusal.values["citations"] == []


def test_scores_of_rows_are_worked_out(folders):
    task, _, _ = loaded_task("t5", folders)
    example = read(task, question="Who?", passages=["The gardener waters the roses."],
                   answer="The gardener waters the roses.")
    output = {"text": "The gardener waters the roses. [1][4]", "log_probability": -1.0, "ended": "end", "cut": 0,
              "tokens": 3}
    prediction = task.decode(example, [output])
    assert prediction.values == {"prediction": "The gardener waters the roses.", "citations": [1], "abstained": False,
                                 "log_probability": -1.0}
    measures = task.measure(example, prediction)
    assert measures["rougeL"] == 100 and measures["grounding"] == measures["citation_precision"] == measures[
        "citation_recall"] == 1
    assert measures["false_marks"] == 0.5 and measures["cited_by_writer"] == 1


def test_a_curriculum_learns_the_first_epoch_in_the_files_order():
    import numpy as np

    from headstart.data.features.batches import plan_batches

    task, lengths = LongAnswer(Settings(curriculum=True)), np.array([5, 9, 1, 7, 3])
    assert task.in_file_order(0) and not task.in_file_order(1) and not LongAnswer().in_file_order(0)
    batches = [[step.tolist() for step in plan_batches(lengths, batch_size=2, seed=0, epoch=epoch, bucketed=True,
                                                       in_order=task.in_file_order(epoch))]
               for epoch in (0, 1)]
    assert batches[0] == [[0, 1], [2, 3], [4]] and len(batches[1]) == 3 and sorted(index for step in batches[1]
                                                                                   for index in step) == [0, 1, 2, 3, 4]


def rows(count):
    """The first passage's second word is what is to be written."""
    texts = tiny.texts(count, seed=5)
    return [{"question": f"Who is it in number {index}?", "passages": [text], "answer": f"It is the {text.split()[1]}."}
            for index, text in enumerate(texts)]


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_run_trains_scores_and_predicts(family, folders, tmp_path, headstart):
    from headstart.retrieval.answering.generator import AnswerGenerator
    from headstart.retrieval.documents.passage import Passage, ScoredPassage

    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(40)), encoding="utf-8")
    code, _, stderr = headstart("finetune", file, "--model", folders[family], "--to", tmp_path / "run", "--epochs", "1",
                                "--batch-size", "8", "--set", "evaluation.resamples=10")
    assert code == 0, stderr
    assert "task: long-answer" in stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert next(iter(scores["dev"])) == "rougeL" and {"grounding", "citation_precision",
                                                      "citation_recall"} <= set(scores["dev"])
    assert set(scores["baselines"]) == {"best passage's first sentences", "sentence like the question"}
    questions_path = tmp_path / "asked.jsonl"
    questions_path.write_text(json.dumps({"question": "Who is it?", "passages": TEXTS[:2]}) + "\n", encoding="utf-8")
    code, stdout, stderr = headstart("predict", tmp_path / "run", questions_path, "--to", "-")
    assert code == 0, stderr
    assert {"prediction", "citations", "abstained"} <= set(json.loads(stdout.strip().splitlines()[-1]))
    writer = AnswerGenerator.load(str(tmp_path / "run"))
    answer = writer.answer("Who is it?", [ScoredPassage(Passage("a", "", "", text, 0, len(text)), 0, 0.5)
                                          for text in TEXTS[:2]])
    assert writer.task.settings.layout == "plain" and answer.prediction == json.loads(stdout.strip().splitlines()[-1])[
        "prediction"]


def test_answers_as_objects_stay_texts_where_a_row_names_its_document_too(tmp_path):
    """A row of the kind that is mined from an index; one passage and no list of them would be SQuAD's."""
    row = {"question": "When does it grind?", "answers": [{"text": "It grinds on Friday."}],
           "passages": [{"text": "The mill grinds on Friday.", "document": "mill.md"}], "document": "mill.md"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    reading = read_examples(LongAnswer(), str(tmp_path / "rows.jsonl"), Data(), columns={}, training=True)
    assert reading.examples[0].answers == ("It grinds on Friday.",)
