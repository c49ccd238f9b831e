"""Exports of annotation programs, chats, instructions and word tables are read as they come, and ordinary tables are
left alone.
"""

import json

import pytest

from headstart.contract import Column
from headstart.data.schemas import apply
from headstart.data.table import open_table
from headstart.settings import Data


def export(tmp_path, rows, name="rows.jsonl", **options):
    path = tmp_path / name
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows, ensure_ascii=False) if name.endswith(".json")
                    else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return open_table(str(path), Data(), **options)


def as_rows(opened):
    return [dict(zip(opened.columns, record.values, strict=True)) for record in opened]


def told(opened, code):
    return " ".join(finding.message for finding in opened.findings if finding.code == code)


def faults(opened):
    return [(finding.code, finding.line) for finding in opened.findings if finding.level == "fault"]


def test_both_inputs_of_an_instruction_are_read(tmp_path):
    opened = export(tmp_path, [{"instruction": "Turn it round:", "input": "abc", "output": "cba"},
                               {"instruction": "Name a river.", "input": "", "output": "the Elbe"}], "rows.json")
    assert as_rows(opened) == [{"prompt": "Turn it round:\n\nabc", "response": "cba"},
                               {"prompt": "Name a river.", "response": "the Elbe"}]


def labelled(*choices, **more):
    return {"result": [{"type": "choices", "from_name": "mood", "to_name": "text", "value": {"choices": [choice]}}
                       for choice in choices], **more}


def test_choices_of_label_studio(tmp_path):
    opened = export(tmp_path, [
        {"id": 1, "data": {"text": "a fine room"}, "annotations": [labelled("good"), labelled("bad")]},
        {"id": 2, "data": {"text": "a loud room"}, "annotations": [labelled("bad", was_cancelled=True)]},
        {"id": 3, "data": {"text": "a room"}, "annotations": []},
        {"id": 4, "data": {"text": "two rooms"}, "annotations": [labelled()]},
        {"id": 5, "data": {"text": "a cold room"}, "annotations": [labelled("x", was_cancelled=True),
                                                                   labelled("bad")]}], "rows.json")
    assert [(row["text"], row["label"]) for row in as_rows(opened)] == [("a fine room", "good"), ("a cold room", "bad")]
    assert "of several annotators the first is taken" in opened.format
    assert all(words in told(opened, "N106") for words in ("1 cancelled", "1 not labelled", "1 without a choice"))


