"""A messy file: each fault is reported with its file, line, column and code, each repair is counted."""

import json

import pytest

PASSAGE = "The cat sat on the mat. A dog ran home."
GOOD = {  # a file in good order, its suffix, and its last row's line
    "text-classification": ("csv", "text,pair,label\na b,c d,yes\ne f,g h,no\ni j,k l,yes\nm n,o p,no\n"),
    "regression": ("csv", "text,target\na b,1.5\nc d,2.5\ne f,3.25\ng h,0.5\n"),
    "multilabel-classification": ("jsonl", "".join(json.dumps({"text": text, "labels": labels}) + "\n"
                                                   for text, labels in
                                                   (("a b", ["x"]), ("c d", ["y"]), ("e f", ["x", "y"]),
                                                    ("g h", ["x", "y"]), ("i", [])))),
    "token-tagging": ("jsonl", "".join(json.dumps({"tokens": ["a", word], "tags": ["O", tag]}) + "\n" for word, tag in
                                       (("b", "B-X"), ("c", "O"), ("d", "B-X"), ("e", "O")))),
    "question-answering": ("csv", f"question,passage,answer,start\nwho?,{PASSAGE},cat,4\nwhere?,{PASSAGE},mat,19\n"
                                  f"what?,{PASSAGE},dog,26\nwhen?,{PASSAGE},ran,30\n"),
    "multiple-choice": ("jsonl", "".join(json.dumps({"context": text, "choices": ["b", "c", "d"], "answer": place})
                                         + "\n"
                                         for place, text in enumerate(("a", "e", "f", "g")) if place < 3)),
    "masked-language-model": ("csv", "text\na b c\nd e f\ng h i\n"),
    "next-sentence": ("csv", "text,document\na b.,1\nc d.,1\ne f.,2\ng h.,2\n"),
    "bert-pretraining": ("csv", "text,document\na b.,1\nc d.,1\ne f.,2\ng h.,2\n"),
    "language-model": ("jsonl", "".join(json.dumps({"prompt": text, "response": text}) + "\n"
                                        for text in ("a", "b", "c"))),
}


def row(**values):
    return json.dumps(values)


def span(start, end, kind="X"):
    return {"start": start, "end": end, "type": kind}


