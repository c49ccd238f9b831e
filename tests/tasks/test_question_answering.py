"""Question answering: every form of file, repaired offsets, official scores and files, long documents, published
models.
"""

import collections
import json
import re
import string

import numpy as np
import pytest
import tiny

from headstart.contract import Row, RowFault
from headstart.errors import Finding
from headstart.metrics import squad as metrics
from headstart.tasks.question_answering import reading
from headstart.tasks.question_answering.decoding import best_spans
from headstart.tasks.question_answering.task import QuestionAnswering
from headstart.text.answer_spans import find_answer

PASSAGE = ("The old captain counts seven green apples. Nobody here forgets the river bank.\nThe gardener counts café "
           "tables 😀 before noon.")


def official_scores(questions: dict[str, list[str]], predicted: dict[str, str],
                    odds: dict[str, float]) -> dict[str, float]:
    """SQuAD 2.0's evaluation, written down once more from its definition: question by question, in plain Python."""
    def normalise(text):
        text = "".join(character for character in text.lower() if character not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(gold, predicted_text):
        gold_words, predicted_words = normalise(gold).split(), normalise(predicted_text).split()
        if not gold_words or not predicted_words:
            return float(gold_words == predicted_words)
        common = sum((collections.Counter(gold_words) & collections.Counter(predicted_words)).values())
        return 0.0 if not common else 2 * (common / len(predicted_words)) * (common / len(gold_words)) / (
            common / len(predicted_words) + common / len(gold_words))

    golds = {name: [text for text in texts if normalise(text)] or [""] for name, texts in questions.items()}
    f1_scores = {name: max(f1(gold, predicted[name]) for gold in golds[name]) for name in questions}
    exact_scores = {name: max(float(normalise(gold) == normalise(predicted[name])) for gold in golds[name])
                    for name in questions}
    answerable = {name: bool(texts) for name, texts in questions.items()}
    best = total = sum(not has_answer for has_answer in answerable.values())
    threshold = 0.0
    for name in sorted(odds, key=lambda name: odds[name]):
        total += f1_scores[name] if answerable[name] else (-1 if predicted[name] else 0)
        if total > best:
            best, threshold = total, odds[name]
    return {"f1": sum(f1_scores.values()) / len(f1_scores), "exact_match": sum(exact_scores.values()) / len(f1_scores),
            "has_answer_f1": np.mean([f1_scores[name] for name in f1_scores if answerable[name]]),
            "no_answer_f1": np.mean([f1_scores[name] for name in f1_scores if not answerable[name]]),
            "best_f1": best / len(f1_scores), "best_threshold": threshold}


def test_scores_equal_the_official_evaluation_to_the_last_digit():
    rng, task = np.random.default_rng(0), QuestionAnswering()
    words = ["the", "river", "bank", "Seven", "apples!", "an", "old", "captain's"]
    questions = {str(index): [" ".join(rng.choice(words, rng.integers(1, 5))) for _ in range(rng.integers(0, 3))]
                 for index in range(80)}
    predicted = {name: "" if rng.random() < 0.3 else " ".join(rng.choice(words, rng.integers(1, 5)))
                 for name in questions}
    odds = {name: round(float(rng.random()), 2) for name in questions}
    golds = {name: [text for text in texts if metrics.normalise_answer(text)] or [""]
             for name, texts in questions.items()}
    measures = {"f1": np.array([metrics.max_token_f1(predicted[name], golds[name], empty_matches=True)
                                for name in questions]),
                "exact": np.array([metrics.exact_match(predicted[name], golds[name]) for name in questions]),
                "answerable": np.array([bool(texts) for texts in questions.values()]),
                "answered": np.array([bool(text) for text in predicted.values()]),
                "no_answer": np.array(list(odds.values()))}
    scores, expected = metrics.scores(measures, np.ones((1, 80))), official_scores(questions, predicted, odds)
    assert {name: scores[name][0] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert task.selection_score[0] == next(iter(scores))


def test_answers_of_1_1_without_words_do_not_agree():
    assert metrics.max_token_f1("the", ["a"], empty_matches=False) == 0.0 and metrics.exact_match("the", ["a"]) == 1.0
    assert metrics.max_token_f1("the", ["a"], empty_matches=True) == 1.0


@pytest.mark.parametrize(("answer", "start", "text", "repair"), [
    ("seven green apples", 23, "seven green apples", ""), ("seven green apples", None, "seven green apples", ""),
    ("seven green apples", 25, "seven green apples", "moved"),
    ("seven green apples", -1, "seven green apples", "moved"),
    ("before noon.", 10_000, "before noon.", "moved"), ("counts", None, "counts", "first of several"),
    ("counts", 90, "counts", "moved"),
    ("cafe\u0301", None, "café", "another form"), ("RIVER  BANK", None, "river bank", "another form"),
    ("bank. The gardener", None, "bank.\nThe gardener", "another form"), ("😀 before", 1, "😀 before", "moved")])
def test_answers_are_found_and_repairs_are_named(answer, start, text, repair):
    span = find_answer(PASSAGE, answer, start)
    assert span is not None and PASSAGE[span.begin:span.end] == text and span.repair == repair
    if answer == "counts" and start == 90:
        assert span.begin == PASSAGE.rindex("counts")


def test_offsets_of_right_to_left_and_windows_line_ends():
    text = "שלום עולם.\r\nالكتاب على الطاولة"
    span = find_answer(text, "الكتاب", None)
    assert span is not None and text[span.begin:span.end] == "الكتاب"
    moved_span = find_answer(text, "الكتاب", 11)  # counted without the carriage return
    assert moved_span is not None and moved_span.repair == "moved" and moved_span.begin == span.begin


FAULTS = [
    ({"answer": "a doctor"}, "E320", "answer"), ({"answer": "apples", "start": "x"}, "E321", "start"),
    ({"answer": "apples", "start": 1.5}, "E321", "start"), ({"answer": "apples", "start": True}, "E321", "start"),
    ({"answer": ["apples", "noon"], "start": [1]}, "E325", "start"), ({"answer": 7}, "E326", "answer"),
    ({"answer": [None]}, "E326", "answer"), ({"answer": "apples", "impossible": True}, "E324", "answer"),
    ({"question": " ", "answer": "apples"}, "E201", "question"),
    ({"passage": "", "answer": "apples"}, "E201", "passage"),
    ({"passage": 3, "answer": "apples"}, "E201", "passage"),
    ({"question": None, "answer": "apples"}, "E201", "question")]


@pytest.mark.parametrize(("values", "code", "field"), FAULTS)
def test_faulty_rows_are_reported(values, code, field):
    with pytest.raises(RowFault) as error:
        QuestionAnswering().read(Row(0, {"question": "What?", "passage": PASSAGE} | values))
    assert (error.value.code, error.value.field) == (code, field) and error.value.fix


def test_hub_form_and_lists_are_read():
    task = QuestionAnswering()
    example = task.read(Row(0, {"question": "What?", "passage": PASSAGE,
                                "answer": {"text": ["noon"], "answer_start": [PASSAGE.index("noon")]}}))
    assert example.answers == ("noon",) and example.answer_span.begin == PASSAGE.index(
        "noon") and example.answer_span.repair == ""
    assert task.read(Row(0, {"question": "What?", "passage": PASSAGE, "answer": "noon",
                             "start": str(PASSAGE.index("noon"))})).answer_span.repair == ""
    assert task.read(Row(0, {"question": "What?", "passage": PASSAGE, "answer": []})).answers == ()
    assert task.read(Row(0, {"question": "What?", "passage": PASSAGE})).answers is None


def squad(version2: bool = True) -> dict:
    """Three articles of two passages; the answer is the word after "counts"."""
    data = []
    for article in range(9):
        paragraphs = []
        for index in range(2):
            passage = (f"The captain counts {('apples', 'roses', 'cards')[(article + index) % 3]}. "
                       f"{tiny.texts(1, seed=10 * article + index)[0]}")
            answer = passage.split("counts ")[1].split(".")[0]
            qas = [{"id": f"{article}-{index}-a", "question": "What is counted?",
                    "answers": [{"text": answer, "answer_start": 19}]},
                   {"id": f"{article}-{index}-b", "question": "Who sings?", "answers": []}]
            for question in qas:
                question |= {"is_impossible": not question["answers"]} if version2 else {}
            paragraphs.append({"context": passage, "qas": qas if version2 else qas[:1]})
        data.append({"title": f"article {article}", "paragraphs": paragraphs})
    return {"version": "v2.0", "data": data}


def test_a_squad_file_is_trained_scored_and_written_as_the_official_script_reads_it(tiny_bert, tmp_path, headstart):
    (tmp_path / "train.json").write_text(json.dumps(squad()), encoding="utf-8")
    (tmp_path / "dev.json").write_text(json.dumps(squad()), encoding="utf-8")
    code, _, stderr = headstart("finetune", tmp_path / "train.json", "--dev", tmp_path / "dev.json", "--model",
                                tiny_bert, "--to",
                                tmp_path / "run", "--epochs", 2, "--set", "evaluation.resamples=20", "--set",
                                "training.learning_rate=0.003")
    assert code == 0, stderr
    assert "SQuAD layout" in stderr and "18 of 36 questions have no answer" in stderr
    official_files = {name: json.loads((tmp_path / "run" / "official" / "dev" / f"{name}.json").read_text())
                      for name in ("predictions", "nbest_predictions", "null_odds")}
    golds = {entry["id"]: [answer["text"] for answer in entry["answers"]] for article in squad()["data"]
             for paragraph in article["paragraphs"] for entry in paragraph["qas"]}
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {name: scores["dev"][name]["value"] for name in ("f1", "exact_match", "has_answer_f1", "no_answer_f1",
                                                            "best_f1", "best_threshold")} \
        == pytest.approx(official_scores(golds, official_files["predictions"], official_files["null_odds"]), abs=1e-12)
    assert set(scores["baselines"]) == {"never answers",
                                        "sentence with most overlap"} and "f1_at_default_threshold" in scores["dev"]
    assert all(abs(sum(entry["probability"] for entry in n_best) - 1) < 1e-6
               for n_best in official_files["nbest_predictions"].values())
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Start scores" in report or not any(official_files["predictions"].values())


def test_answers_from_a_long_document_say_where_they_stand(tmp_path, headstart):
    model = tiny.model_folder("bert", tmp_path / "squad", "question-answering", ["LABEL_0", "LABEL_1"], seed=5)
    document = " ".join(tiny.texts(300, seed=8))
    (tmp_path / "book.txt").write_text(document, encoding="utf-8")
    code, stdout, stderr = headstart("predict", model, "--value", "question=Who counts?", "--value",
                                     f"passage=@{tmp_path / 'book.txt'}")
    assert code == 0, stderr
    answer = json.loads(stdout)
    assert answer["prediction"] and document[answer["start"]:answer["end"]] == answer["prediction"]
    assert 0 < answer["probability"] <= 1 and 0 <= answer["no_answer_probability"] <= 1


def test_an_answer_at_a_windows_border_is_found_in_the_other_window(tmp_path):
    from headstart.models.loading.load import load

    model = load(str(tiny.model_folder("bert", tmp_path / "m", "question-answering", ["a", "b"])), None, seed=0)
    short_tokenizer, task = model.tokenizer.with_max_length(32), QuestionAnswering(
        QuestionAnswering.Settings(overlap=8))
    passage = " ".join(tiny.texts(6, seed=3))
    for word in ("roses", "bank", "card", "apples"):
        for start in [match.start() for match in re.finditer(word, passage)]:
            example = task.read(Row(0, {"question": "Who?", "passage": passage, "answer": word, "start": start}))
            features = task.with_learned(task.learn([example])).encode(example, short_tokenizer)
            assert any(feature.targets["label"].value != [0, 0] for feature in features), (word, start)
            assert sum(feature.weight for feature in features) == pytest.approx(1)


def test_the_best_spans_are_those_of_a_plain_search():
    rng = np.random.default_rng(4)
    for size, longest in ((1, 5), (7, 3), (40, 12)):
        logits = rng.normal(size=(size, 2))
        expected = sorted(((logits[start, 0] + logits[end, 1], start, end) for start in range(size)
                           for end in range(start, min(size, start + longest))), reverse=True)[:10]
        spans = best_spans(logits, longest, 10)
        assert [span[1:] for span in spans] == [span[1:] for span in expected] and np.allclose(
            [span[0] for span in spans], [span[0] for span in expected])


def test_repairs_and_double_ids_are_counted():
    task = QuestionAnswering()
    examples = [task.read(Row(index, {"question": "What?", "passage": PASSAGE, "answer": answer, "start": start,
                                      "id": "same"}))
                for index, (answer, start) in enumerate((("apples", 1), ("noon", 2), ("counts", None), ("", None)))]
    findings: list[Finding] = reading.check({"train": examples})
    assert [finding.code for finding in findings] == ["W220", "W221", "W223",
                                                      "N220"] and "2 answers" in findings[0].message


def test_mixed_versions_and_broken_entries_are_reported(tmp_path, headstart):
    content = squad()
    del content["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"]
    content["data"][1]["paragraphs"].append({"qas": [{"id": "x", "question": "No context?"}]})
    (tmp_path / "mixed.json").write_text(json.dumps(content), encoding="utf-8")
    code, _, stderr = headstart("check", tmp_path / "mixed.json")
    assert code == 65 and "E110" in stderr and "is no context with a list of questions (qas)" in stderr
    code, stdout, stderr = headstart("check", tmp_path / "mixed.json", "--bad-rows", "skip")
    assert code == 0 and "W224" in stdout + stderr