def test_several_choices_of_label_studio_are_labels(tmp_path):
    opened = export(tmp_path, [{"data": {"body": "a"}, "annotations": [labelled("x", "y")]},
                               {"data": {"body": "b"}, "annotations": [labelled("x")]}], "rows.json")
    assert as_rows(opened) == [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": ["x"]}]


def marked(start, end, text, kind="river"):
    return {"type": "labels", "from_name": "names", "to_name": "text",
            "value": {"start": start, "end": end, "text": text, "labels": [kind]}}


def test_spans_of_label_studio_are_at_their_place_also_after_an_emoji(tmp_path):
    opened = export(tmp_path, [
        {"data": {"text": "the Elbe"}, "annotations": [{"result": [marked(4, 8, "Elbe")]}]},
        {"data": {"text": "😀 the Elbe"}, "annotations": [{"result": [marked(7, 11, "Elbe")]}]},
        {"data": {"text": "no name"}, "annotations": [{"result": []}]},
        {"data": {"text": "the Oder"}, "annotations": [{"result": [marked(0, 4, "Oder")]}]}], "rows.json")
    spans = [row["spans"] for row in as_rows(opened)]
    assert spans == [[{"start": 4, "end": 8, "type": "river"}], [{"start": 6, "end": 10, "type": "river"}], []]
    assert [code for code, _ in faults(opened)] == ["E303"]


def test_the_flat_export_of_label_studio(tmp_path):
    marks = {"annotator": 1, "annotation_id": 7, "created_at": "-", "updated_at": "-", "lead_time": 2.5}
    choices = export(tmp_path, [{"text": "a", "id": 1, "sentiment": "good", **marks},
                                {"text": "b", "id": 2, "sentiment": {"choices": ["bad"]}, **marks}], "rows.json")
    assert as_rows(choices) == [{"text": "a", "label": "good", "id": 1}, {"text": "b", "label": "bad", "id": 2}]
    spans = export(tmp_path, [{"text": "the Elbe", "label": [{"start": 4, "end": 8, "text": "Elbe",
                                                              "labels": ["river"]}], **marks}], "rows.json")
    assert as_rows(spans) == [{"text": "the Elbe", "spans": [{"start": 4, "end": 8, "type": "river"}]}]


@pytest.mark.parametrize("annotation", [
    {"label": [[4, 8, "river"]]},
    {"entities": [{"id": 1, "label": "river", "start_offset": 4, "end_offset": 8}], "relations": []}])
def test_spans_of_doccano(tmp_path, annotation):
    empty = {name: [] for name in annotation}
    opened = export(tmp_path, [{"id": 1, "text": "the Elbe", **annotation}, {"id": 2, "text": "a room", **empty}])
    assert [(row["text"], row["spans"]) for row in as_rows(opened)] == [
        ("the Elbe", [{"start": 4, "end": 8, "type": "river"}]), ("a room", [])]


def test_one_class_in_a_list_of_doccano(tmp_path):
    opened = export(tmp_path, [{"id": 1, "text": "a", "label": ["good"]}, {"id": 2, "text": "b", "label": []}])
    assert as_rows(opened) == [{"text": "a", "label": "good", "id": 1}]
    assert "1 not labelled" in told(opened, "N106")


def test_what_prodigy_rejected_or_ignored_is_left_out_and_counted(tmp_path):
    rows = [{"text": "the Elbe", "spans": [{"start": 4, "end": 8, "label": "river", "token_start": 1}], "tokens": [],
             "_input_hash": 1, "_task_hash": 1, "answer": "accept"},
            {"text": "x", "spans": [], "tokens": [], "_input_hash": 2, "_task_hash": 2, "answer": "reject"},
            {"text": "y", "spans": [], "tokens": [], "_input_hash": 3, "_task_hash": 3, "answer": "ignore"}]
    opened = export(tmp_path, rows)
    assert as_rows(opened) == [{"text": "the Elbe", "spans": [{"start": 4, "end": 8, "type": "river"}]}]
    assert "1 rejected, 1 ignored" in told(opened, "N106")
    assert [row["text"] for row in as_rows(export(tmp_path, rows, every_row=True))] == ["the Elbe", "x", "y"]


@pytest.mark.parametrize(("accepted", "field", "value"), [(["good"], "label", "good"),
                                                          (["good", "loud"], "labels", ["good", "loud"])])
def test_chosen_options_of_prodigy(tmp_path, accepted, field, value):
    options = [{"id": "good", "text": "good"}, {"id": "loud", "text": "loud"}]
    opened = export(tmp_path, [{"text": "a", "options": options, "accept": accepted, "answer": "accept"},
                               {"text": "b", "options": options, "accept": [], "answer": "ignore"}])
    assert as_rows(opened) == [{"text": "a", field: value}]


def test_conversations_of_sharegpt_become_messages(tmp_path):
    opened = export(tmp_path, [
        {"id": "c1", "conversations": [{"from": "human", "value": "Name a river."}, {"from": "gpt", "value": "Elbe"}]},
        {"id": "c2", "conversations": [{"from": "human", "value": "Hello"}, {"from": "oracle", "value": "Yes"}]}])
    assert as_rows(opened) == [{"messages": [{"role": "user", "content": "Name a river."},
                                             {"role": "assistant", "content": "Elbe"}], "id": "c1"}]
    assert faults(opened) == [("E338", 2)]


def test_words_of_one_sentence_number_are_a_sentence(tmp_path):
    opened = export(tmp_path, "sentence_id,words,labels\n0,the,O\n0,Elbe,B-river\n1,a,O\n1,room,O\n", "rows.csv")
    assert as_rows(opened) == [{"tokens": ["the", "Elbe"], "tags": ["O", "B-river"]},
                               {"tokens": ["a", "room"], "tags": ["O", "O"]}]
    assert [record.line for record in opened] == [2, 4]


def test_a_sentence_number_on_the_first_word_alone(tmp_path):
    opened = export(tmp_path, "Sentence #,Word,POS,Tag\nSentence: 1,the,DT,O\n,Elbe,NNP,B-river\nSentence: 2,a,DT,O\n"
                              ",,NN,O\n", "rows.csv")
    assert as_rows(opened) == [{"tokens": ["the", "Elbe"], "tags": ["O", "B-river"]}]
    assert "POS is not used" in opened.format
    assert [code for code, _ in faults(opened)] == ["E201"]


def test_lists_of_zeros_and_ones_are_positions_of_labels(tmp_path):
    opened = export(tmp_path, 'text,labels\na,"[0, 1, 1]"\nb,"[0, 0, 0]"\nc,"[1, 0]"\n', "rows.csv")
    assert as_rows(opened) == [{"labels": ["label_2", "label_3"], "text": "a"}, {"labels": [], "text": "b"}]
    assert faults(opened) == [("E306", 4)]
    lists = export(tmp_path, [{"text": "a", "labels": [0.0, 1.0]}, {"text": "b", "labels": [1.0, 1.0]},
                              {"text": "c", "labels": [1.0, 0.0]}])
    assert [row["labels"] for row in as_rows(lists)] == [["label_2"], ["label_1", "label_2"], ["label_1"]]


def test_training_examples_of_spacy(tmp_path):
    spans = export(tmp_path, [["the Elbe", {"entities": [[4, 8, "river"]]}], ["a room", {"entities": []}]], "rows.json")
    assert as_rows(spans) == [{"text": "the Elbe", "spans": [{"start": 4, "end": 8, "type": "river"}]},
                              {"text": "a room", "spans": []}]
    classes = export(tmp_path, [{"text": "a", "cats": {"good": 1.0, "bad": 0.0}},
                                {"text": "b", "cats": {"good": 0.0, "bad": 1.0}}])
    assert as_rows(classes) == [{"text": "a", "label": "good"}, {"text": "b", "label": "bad"}]


@pytest.mark.parametrize(("lines", "field", "values"), [
    ("__label__good a fine room\n__label__bad, a loud one\n", "label", ["good", "bad"]),
    ("__label__good __label__room a fine room\n__label__bad a loud one\n", "labels", [["good", "room"], ["bad"]])])
def test_lines_of_fasttext(tmp_path, lines, field, values):
    opened = export(tmp_path, lines, "rows.txt")
    assert opened.columns == ("text", field)
    assert [row[field] for row in as_rows(opened)] == values
    assert [row["text"] for row in as_rows(opened)] == ["a fine room", "a loud one"]


@pytest.mark.parametrize("answers", [{"text": ["Elbe", "the Elbe"], "answer_start": [4, 0]},
                                     [{"text": "Elbe", "answer_start": 4}, {"text": "the Elbe", "answer_start": 0}]])
def test_all_answers_of_a_question_are_read(tmp_path, answers):
    none = {"text": [], "answer_start": []} if isinstance(answers, dict) else []
    opened = export(tmp_path, [
        {"id": "q1", "question": "Which?", "context": "the Elbe", "answers": answers},
        {"id": "q2", "question": "Whose?", "context": "the Elbe", "answers": none}])
    assert [(row["answer"], row["start"]) for row in as_rows(opened)] == [(["Elbe", "the Elbe"], [4, 0]), ([], [])]
    assert opened.columns == ("question", "passage", "answer", "start", "id")


def test_contexts_with_lists_of_questions_are_a_row_a_question(tmp_path):
    opened = export(tmp_path, [{"context": "the Elbe", "qas": [
        {"id": "1", "question": "Which?", "is_impossible": False, "answers": [{"text": "Elbe", "answer_start": 4}]},
        {"id": "2", "question": "Whose?", "is_impossible": True, "answers": []}]}], "rows.json")
    assert [(row["question"], row["answer"], row["start"], row["id"]) for row in as_rows(opened)] == [
        ("Which?", ["Elbe"], [4], "1"), ("Whose?", [], [], "2")]


def test_answers_with_scores(tmp_path):
    opened = export(tmp_path, [{"title": "Why?", "answers": {"text": ["so", "thus"], "score": [5, 2]}}])
    assert as_rows(opened) == [{"answers": [{"text": "so", "score": 5}, {"text": "thus", "score": 2}], "title": "Why?"}]


@pytest.mark.parametrize("columns", [
    {"text": ["a b", "c d"], "label": ["good", "bad"]},
    {"text": ["a b", "c d"], "labels": [["x", "y"], ["x"]]},
    {"text": ["a b", "c d"], "label": [["x", "y"], ["x"]]},
    {"text": ["a b", "c d"], "labels": [[0, 3], [1]]},
    {"text": ["a b", "c d"], "label": [0, 1]}, {"text": ["a b", "c d"], "labels": [[0, 1], [1]]},
    {"text": ["a b", "c d"], "spans": [[{"start": 0, "end": 1, "type": "x"}], []]},
    {"tokens": [["a", "b"], ["c", "d"]], "labels": [[0, 1], [1, 0]]},
    {"tokens": [["a", "b"], ["c", "d"]], "tags": [["O", "B-x"], ["O", "O"]], "sentence_id": [1, 2]},
    {"sentence_id": [1, 2], "words": ["a", "b"], "label": ["x", "y"]},
    {"sentence_id": [1, 1], "text": ["a b", "c d"], "label": ["x", "y"]},
    {"instruction": ["a", "b"], "output": ["c", "d"]}, {"input": ["a", "b"], "output": ["c", "d"]},
    {"messages": [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]]},
    {"question": ["a", "b"], "answer": ["accept", "reject"], "text": ["c", "d"]},
    {"question": ["a", "b"], "context": ["c", "d"], "answers": [["c"], ["d"]]},
    {"question": ["a", "b"], "answer": ["c", "d"], "context": ["c", "d"]},
    {"data": ["a", "b"], "annotations": [1, 2]}, {"id": [1, 2], "created_at": ["a", "b"], "text": ["c", "d"]},
    {"0": ["a", "b"], "1": ["c", "d"]}, {"text": ["__label__", "a"]}, {"text": []}, {}])
def test_an_ordinary_table_is_no_export(columns):
    assert apply.recognise([Column(name, list(values)) for name, values in columns.items()], "", "rows.csv") is None
