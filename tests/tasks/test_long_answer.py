"""The task long-answer: rows, layout under a budget, both kinds of model, a run from file to answers."""

import json
from random import Random

import pytest
import tiny
import tiny_writers

from headstart.contract import Learned, Row, RowFault
from headstart.generation.dispatch import prompt_of
from headstart.models.loading.load import load
from headstart.tasks.long_answer import prompts
from headstart.tasks.long_answer.task import LongAnswer, Settings

KINDS = pytest.mark.parametrize("family", ["t5", "gpt2", "llama"])
TEXTS = tiny.texts(60, seed=5)
LONG = [" ".join(TEXTS[place:place + 2]) for place in range(0, 8, 2)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("long")
    tiny_writers.folder("t5", place / "t5", seed=2)
    for family in ("gpt2", "llama"):
        tiny.model_folder(family, place / family, "causal-language-model")
    return {family: place / family for family in ("t5", "gpt2", "llama")}


def opened(family, folders, **settings):
    task = LongAnswer(Settings(**settings), Learned(values={"answer_words": 10}))
    held = load(str(folders[family]), None, seed=0)
    return task, held, held.tokenizer


def given(family, feature):
    """What the model is given, without the answer."""
    return list(feature.ids) if family == "t5" else prompt_of(feature)


def read(task, **values):
    return task.read(Row(0, values))


def test_a_row_is_read_in_every_form():
    task = LongAnswer()
    one = read(task, question="Why?", details="Really.", passages=["a b", {"text": "c d", "title": "T", "document": "x.md", "score": 0.5}],
               answer="Because.", document="x.md")
    assert one.texts == ["a b", "T. c d"] and one.answers == ("Because.",) and one.passages[1].score == 0.5 and one.document == "x.md"
    assert read(task, question="Why?", passages='["a", "b"]').texts == ["a", "b"]
    assert read(task, question="Why?").answers is None and read(task, question="Why?").passages == ()
    many = [{"text": "first", "score": 1}, {"text": "good", "score": 3}, {"text": "bad", "score": 2}]
    assert read(task, question="Why?", answers=many).answers == ("first", "good")
    assert read(task, question="Why?", answer="own", answers=many).answers == ("own", "good")
    assert read(task, question="Why?", answers=["only", "text"]).answers == ("only",)


@pytest.mark.parametrize(("values", "code"), [
    ({"question": " ?! ", "answer": "x"}, "E201"), ({"question": "Why?", "answer": " "}, "E201"),
    ({"question": "Why?", "passages": [3]}, "E332"), ({"question": "Why?", "passages": "[oops]"}, "E330"),
    ({"question": "Why?", "answers": [{"score": 3}]}, "E332")])
def test_a_faulty_row_is_told(values, code):
    with pytest.raises(RowFault) as told:
        read(LongAnswer(), **values)
    assert told.value.code == code and told.value.fix


@KINDS
def test_passages_stand_in_their_order_and_the_last_is_cut_at_a_sentence(family, folders):
    task, _, tokenizer = opened(family, folders)
    example = read(task, question="Who waters the roses?", passages=LONG, answer=TEXTS[40])
    whole = prompts.parted(example, "plain")
    (feature,) = task.encode(example, tokenizer)
    text = tokenizer.held.decode(given(family, feature), skip_special_tokens=True)
    assert feature.cut > 0 and "[1]" in text and "[4]" not in text and len(feature) <= tokenizer.longest
    body = text.removesuffix("\n").removesuffix("answer:").strip()
    assert body.endswith((".", "!", "?")) and "".join(body.split()) in "".join((whole[0] + "".join(whole[1])).split())
    free = tokenizer.with_longest(10_000)
    (roomy,) = task.encode(example, free)
    assert roomy.cut == 0 and len(given(family, roomy)) - len(given(family, feature)) == feature.cut


@KINDS
def test_training_and_prediction_read_the_same(family, folders):
    task, _, tokenizer = opened(family, folders)
    for passages in (LONG, LONG[:1], []):
        trained = task.encode(read(task, question="Who waters the roses?", passages=passages, answer=TEXTS[40]), tokenizer, Random(0))
        asked = task.encode(read(task, question="Who waters the roses?", passages=passages), tokenizer)
        assert [given(family, one) for one in trained] == [given(family, one) for one in asked]


@KINDS
def test_only_the_answer_and_its_end_are_learned(family, folders):
    task, _, tokenizer = opened(family, folders)
    (feature,) = task.encode(read(task, question="Who?", passages=TEXTS[:1], answer="The captain."), tokenizer, Random(0))
    label = list(feature.targets["label"].value)
    assert label == [*tokenizer.tokenize("The captain.").ids, tokenizer.end_id]
    if family != "t5":
        assert [feature.ids[place + 1] for place in feature.asks] == label and feature.asks[-1] == len(feature) - 2


@KINDS
def test_further_good_answers_are_learned_too_and_a_question_counts_once(family, folders):
    task, _, tokenizer = opened(family, folders)
    example = read(task, question="Who?", passages=TEXTS[:1], answers=[{"text": "One."}, {"text": "Two.", "score": 4}, {"text": "No.", "score": 0}])
    made = task.encode(example, tokenizer, Random(0))
    assert len(made) == 2 and sum(one.weight for one in made) == 1 and len(task.encode(example, tokenizer)) == 1


def test_long_details_leave_room_for_passages(folders):
    task, _, tokenizer = opened("t5", folders)
    example = read(task, question="Who?", details=" ".join(TEXTS[:10]), passages=TEXTS[10:11])
    text = tokenizer.held.decode(list(task.encode(example, tokenizer)[0].ids))
    assert "[1]" in text and TEXTS[0][:12] in text


def test_a_question_that_fills_all_is_cut_but_the_prompt_keeps_its_end(folders):
    task, _, tokenizer = opened("gpt2", folders, layout="instruct")
    (feature,) = task.encode(read(task, question="Who? " * 5, passages=TEXTS[:3]), tokenizer)
    assert tokenizer.held.decode(list(feature.ids)).rstrip().endswith("Answer:") and feature.cut > 0


def test_a_threshold_keeps_it_silent(folders):
    task, _, _ = opened("t5", folders, threshold=0.5)
    piece = {"text": "It rains.", "log_probability": -1.0, "ended": "end", "cut": 0, "tokens": 3}
    for score, silent in ((0.4, True), (0.6, False)):
        made = task.decode(read(task, question="Why?", passages=[{"text": "It rains.", "score": score}]), [piece])
        assert made.values["abstained"] == silent and (made.values["prediction"] == prompts.NOTHING) == silent
    said = task.decode(read(task, question="Why?", passages=["It rains."]), [piece | {"text": "Nothing in these documents answers this"}])
    assert said.values["abstained"] and said.values["citations"] == []


def test_scores_of_rows_are_worked_out(folders):
    task, _, _ = opened("t5", folders)
    example = read(task, question="Who?", passages=["The gardener waters the roses."], answer="The gardener waters the roses.")
    piece = {"text": "The gardener waters the roses. [1][4]", "log_probability": -1.0, "ended": "end", "cut": 0, "tokens": 3}
    prediction = task.decode(example, [piece])
    assert prediction.values == {"prediction": "The gardener waters the roses.", "citations": [1], "abstained": False, "log_probability": -1.0}
    found = task.measure(example, prediction)
    assert found["rougeL"] == 100 and found["grounding"] == found["citation_precision"] == found["citation_recall"] == 1
    assert found["false_marks"] == 0.5 and found["cited_by_writer"] == 1


def test_a_curriculum_learns_the_first_epoch_in_the_files_order():
    import numpy as np

    from headstart.data.features.batches import plan

    task, lengths = LongAnswer(Settings(curriculum=True)), np.array([5, 9, 1, 7, 3])
    assert task.in_order(0) and not task.in_order(1) and not LongAnswer().in_order(0)
    made = [[update.tolist() for update in plan(lengths, batch_size=2, seed=0, epoch=epoch, bucketed=True, in_order=task.in_order(epoch))]
            for epoch in (0, 1)]
    assert made[0] == [[0, 1], [2, 3], [4]] and len(made[1]) == 3 and sorted(at for update in made[1] for at in update) == [0, 1, 2, 3, 4]


def rows(count):
    """The first passage's second word is what is to be written."""
    held = tiny.texts(count, seed=5)
    return [{"question": f"Who is it in number {number}?", "passages": [text], "answer": f"It is the {text.split()[1]}."}
            for number, text in enumerate(held)]


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_run_trains_writes_scores_and_is_asked(family, folders, tmp_path, headstart):
    from headstart.retrieval.answering.generator import Writer
    from headstart.retrieval.documents.passage import Found, Passage

    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(40)), encoding="utf-8")
    code, _, err = headstart("finetune", file, "--model", folders[family], "--to", tmp_path / "run", "--epochs", "1",
                             "--batch-size", "8", "--set", "evaluation.resamples=10")
    assert code == 0, err
    assert "task: long-answer" in err
    held = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert next(iter(held["dev"])) == "rougeL" and {"grounding", "citation_precision", "citation_recall"} <= set(held["dev"])
    assert set(held["baselines"]) == {"best passage's first sentences", "sentence like the question"}
    asked = tmp_path / "asked.jsonl"
    asked.write_text(json.dumps({"question": "Who is it?", "passages": TEXTS[:2]}) + "\n", encoding="utf-8")
    code, out, err = headstart("predict", tmp_path / "run", asked, "--to", "-")
    assert code == 0, err
    assert {"prediction", "citations", "abstained"} <= set(json.loads(out.strip().splitlines()[-1]))
    writer = Writer.load(str(tmp_path / "run"))
    made = writer.answer("Who is it?", [Found(Passage("a", "", "", text, 0, len(text)), 0, 0.5) for text in TEXTS[:2]])
    assert writer.task.settings.layout == "plain" and made.prediction == json.loads(out.strip().splitlines()[-1])["prediction"]