FAULTS = [  # task, the row that is added, column and code of its finding ("": none, it is handled)
    ("text-classification", "q r,,yes", "2 [E201]"),
    ("text-classification", ",q r,yes", "1 [E201]"),
    ("text-classification", "q r,s t,", "3 [E202]"),
    ("text-classification", "q r,s t", "[E104]"),
    ("text-classification", "q r,s t,yes,more", "[E104]"),
    ("text-classification", 'q r,"s t,yes', "[E105]"),
    ("text-classification", "q r,s\0 t,yes", "[E106]"),
    ("text-classification", "a b,c d,no", "[W203]"),
    ("text-classification", "q r,s t,YES", "[W204]"),
    ("regression", "x,abc", "2 [E305]"),
    ("regression", "x,inf", "2 [E305]"),
    ("regression", "x,nan", "2 [E305]"),
    ("regression", "x,1e400", "2 [E305]"),
    ("regression", 'x,"1,5"', "2 [E305]"),
    ("regression", "x,0x10", "2 [E305]"),
    ("regression", "x,½", "2 [E305]"),
    ("regression", "x,", "2 [E202]"),
    ("regression", ",2", "1 [E201]"),
    ("multilabel-classification", row(text="", labels=["x"]), "1 [E201]"),
    ("multilabel-classification", row(text="k", labels='["x'), "2 [E306]"),
    ("multilabel-classification", row(text="k", labels={"x": 1}), "2 [E306]"),
    ("multilabel-classification", row(text="k", labels=[["x"]]), "2 [E306]"),
    ("multilabel-classification", row(text="k", labels=["z"]), "[W206]"),
    ("multilabel-classification", row(text="a b", labels=["y"]), "[W202]"),
    ("multilabel-classification", '{"text": "k", "labels": ["x"]', "[E110]"),
    ("multilabel-classification", "[1, 2]", "[E110]"),
    ("token-tagging", row(tokens=["a", "b"], tags=["O"]), "2 [E301]"),
    ("token-tagging", row(tokens=[], tags=[]), "1 [E201]"),
    ("token-tagging", row(tokens=["a", ""], tags=["O", "O"]), "1 [E201]"),
    ("token-tagging", row(tokens=["a"], tags=["Q-X"]), "2 [E302]"),
    ("token-tagging", row(tokens=["a"], tags=[3]), "2 [E302]"),
    ("token-tagging", row(tokens=None, tags=["O"]), "[E201]"),
    ("token-tagging", row(tokens=["a", "c"], tags=["O", "I-X"]), "[W210]"),
    ("token-tagging", row(tokens=["a"], tags=["O"])[:-3], "[E110]"),
    ("question-answering", f"how?,{PASSAGE},dog,29", "[W220]"),
    ("question-answering", f"how?,{PASSAGE},horse,4", "3 [E320]"),
    ("question-answering", f"how?,{PASSAGE},home.,{len(PASSAGE) - 5}", ""),
    ("question-answering", f"how?,{PASSAGE},home,-1", "[W220]"),
    ("question-answering", f"how?,{PASSAGE},home,abc", "4 [E321]"),
    ("question-answering", f"how?,{PASSAGE},home,inf", "4 [E321]"),
    ("question-answering", f"how?,{PASSAGE},home,8.5", "4 [E321]"),
    ("question-answering", f",{PASSAGE},home,", "1 [E201]"),
    ("question-answering", "how?,,home,", "2 [E201]"),
    ("question-answering", "how?,a cat saw a cat,cat,", "[W221]"),
    ("question-answering", f"how?,😀é {PASSAGE},mat,22", ""),
    ("question-answering", "how?,אבג דהו,דהו,4", ""),
    ("multiple-choice", row(context="h", choices=["b"], answer=0), "2 [E331]"),
    ("multiple-choice", row(context="h", choices=[], answer=0), "2 [E331]"),
    ("multiple-choice", row(context="h", choices="b", answer=0), "2 [E330]"),
    ("multiple-choice", row(context="h", choices=["b", ""], answer=0), "2 [E332]"),
    ("multiple-choice", row(context="h", choices=["b", "c"], answer=5), "3 [E333]"),
    ("multiple-choice", row(context="h", choices=["b", "c"], answer=-2), "3 [E333]"),
    ("multiple-choice", row(context="h", choices=["b", "c"], answer="q"), "3 [E333]"),
    ("multiple-choice", row(context="", choices=["b", "c"], answer=0), "1 [E201]"),
    ("multiple-choice", row(context="h", choices=["b", "c", "d", "e"], answer=3), ""),
    ("masked-language-model", '""', "1 [E201]"),
    ("masked-language-model", '"   "', "1 [E201]"),
    ("masked-language-model", "a b c", "[W202]"),
    ("masked-language-model", "A b  c!", "[W208]"),
    ("masked-language-model", "x,y", "[E104]"),
    ("masked-language-model", '"x', "[E105]"),
    ("masked-language-model", "x\0y", "[E106]"),
    ("masked-language-model", "!!! ???", ""),
    ("next-sentence", '"",2', "1 [E201]"),
    ("next-sentence", " ,2", "1 [E201]"),
    ("next-sentence", "x.,2,3", "[E104]"),
    ("next-sentence", "x.", "[E104]"),
    ("next-sentence", '"x,2', "[E105]"),
    ("next-sentence", "x\0.,2", "[E106]"),
    ("next-sentence", "i j.,", ""),
    ("next-sentence", "i j. k l.,3", ""),
    ("bert-pretraining", '"",2', "1 [E201]"),
    ("bert-pretraining", " ,2", "1 [E201]"),
    ("bert-pretraining", "x.,2,3", "[E104]"),
    ("bert-pretraining", "x.", "[E104]"),
    ("bert-pretraining", '"x,2', "[E105]"),
    ("bert-pretraining", "x\0.,2", "[E106]"),
    ("bert-pretraining", "i j.,", ""),
    ("bert-pretraining", "i j. k l.,3", ""),
    ("language-model", row(prompt="d", response=""), "2 [E202]"),
    ("language-model", row(prompt="d", response=None), "2 [E202]"),
    ("language-model", row(prompt="", response="d"), "1 [E201]"),
    ("language-model", row(prompt="   ", response="d"), "1 [E201]"),
    ("language-model", row(response="d"), "1 [E201]"),
    ("language-model", row(prompt=3, response="d"), "[W101]"),
    ("language-model", row(prompt="d", response="d")[:-2], "[E110]"),
    ("language-model", "prompt, response", "[E110]"),
]


