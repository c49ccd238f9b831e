"""What a run's scores say in words and tables: test first, each baseline once, and better means better."""

import random

import pytest

from headstart.errors import Finding, findings_text
from headstart.reports.confidence_words import confidence_sentences
from headstart.reports.fold_words import fold_sentences
from headstart.reports.report import Report, finding_item, finding_line, render_html, render_markdown
from headstart.reports.score_table import score_table, score_tables
from headstart.reports.summary import baseline_sentences, score_sentences


def score(value, low=None, high=None, higher=True):
    return {"value": value, "low": low, "high": high, "n": 81, "higher_is_better": higher}


def scores_with(name, model, baselines, higher=True):
    """scores.json of a run on dev and test; `baselines` gives (value, difference, low, high) by name."""
    return {"dev": {name: score(model, model, model, higher)}, "test": {name: score(model, model, model, higher)},
            "baselines": {baseline: {"split": "test", "scores": {name: score(value, value, value, higher)},
                                     "difference": {name: {"value": difference, "low": low, "high": high}}}
                          for baseline, (value, difference, low, high) in baselines.items()}, "best": {}}


def test_the_verdict_names_the_best_baseline_the_points_and_the_interval():
    scores = scores_with("accuracy", 0.938, {"majority": (0.1, 0.838, 0.7, 0.9),
                                             "tf-idf + logistic regression": (0.816, 0.122, 0.044, 0.219)})
    assert score_sentences(scores)[-1] == ("The model is better than tf-idf + logistic regression, the best cheap "
                                           "baseline (81.6 %), by 12.2 points (95 % interval 4.4 to 21.9).")
    scores = scores_with("accuracy", 0.5, {"majority": (0.6, -0.1, -0.2, -0.05)})
    assert score_sentences(scores)[0] == (
        "The model is worse than majority, the best cheap baseline (60.0 %), by 10.0 points (95 % interval 5.0 to 20.0): "
        "use the baseline, or look at the data.")
    scores = scores_with("accuracy", 0.5, {"majority": (0.49, 0.01, -0.02, 0.05)})
    assert "not clearly better than majority" in score_sentences(scores)[-1]
    assert "1.0 points (95 % interval -2.0 to 5.0) may be chance" in score_sentences(scores)[-1]
    assert baseline_sentences({"test": {"accuracy": score(0.5)}, "baselines": {}}, "accuracy") == []


@pytest.mark.parametrize("higher", [True, False])
def test_better_means_better_whichever_way_the_score_runs(higher):
    rng = random.Random(0)
    verdicts = set()
    for _ in range(200):
        model, first, second = (rng.uniform(1, 100) for _ in range(3))
        half = rng.uniform(0, 40)
        scores = scores_with("perplexity", model, {name: (value, model - value, model - value - half,
                                                          model - value + half)
                                                   for name, value in (("first", first), ("second", second))}, higher)
        best = max(first, second) if higher else min(first, second)
        advantage = model - best if higher else best - model
        expected = "better" if advantage > half else "worse" if advantage < -half else "not clearly better"
        (sentence,) = baseline_sentences(scores, "perplexity")
        assert sentence.startswith(f"The model is {expected} than {'first' if best == first else 'second'}, ")
        assert f"{abs(advantage):.4f} (95 % interval" in sentence
        verdicts.add(expected)
    assert len(verdicts) == 3


def test_test_comes_before_dev_and_each_baseline_once():
    scores = scores_with("accuracy", 0.9, {"majority": (0.1, 0.8, 0.7, 0.9), "bag of words": (0.8, 0.1, 0.0, 0.2)})
    scores["test/de"] = scores["test"]
    heads = [line for line in score_table(scores).splitlines() if not line.startswith(" ")]
    assert [head.split(":")[0] for head in heads] == ["test (81 rows)", "test/de (81 rows)", "dev (81 rows)",
                                                      "baseline majority", "baseline bag of words"]
    *splits, baselines = score_tables(scores)
    assert [table.title for table in splits] == ["test (81 rows)", "test/de (81 rows)", "dev (81 rows)"]
    assert baselines.rows == [["majority", "0.1000", "+0.8000", "+0.7000 to +0.9000"],
                              ["bag of words", "0.8000", "+0.1000", "+0.0000 to +0.2000"]]


ADVICE = "Are they one class under two names?"
PAIRS = [Finding("W209", f"the labels 'a{number}' and 'b{number}' have texts with the same words.", ADVICE)
         for number in range(44)]


def test_findings_of_one_code_stand_together_the_first_in_full():
    others = Finding("W202", "10 more in train, texts that occur a second time.", count=10)
    rare = Finding("W202", "in train, this text occurs a second time.", "Keep one.", "train.csv", 4)
    assert findings_text([PAIRS[0], rare, *PAIRS[1:], others]) == (
        f"[W209] the labels 'a0' and 'b0' have texts with the same words.\n  {ADVICE}\n  + 43 more like it\n"
        "train.csv:4 [W202] in train, this text occurs a second time.\n  Keep one.\n  + 10 more like it")
    assert "+ 99 more like it" in findings_text(PAIRS, counts={"W209": 100})
    assert finding_line([rare, others]) == "- W202 in train, this text occurs a second time. + 10 more like it"


def test_a_report_says_one_advice_once():
    scores = scores_with("accuracy", 0.9, {})
    report = Report(title="run", task="text-classification", model="bert", created="today", command="headstart",
                    scores=scores, findings=PAIRS)
    page, text = render_html(report), render_markdown(report)
    assert page.count(ADVICE) == 1 and page.count("43 more like it") == 1 and "&#x27;a20&#x27;" in page
    assert text.count("W209") == 1 and "+ 43 more like it" in text
    assert "<details>" not in finding_item(PAIRS[:1])


