"""Question answering: every form of file, repaired offsets, official scores and files, long documents, published models."""

import collections
import json
import re
import string

import numpy as np
import pytest
import tiny

from headstart.contract import Row, RowFault
from headstart.errors import Finding
from headstart.metrics import answers as metrics
from headstart.tasks.question_answering import reading
from headstart.tasks.question_answering.task import QuestionAnswering, best_spans
from headstart.text.answer_spans import locate

PASSAGE = "The old captain counts seven green apples. Nobody here forgets the river bank.\nThe gardener counts café tables 😀 before noon."


def official(questions: dict[str, list[str]], predicted: dict[str, str], odds: dict[str, float]) -> dict[str, float]:
    """SQuAD 2.0's evaluation, written down once more from its definition: question by question, in plain Python."""
    def plain(text):
        text = "".join(mark for mark in text.lower() if mark not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(gold, given):
        one, two = plain(gold).split(), plain(given).split()
        if not one or not two:
            return float(one == two)
        same = sum((collections.Counter(one) & collections.Counter(two)).values())
        return 0.0 if not same else 2 * (same / len(two)) * (same / len(one)) / (same / len(two) + same / len(one))

    golds = {name: [text for text in texts if plain(text)] or [""] for name, texts in questions.items()}
    each = {name: max(f1(gold, predicted[name]) for gold in golds[name]) for name in questions}
    same = {name: max(float(plain(gold) == plain(predicted[name])) for gold in golds[name]) for name in questions}
    has = {name: bool(texts) for name, texts in questions.items()}
    best = now = sum(not held for held in has.values())
    threshold = 0.0
    for name in sorted(odds, key=lambda one: odds[one]):
        now += each[name] if has[name] else (-1 if predicted[name] else 0)
        if now > best:
            best, threshold = now, odds[name]
    return {"f1": sum(each.values()) / len(each), "exact_match": sum(same.values()) / len(each),
            "has_answer_f1": np.mean([each[name] for name in each if has[name]]),
            "no_answer_f1": np.mean([each[name] for name in each if not has[name]]), "best_f1": best / len(each), "best_threshold": threshold}


def test_scores_equal_the_official_evaluation_to_the_last_digit():
    draw, task = np.random.default_rng(0), QuestionAnswering()
    words = ["the", "river", "bank", "Seven", "apples!", "an", "old", "captain's"]
    questions = {str(n): [" ".join(draw.choice(words, draw.integers(1, 5))) for _ in range(draw.integers(0, 3))] for n in range(80)}
    predicted = {name: "" if draw.random() < 0.3 else " ".join(draw.choice(words, draw.integers(1, 5))) for name in questions}
    odds = {name: round(float(draw.random()), 2) for name in questions}
    golds = {name: [text for text in texts if metrics.normalised(text)] or [""] for name, texts in questions.items()}
    measures = {"f1": np.array([metrics.overlap_f1(predicted[one], golds[one], empty_matches=True) for one in questions]),
                "exact": np.array([metrics.exact_match(predicted[one], golds[one]) for one in questions]),
                "answerable": np.array([bool(texts) for texts in questions.values()]),
                "answered": np.array([bool(text) for text in predicted.values()]), "no_answer": np.array(list(odds.values()))}
    found, wanted = metrics.scores(measures, np.ones((1, 80))), official(questions, predicted, odds)
    assert {name: found[name][0] for name in wanted} == pytest.approx(wanted, abs=1e-12)
    assert task.best[0] == next(iter(found))


def test_answers_of_1_1_without_words_do_not_agree():
    assert metrics.overlap_f1("the", ["a"], empty_matches=False) == 0.0 and metrics.exact_match("the", ["a"]) == 1.0
    assert metrics.overlap_f1("the", ["a"], empty_matches=True) == 1.0


@pytest.mark.parametrize(("answer", "start", "text", "repair"), [
    ("seven green apples", 23, "seven green apples", ""), ("seven green apples", None, "seven green apples", ""),
    ("seven green apples", 25, "seven green apples", "moved"), ("seven green apples", -1, "seven green apples", "moved"),
    ("before noon.", 10_000, "before noon.", "moved"), ("counts", None, "counts", "first of several"), ("counts", 90, "counts", "moved"),
    ("cafe\u0301", None, "café", "another form"), ("RIVER  BANK", None, "river bank", "another form"),
    ("bank. The gardener", None, "bank.\nThe gardener", "another form"), ("😀 before", 1, "😀 before", "moved")])
def test_answers_are_found_and_repairs_are_named(answer, start, text, repair):
    found = locate(PASSAGE, answer, start)
    assert found is not None and PASSAGE[found.begin:found.end] == text and found.repair == repair
    if answer == "counts" and start == 90:
        assert found.begin == PASSAGE.rindex("counts")


def test_offsets_of_right_to_left_and_windows_line_ends():
    text = "שלום עולם.\r\nالكتاب على الطاولة"
    found = locate(text, "الكتاب", None)
    assert found is not None and text[found.begin:found.end] == "الكتاب"
    moved = locate(text, "الكتاب", 11)  # counted without the carriage return
    assert moved is not None and moved.repair == "moved" and moved.begin == found.begin


FAULTS = [
    ({"answer": "a doctor"}, "E320", "answer"), ({"answer": "apples", "start": "x"}, "E321", "start"),
    ({"answer": "apples", "start": 1.5}, "E321", "start"), ({"answer": "apples", "start": True}, "E321", "start"),
    ({"answer": ["apples", "noon"], "start": [1]}, "E325", "start"), ({"answer": 7}, "E326", "answer"),
    ({"answer": [None]}, "E326", "answer"), ({"answer": "apples", "impossible": True}, "E324", "answer"),
    ({"question": " ", "answer": "apples"}, "E201", "question"), ({"passage": "", "answer": "apples"}, "E201", "passage"),
    ({"passage": 3, "answer": "apples"}, "E201", "passage"), ({"question": None, "answer": "apples"}, "E201", "question")]


@pytest.mark.parametrize(("values", "code", "field"), FAULTS)
def test_faulty_rows_are_told(values, code, field):
    with pytest.raises(RowFault) as told:
        QuestionAnswering().read(Row(0, {"question": "What?", "passage": PASSAGE} | values))
    assert (told.value.code, told.value.field) == (code, field) and told.value.fix


def test_hub_form_and_lists_are_read():
    task = QuestionAnswering()
    one = task.read(Row(0, {"question": "What?", "passage": PASSAGE, "answer": {"text": ["noon"], "answer_start": [PASSAGE.index("noon")]}}))
    assert one.answers == ("noon",) and one.place.begin == PASSAGE.index("noon") and one.place.repair == ""
    assert task.read(Row(0, {"question": "What?", "passage": PASSAGE, "answer": "noon", "start": str(PASSAGE.index("noon"))})).place.repair == ""
    assert task.read(Row(0, {"question": "What?", "passage": PASSAGE, "answer": []})).answers == ()
    assert task.read(Row(0, {"question": "What?", "passage": PASSAGE})).answers is None


def squad(version2: bool = True) -> dict:
    """Three articles of two passages; the answer is the word after "counts"."""
    data = []
    for article in range(9):
        paragraphs = []
        for number in range(2):
            passage = f"The captain counts {('apples', 'roses', 'cards')[(article + number) % 3]}. {tiny.texts(1, seed=10 * article + number)[0]}"
            answer = passage.split("counts ")[1].split(".")[0]
            qas = [{"id": f"{article}-{number}-a", "question": "What is counted?", "answers": [{"text": answer, "answer_start": 19}]},
                   {"id": f"{article}-{number}-b", "question": "Who sings?", "answers": []}]
            for one in qas:
                one |= {"is_impossible": not one["answers"]} if version2 else {}
            paragraphs.append({"context": passage, "qas": qas if version2 else qas[:1]})
        data.append({"title": f"article {article}", "paragraphs": paragraphs})
    return {"version": "v2.0", "data": data}


def test_a_squad_file_is_trained_scored_and_written_as_the_official_script_reads_it(tiny_bert, tmp_path, headstart):
    (tmp_path / "train.json").write_text(json.dumps(squad()), encoding="utf-8")
    (tmp_path / "dev.json").write_text(json.dumps(squad()), encoding="utf-8")
    code, _, words = headstart("finetune", tmp_path / "train.json", "--dev", tmp_path / "dev.json", "--model", tiny_bert, "--to",
                               tmp_path / "run", "--epochs", 2, "--set", "evaluation.resamples=20", "--set", "training.learning_rate=0.003")
    assert code == 0, words
    assert "SQuAD layout" in words and "18 of 36 questions have no answer" in words
    held = {name: json.loads((tmp_path / "run" / "official" / "dev" / f"{name}.json").read_text())
            for name in ("predictions", "nbest_predictions", "null_odds")}
    golds = {one["id"]: [answer["text"] for answer in one["answers"]] for article in squad()["data"]
             for paragraph in article["paragraphs"] for one in paragraph["qas"]}
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {name: scores["dev"][name]["value"] for name in ("f1", "exact_match", "has_answer_f1", "no_answer_f1", "best_f1", "best_threshold")} \
        == pytest.approx(official(golds, held["predictions"], held["null_odds"]), abs=1e-12)
    assert set(scores["baselines"]) == {"never answers", "sentence with most overlap"} and "f1_at_default_threshold" in scores["dev"]
    assert all(abs(sum(one["probability"] for one in n_best) - 1) < 1e-6 for n_best in held["nbest_predictions"].values())
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Start scores" in report or not any(held["predictions"].values())


def test_answers_from_a_long_document_say_where_they_stand(tmp_path, headstart):
    model = tiny.model_folder("bert", tmp_path / "squad", "question-answering", ["LABEL_0", "LABEL_1"], seed=5)
    document = " ".join(tiny.texts(300, seed=8))
    (tmp_path / "book.txt").write_text(document, encoding="utf-8")
    code, out, words = headstart("predict", model, "--value", "question=Who counts?", "--value", f"passage=@{tmp_path / 'book.txt'}")
    assert code == 0, words
    answer = json.loads(out)
    assert answer["prediction"] and document[answer["start"]:answer["end"]] == answer["prediction"]
    assert 0 < answer["probability"] <= 1 and 0 <= answer["no_answer_probability"] <= 1


def test_an_answer_at_a_windows_border_is_found_in_the_other_window(tmp_path):
    from headstart.models.loading.load import load

    model = load(str(tiny.model_folder("bert", tmp_path / "m", "question-answering", ["a", "b"])), None, seed=0)
    short, task = model.tokenizer.with_longest(32), QuestionAnswering(QuestionAnswering.Settings(overlap=8))
    passage = " ".join(tiny.texts(6, seed=3))
    for word in ("roses", "bank", "card", "apples"):
        for start in [found.start() for found in re.finditer(word, passage)]:
            example = task.read(Row(0, {"question": "Who?", "passage": passage, "answer": word, "start": start}))
            made = task.knowing(task.learn([example])).encode(example, short)
            assert any(feature.targets["label"].value != [0, 0] for feature in made), (word, start)
            assert sum(feature.weight for feature in made) == pytest.approx(1)


def test_the_best_spans_are_those_of_a_plain_search():
    draw = np.random.default_rng(4)
    for size, longest in ((1, 5), (7, 3), (40, 12)):
        logits = draw.normal(size=(size, 2))
        wanted = sorted(((logits[a, 0] + logits[b, 1], a, b) for a in range(size) for b in range(a, min(size, a + longest))), reverse=True)[:10]
        found = best_spans(logits, longest, 10)
        assert [one[1:] for one in found] == [one[1:] for one in wanted] and np.allclose([one[0] for one in found], [one[0] for one in wanted])


def test_repairs_and_double_ids_are_counted():
    task = QuestionAnswering()
    held = [task.read(Row(n, {"question": "What?", "passage": PASSAGE, "answer": answer, "start": start, "id": "same"}))
            for n, (answer, start) in enumerate((("apples", 1), ("noon", 2), ("counts", None), ("", None)))]
    found: list[Finding] = reading.check({"train": held})
    assert [one.code for one in found] == ["W220", "W221", "W223", "N220"] and "2 answers" in found[0].message


def test_mixed_versions_and_broken_entries_are_told(tmp_path, headstart):
    held = squad()
    del held["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"]
    held["data"][1]["paragraphs"].append({"qas": [{"id": "x", "question": "No context?"}]})
    (tmp_path / "mixed.json").write_text(json.dumps(held), encoding="utf-8")
    code, _, words = headstart("check", tmp_path / "mixed.json")
    assert code == 65 and "E110" in words and "holds something that is no question" in words
    code, out, words = headstart("check", tmp_path / "mixed.json", "--bad-rows", "skip")
    assert code == 0 and "W224" in out + words