@pytest.mark.parametrize("task, line, expected", FAULTS,
                         ids=[f"{task}-{number}" for number, (task, _, _) in enumerate(FAULTS)])
def test_one_faulty_row_is_told_with_its_place(task, line, expected, tmp_path, headstart):
    suffix, text = GOOD[task]
    file = tmp_path / f"rows.{suffix}"
    file.write_text(text + line + "\n", encoding="utf-8")
    code, stdout, stderr = headstart("check", file, "--task", task)
    output = stdout + stderr
    if not expected:
        assert code == 0, output
        return
    finding_code = expected.split("[")[1][:-1]
    assert f"[{finding_code}]" in output, output
    assert code == (65 if finding_code[0] == "E" else 0), output
    if expected[0] != "[":
        location = f"rows.{suffix}:{text.count(chr(10)) + 1}:{expected.split()[0]} [{finding_code}]"
        assert location in output, output
    if finding_code[0] == "E":
        assert "\n  " in output, "no word on what to do"
        assert headstart("check", file, "--task", task, "--bad-rows", "skip")[0] == 0 or finding_code == "E105"


@pytest.mark.parametrize("task", sorted(GOOD))
def test_a_file_in_good_order_has_no_fault_and_each_task_has_eight_bad_rows(task, tmp_path, headstart):
    suffix, text = GOOD[task]
    file = tmp_path / f"rows.{suffix}"
    file.write_text(text, encoding="utf-8")
    assert headstart("check", file, "--task", task)[0] == 0
    assert sum(faulty_task == task for faulty_task, _, _ in FAULTS) >= 8


QUESTION = {"id": "a", "question": "who?", "answers": [{"text": "cat", "answer_start": 4}]}


@pytest.mark.parametrize("changes, expected", [
    ({"id": "b", "answers": [{"text": "cat", "answer_start": 7}]}, "[W220]"),
    ({"id": "a"}, "[W223]"),
    ({"id": "b", "answers": [], "is_impossible": True}, "[W224]"),
    ({"id": "b", "is_impossible": True}, "[E324]"),
    ({"id": "b", "question": ""}, "[E201]"),
    ({"id": "b", "question": None}, "[E201]"),
    ({"id": "b", "answers": [{"text": "horse", "answer_start": 4}]}, "[E320]"),
    ({"id": "b", "answers": [{"text": "cat", "answer_start": "abc"}]}, "[E321]"),
    ({"id": "b", "answers": [{"text": 5, "answer_start": 4}]}, "[E326]"),
    ({"id": "b", "answers": [{"text": "cat", "answer_start": "4"}]}, ""),
])
def test_faults_of_squad_files_are_told(changes, expected, tmp_path, headstart):
    file = tmp_path / "squad.json"
    questions = [QUESTION, QUESTION | changes]
    file.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [{"context": PASSAGE, "qas": questions}]}]}))
    code, stdout, stderr = headstart("check", file)
    assert expected in stdout + stderr
    assert code == (65 if expected.startswith("[E") else 0), stdout + stderr


@pytest.mark.parametrize("value, expected", [
    ({"data": [{"paragraphs": [{"qas": [QUESTION]}]}]}, "no context with a list of questions"),
    ([1, 2, 3], "an object was expected"),
    (7, "a list of objects was expected"),
])
def test_a_file_without_one_good_row_says_what_is_wrong_with_them(value, expected, tmp_path, headstart):
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(value))
    code, _, err = headstart("check", file, "--task", "question-answering")
    assert code == 65 and "[E110]" in err and expected in err


@pytest.mark.parametrize("text, expected", [("one sentence only\n", "[E340]"),
                                            ("a b. c d.\ne f.\ng h. i j.\n", "[E341]")])
@pytest.mark.parametrize("task", ["next-sentence", "bert-pretraining"])
def test_documents_that_teach_nothing_are_refused(task, text, expected, tmp_path, headstart):
    file = tmp_path / "documents.txt"
    file.write_text(text)
    code, _, err = headstart("check", file, "--task", task)
    assert code == 65 and expected in err