def test_the_check_counts_every_leak_duplicate_and_rare_label(headstart, tmp_path):
    texts = [f"text number {number} of many" for number in range(70)]
    for name, header in (("train", "text,label"), ("dev", "text,label")):
        rows = [f"{text},{'good' if index % 2 else 'bad'}" for index, text in enumerate(texts)]
        labels = [f"rare words {number},rare{number}" for number in range(30)]
        lines = [header, *rows, *(rows[:35] if name == "train" else []), *(labels if name == "train" else [])]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    code, stdout, stderr = headstart("check", tmp_path / "train.csv", "--dev", tmp_path / "dev.csv")
    assert code == 0, stderr
    codes = [line.split("[")[1][:4] for line in stdout.splitlines() if "[W" in line]
    counts = dict(zip(codes, [line for line in stdout.splitlines() if "more like it" in line], strict=True))
    assert counts["W205"] == "  + 29 more like it" and counts["W202"] == "  + 34 more like it"
    assert counts["W201"] == "  + 69 more like it"


def test_all_rows_right_says_how_many_may_be_wrong_elsewhere():
    scores = scores_with("accuracy", 1.0, {})
    scores["test"]["accuracy"] |= {"low": 1.0, "high": 1.0, "n": 12}
    assert "by the exact one up to 26.5 % of new rows may be wrong" in score_sentences(scores)[0]
    scores["test"]["accuracy"] |= {"value": 0.5, "low": 0.5, "high": 0.5}
    assert "exact" not in score_sentences(scores)[0]


def test_a_single_row_is_no_proof():
    scores = scores_with("accuracy", 1.0, {})
    scores["test"]["accuracy"] |= {"low": None, "high": None, "n": 1}
    assert score_sentences(scores)[0] == ("On 1 test row the model is right in 100.0 %. None of them is wrong; by the "
                                          "exact 95 % interval up to 97.5 % of new rows may be wrong.")


@pytest.mark.parametrize(("candidates", "ship", "words"), [
    (7, None, "these rows also chose the checkpoint, so the score is a little too good"),
    (1, {"model": "trained", "reason": "", "differences": {"frozen": {}}}, "these rows also chose which model is saved"),
    (1, None, "the dev rows had no part in choosing the model"),
])
def test_dev_is_said_to_have_chosen_what_it_chose(candidates, ship, words):
    scores = scores_with("accuracy", 0.9, {}) | {"best": {"candidates": candidates}, "ship": ship}
    del scores["test"]
    assert any(words in sentence for sentence in score_sentences(scores))


def test_a_risk_that_was_promised_out_of_fold_is_said_to_be_that_of_the_folds_models():
    learned = {"abstention": {"risk": 0.05, "certainty": 0.95, "threshold": 0.4, "rows": 120, "coverage": 1.0,
                              "selective_risk": 0.0, "risk_bound": 0.03}}
    scores = scores_with("accuracy", 0.9, {}) | {"learned": learned, "folds": {"count": 5}}
    assert "that of the folds' models" in confidence_sentences(scores)[-1]
    assert "folds" not in " ".join(confidence_sentences(scores | {"folds": None}))


@pytest.mark.parametrize(("single", "words"), [(0, "on new rows expect about the same."),
                                               (1, "but for the 1 of 3 classes with one row"),
                                               (3, "these scores say nothing of new rows")])
def test_classes_of_one_row_are_said_to_be_unknown_to_the_folds(single, words):
    folds = {"count": 2, "parts": [{"rows": 4}, {"rows": 4}], "classes": 3, "single_row_classes": single}
    sentence, = fold_sentences({"folds": folds})
    assert words in sentence


def test_rows_of_one_label_are_said_to_tell_nothing_of_the_others():
    scores = scores_with("accuracy", 0.5, {})
    per_class = {"a": {"support": 81}, "b": {"support": 0}}
    scores["tables"] = {"test": {"per_class": per_class}}
    assert "All of these rows have the label 'a'" in score_sentences(scores)[0]
    per_class["b"]["support"] = 1
    assert "All of these" not in score_sentences(scores)[0]


def test_a_frozen_encoder_is_not_compared_with_itself():
    scores = scores_with("accuracy", 0.9, {"majority": (0.5, 0.4, 0.3, 0.5),
                                           "frozen encoder + logistic regression": (0.9, 0.0, 0.0, 0.0)})
    assert "not clearly better than frozen" in score_sentences(scores)[-1]
    scores["ship"] = {"model": "frozen sentence encoder with logistic regression", "differences": {}}
    assert score_sentences(scores)[-1].startswith("The model is better than majority")


def test_macro_f1_is_heard_where_it_says_something_else_than_accuracy():
    scores = scores_with("accuracy", 0.93, {"majority": (0.95, -0.02, -0.05, 0.01)})
    assert len(score_sentences(scores)) == 2
    difference = scores["baselines"]["majority"]["difference"]
    difference["macro_f1"] = {"value": 0.3, "low": 0.2, "high": 0.4}
    assert score_sentences(scores)[-1].startswith("In macro f1, which counts a rare label as much as a frequent one, it "
                                                  "is better than majority, by 30.0 points (95 % interval 20.0 to 40.0)")
    difference["accuracy"] |= {"low": 0.01, "high": 0.05}
    assert len(score_sentences(scores)) == 2
