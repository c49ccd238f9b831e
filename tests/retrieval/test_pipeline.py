"""Questions put to an index: rows mined from it, what is relevant, what is quoted, what is measured, what the command
prints.
"""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_writers

import headstart
from headstart.errors import DataError, UserError
from headstart.files import sha256
from headstart.metrics import ranking
from headstart.progress import Reporter
from headstart.retrieval.answering.extractive import extract_quotes
from headstart.retrieval.answering.faq import FAQ
from headstart.retrieval.answering.pipeline import QAPipeline, load_faq
from headstart.retrieval.answering.reranker import Reranker
from headstart.retrieval.documents.passage import Passage, ScoredPassage
from headstart.retrieval.evaluation import search_metrics
from headstart.retrieval.evaluation.calibration import calibrate_abstention
from headstart.retrieval.evaluation.evaluate import EvaluateOptions, evaluate_index, index_search
from headstart.retrieval.index import thresholds
from headstart.retrieval.index.index import Index
from headstart.retrieval.mining import mine
from headstart.retrieval.mining.questions import Question, parse_question, read_questions
from headstart.retrieval.mining.relevance import Relevance, containment
from headstart.settings import Data, Evaluation, Mining

DATA = Path(__file__).parents[2] / "examples" / "data"
QUESTIONS = DATA / "library_questions.jsonl"


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """An index of the library's pages by a tiny model (its vectors mean nothing), and one by words alone."""
    folder = tmp_path_factory.mktemp("asking")
    tiny.model_folder("bert", folder / "bert")
    return {"model": folder / "bert", "both": headstart.index(DATA / "library", folder / "both",
                                                              model=str(folder / "bert"), device="cpu"),
            "words": headstart.index(DATA / "library", folder / "words", model="none", device="cpu"), "folder": folder}


@pytest.fixture(scope="module")
def questions():
    return read_questions(str(QUESTIONS), Data(), {})


def scored_passages(*texts):
    return [ScoredPassage(Passage(f"{row}.md", f"Page {row}", "", text, 0, len(text)), row, 1.0 - row / 10)
            for row, text in enumerate(texts)]


def test_every_question_of_the_library_is_answered_by_passages_of_its_page(indexes, questions):
    relevance = Relevance(indexes["both"])
    for question in questions:
        rows = relevance.relevant_rows(question, answer_score=3.0)
        assert rows, question.text
        for row in rows:
            assert indexes["both"].passages[row].document == question.document


def test_an_answer_that_is_cut_by_itself_is_found_without_its_document(indexes):
    passage = indexes["both"].passages[5]
    assert 5 in Relevance(indexes["both"]).relevant_rows(Question(0, "?", (passage.text,), None, "", (None,)),
                                                         answer_score=3.0)
    assert Relevance(indexes["both"]).relevant_rows(Question(0, "?", ("Nothing of the kind stands here at all.",), None,
                                                             "", (None,)), answer_score=3.0) == []
    assert containment("one two three four five",
                       "zero one two three four five six") == 1.0 and containment("one two", "three") == 0.0


def test_answers_with_a_good_score_are_right_too():
    row = {"question": "Why?", "answers": [{"text": "First.", "score": 1}, {"text": "Good.", "score": 3},
                                           {"text": "Bad.", "score": 2}, "Plain."]}
    question = parse_question(headstart_row(row))
    assert question.good_answers(3.0) == ("First.",
                                          "Good.") and question.good_answers(2.0) == ("First.", "Good.", "Bad.")


def headstart_row(values):
    from headstart.contract import Row

    return Row(0, values)


def test_rows_without_a_question_or_an_answer_are_told_by_line(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "Why?", "answer": "So."}\n{"question": " ", "answer": "So."}\n{"question": "What?", '
                    '"answer": ""}\n')
    with pytest.raises(DataError) as raised:
        read_questions(str(path), Data(), {})
    assert "q.jsonl:2" in str(raised.value) and "q.jsonl:3" in str(raised.value)
    assert [question.text for question in read_questions(str(path), Data(bad_rows="skip"), {})] == ["Why?"]
    path.write_text("")
    with pytest.raises(UserError):
        read_questions(str(path), Data(), {})


def test_negatives_never_answer_and_never_say_the_same(indexes, questions, tmp_path):
    index, settings = indexes["both"], Mining(negatives=5, margin=1.0)
    report = mine.mine_file(index, questions, "retrieval", tmp_path / "mined.jsonl", settings, Reporter())
    rows = [json.loads(line) for line in (tmp_path / "mined.jsonl").read_text().splitlines()]
    assert report.rows == len(rows) == len(questions) and report.without_passage == 0
    by_text = {index.searchable_text(row): row for row in range(len(index))}
    for question, row in zip(questions, rows, strict=True):
        relevant = set(Relevance(index).relevant_rows(question, answer_score=3.0))
        assert by_text[row["passage"]] in relevant and all(by_text[answer["text"]] in relevant
                                                           for answer in row["answers"])
        assert row["negatives"] and not {by_text[text] for text in row["negatives"]} & relevant
        assert len(row["negatives"]) <= 5
    again = mine.mine_file(index, questions, "retrieval", tmp_path / "again.jsonl", settings, Reporter())
    assert again.rows == report.rows and (tmp_path / "again.jsonl").read_bytes() == (tmp_path
                                                                                     / "mined.jsonl").read_bytes()


def test_an_equal_question_of_another_row_lends_its_passages(indexes, tmp_path):
    index = indexes["words"]
    first, last = index.passages[0].text, index.passages[len(index) - 1].text
    equal_questions = [Question(0, "When is it open?", (first,), None, "", (None,)),
                       Question(1, "When is it OPEN", (last,), None, "", (None,))]
    mine.mine_file(index, equal_questions, "retrieval", tmp_path / "m.jsonl", Mining(negatives=50, positives=1),
                   Reporter())
    for line in (tmp_path / "m.jsonl").read_text().splitlines():
        assert not {index.searchable_text(0), index.searchable_text(len(index)
                                                                    - 1)} & set(json.loads(line)["negatives"])


def test_a_passage_almost_as_near_as_the_right_one_is_no_negative():
    hits = scored_passages("right", "near", "far")
    dense_hits = [ScoredPassage(hit.passage, hit.row, score) for hit, score in zip(hits, (0.9, 0.88, 0.5), strict=True)]

    class FakeIndex:
        passages = [hit.passage for hit in hits]

    report = mine.MiningReport()
    assert mine.negatives(FakeIndex(), {0}, [], dense_hits, Mining(margin=0.95), report) == [2] and report.filtered == 1


def test_a_questions_passages_are_given_to_a_writer_and_pairs_to_a_reranker(indexes, questions, tmp_path):
    mine.mine_file(indexes["words"], questions, "long-answer", tmp_path / "w.jsonl", Mining(passages=2), Reporter())
    row = json.loads((tmp_path / "w.jsonl").read_text().splitlines()[0])
    assert len(row["passages"]) == 2 and row["answers"][0]["text"] == questions[0].answers[0] and row[
        "document"] == "opening-hours.md"
    mine.mine_file(indexes["words"], questions, "text-classification", tmp_path / "p.jsonl",
                   Mining(negatives=1, positives=1), Reporter())
    pairs = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {pair["label"] for pair in pairs} == {"relevant", "other"} and pairs[0]["text"] == questions[0].text
    with pytest.raises(UserError):
        mine.mine_file(indexes["words"], questions, "regression", tmp_path / "x.jsonl", Mining(), Reporter())
    with pytest.raises(UserError, match="No passage"):
        mine.mine_file(indexes["words"], [Question(0, "Why is that?", ("Zzz yyy xxx.",), None, "", (None,))],
                       "retrieval", tmp_path / "x.jsonl", Mining(),
                     Reporter())
    assert not (tmp_path / "x.jsonl").exists()


def test_sentences_are_quoted_word_for_word_with_their_passage():
    passages = scored_passages("Opening hours\n\nThe library opens at nine. It closes at seven in the evening.",
                               "Roses bloom in June. The library opens at nine.")
    quotes = extract_quotes("When does the library open?", passages, count=2)
    # others are much farther
    assert [(quoted.text, quoted.passage) for quoted in quotes] == [("The library opens at nine.", 1)]
    assert extract_quotes("x", [], count=2) == []
    nearest = extract_quotes("?", passages, count=1,
                             embed=lambda texts: np.eye(len(texts))[[0, *([1] * (len(texts) - 2)), 0]])
    assert nearest[0].text == "Roses bloom in June."


def test_the_measures_of_a_search_are_those_of_its_rankings(indexes, questions):
    index = indexes["words"]
    judged = search_metrics.judge_questions(index, questions, answer_score=3.0)
    metrics = search_metrics.measure_search("sparse", index_search(
        index, "sparse"), judged, search_metrics.document_frequencies(index), len(index), resamples=20, seed=0)
    rankings = index.search([question.text for question in judged.questions], source="sparse", k=100)
    rows = [[hit.row for hit in hits] for hits in rankings]
    gains = [dict.fromkeys(relevant, 1.0) for relevant in judged.relevant]
    assert metrics.scores["ndcg_10"].value == pytest.approx(float(np.mean(ranking.ndcg(rows, gains, k=10))))
    assert metrics.scores["recall_10"].value > 0.7 and 0 < metrics.scores[
        "idf_recall"].value <= 1 and metrics.milliseconds > 0
    assert judged.groups.max() + 1 == 8  # pages, resampled whole
    difference = search_metrics.difference(metrics, metrics, judged, resamples=20, seed=0)
    assert difference["mrr"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_the_words_of_an_answer_are_weighed_by_how_rare_they_are():
    hits, frequencies = scored_passages("roses bloom"), {"roses": 1, "bloom": 9}
    question = Question(0, "?", ("Roses grow",), None, "", (None,))
    rare, rarer = np.log(11 / 2), np.log(11 / 1)
    assert search_metrics.idf_recall(question, hits, frequencies, 10) == pytest.approx(rare / (rare + rarer))
    assert np.isnan(search_metrics.idf_recall(Question(0, "?"), hits, frequencies, 10))


def test_what_nothing_is_near_to_is_not_answered(indexes, questions):
    index = indexes["words"]
    unanswerable = [Question(90 + row, f"Quasar{word} redshift?") for row, word in enumerate(tuple("abcdefghij"))]
    judged = search_metrics.judge_questions(index, [*questions, *unanswerable], answer_score=3.0)
    assert judged.unanswerable_count == 10
    hits = index.search([question.text for question in judged.questions], source="sparse", k=5)
    calibrated = calibrate_abstention(index, judged, hits, passages=5)
    assert (calibrated.point is not None and calibrated.point.risk <= 0.1
            and "10 questions have no answer" in calibrated.summary())
    pipeline = QAPipeline(index, threshold=calibrated.point.threshold)
    for question in unanswerable:
        answer = pipeline.answer(question.text, pipeline.passages("library card"))
        assert answer.abstained and not answer.citations and "threshold" in answer.note
    assert not pipeline.answer("How do I dry seeds?", pipeline.passages("How do I dry seeds?")).abstained


def test_a_threshold_belongs_to_the_vectors_that_it_was_measured_with(indexes, tmp_path):
    index = headstart.index(DATA / "library", tmp_path / "i", model="none", device="cpu")
    assert thresholds.read_threshold(index.path, index.version) is None
    thresholds.write_calibration(index.path, index.version, {"threshold": 1.5})
    assert thresholds.read_threshold(index.path, index.version) == 1.5
    rebuilt = headstart.index(tmp_path / "i", tmp_path / "i", model=str(indexes["model"]), device="cpu")
    assert thresholds.read_threshold(rebuilt.path, rebuilt.version) is None
    (tmp_path / "i" / "abstention.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        thresholds.read_threshold(rebuilt.path, rebuilt.version)


def test_a_mixed_search_is_weighed_as_it_was_calibrated(indexes, tmp_path, headstart, questions):
    folder = tmp_path / "i"
    shutil.copytree(indexes["folder"] / "both", folder)
    index, texts = Index.open(folder, device="cpu"), [question.text for question in questions]

    def rows(source):
        return [[hit.row for hit in ranking] for ranking in Index.open(folder,
                                                                       device="cpu").search(texts, source=source, k=10)]

    equal_weights = rows("mixed")
    code, stdout, _ = headstart("evaluate", folder, QUESTIONS, "--calibrate", "--json", "--set",
                                "evaluation.resamples=0")
    scores = json.loads(stdout)["scores"]
    assert code == 0 and set(scores["mix"]["ndcg_10"]) == {f"{tenth / 10:.1f}" for tenth in range(11)}
    best = max(scores["mix"]["ndcg_10"].values())
    assert scores["mix"]["ndcg_10"][f"{scores['mix']['share']:.1f}"] == best == pytest.approx(
        scores["retrieval"]["mixed"]["ndcg_10"]["value"])
    assert scores["mix"]["ndcg_10"]["1.0"] == pytest.approx(scores["retrieval"]["dense"]["ndcg_10"]["value"])
    assert thresholds.read_dense_weight(index.path, index.version) == scores["mix"]["share"]
    for share, source in ((0.0, "sparse"), (1.0, "dense"), (0.5, None)):
        thresholds.write_calibration(index.path, index.version, {"share": share, "threshold": None})
        # words find few for some questions; meaning fills the rest of the places
        expected = equal_weights if source is None else rows(source)
        assert [ranking[:len(expected_rows)] for ranking, expected_rows in zip(rows("mixed"), expected,
                                                                               strict=True)] == expected


def test_the_nearest_known_question_is_the_same_one(indexes, questions):
    for name in ("words", "both"):
        faq = FAQ.build(questions, indexes[name])
        nearest = faq.nearest("Why do leaves turn red?")
        assert nearest["question"] == "Why do leaves turn red?" and nearest["similarity"] > 0.99
    assert FAQ.build(questions, indexes["words"]).nearest("Which quasar is farthest?") is None
    assert load_faq(None, indexes["words"], {}) is None


def test_an_answer_without_passages_is_none_and_a_way_that_is_missing_is_refused(indexes):
    pipeline = QAPipeline(indexes["words"])
    assert pipeline.sources == ["sparse", "none"]
    assert pipeline.answer("Zzz qqq?", pipeline.passages("Zzz qqq?")).abstained
    with pytest.raises(UserError, match="nothing to quote"):
        pipeline.passages("Why?", source="none")
    with pytest.raises(UserError, match="cannot be searched by dense"):
        pipeline.passages("Why?", source="dense")
    with pytest.raises(UserError, match="no words"):
        pipeline.passages("  ")


def test_the_command_answers_shows_passages_and_tells_json(indexes, headstart, capsys):
    index_path = indexes["folder"] / "both"
    code, stdout, stderr = headstart("ask", index_path, "Why do leaves turn red?", "--retrieval", "sparse")
    assert code == 0 and "[1]" in stdout and "why-leaves-turn-red.html" in stdout and "quoted" in stderr
    code, stdout, _ = headstart("ask", index_path, "How do I dry seeds?", "When is it open?", "--json", "--top", 2,
                                "--known", QUESTIONS)
    rows = [json.loads(line) for line in stdout.splitlines()]
    assert code == 0 and len(rows) == 2 and len(rows[0]["passages"]) == 2 and rows[0]["nearest"][
        "question"] == "How do I dry seeds?"
    assert all(sentence["text"] in rows[0]["passages"][sentence["citations"][0] - 1]["text"]
               for sentence in rows[0]["sentences"])
    code, stdout, _ = headstart("ask", index_path, "How do I dry seeds?", "--passages-only", "--json")
    assert code == 0 and "prediction" not in json.loads(stdout)
    for arguments in (["ask", index_path], ["ask", index_path, "x", "--top", 0], ["ask", index_path, "!?"]):
        code, _, stderr = headstart(*arguments)
        assert code in (2, 65) and "headstart: " in stderr
    assert headstart("ask", indexes["folder"] / "nowhere", "Why?")[0] == 66


def test_an_index_is_evaluated_with_intervals_differences_and_a_kept_threshold(indexes, headstart, tmp_path):
    index_path = indexes["folder"] / "both"
    code, stdout, _ = headstart("evaluate", index_path, QUESTIONS, "--to", tmp_path / "scores", "--set",
                                "evaluation.resamples=20")
    assert code == 0 and "mixed minus" in stdout and "ndcg_10" in stdout
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert set(scores["retrieval"]) == {"mixed", "sparse",
                                        "dense"} and scores["retrieval"]["sparse"]["mrr"]["low"] is not None
    assert headstart("evaluate", index_path, QUESTIONS, "--to", tmp_path / "scores")[0] == 73
    assert headstart("evaluate", indexes["model"], QUESTIONS, "--calibrate")[0] == 2
    words_path = indexes["folder"] / "words"
    code, stdout, _ = headstart("evaluate", words_path, QUESTIONS, "--calibrate", "--json", "--set",
                                "evaluation.resamples=0")
    assert code == 0 and json.loads(stdout)["scores"]["abstention"]["threshold"] == thresholds.read_threshold(
        words_path, indexes["words"].version)
    (words_path / "abstention.json").unlink()


@pytest.fixture(scope="module")
def runs(indexes):
    """A retriever, a re-ranker and a writer, each trained for two steps on rows of the index."""
    folder, common = indexes["folder"], {"index": indexes["folder"] / "both", "device": "cpu", "max_steps": 2,
                                         "batch_size": 4, "evaluation.resamples": 20}
    headstart.finetune(QUESTIONS, task="retrieval", model=indexes["model"], to=folder / "retriever", **common)
    headstart.finetune(QUESTIONS, task="text-classification", model=indexes["model"], to=folder / "reranker", **common)
    tiny_writers.model_folder("t5", folder / "t5", seed=2)
    headstart.finetune(QUESTIONS, task="long-answer", model=folder / "t5", to=folder / "writer", **common, **{
        "generation.max_new_tokens": 6, "mining.passages": 2, "evaluation.baselines": False})
    return folder


def test_runs_are_trained_on_mined_rows_that_they_keep_with_their_hash(indexes, runs):
    for name in ("retriever", "reranker", "writer"):
        run = runs / name
        mined = json.loads((run / "mined.json").read_text())
        assert mined["files"]["train"]["sha256"] == sha256(run / "mined.jsonl") and mined[
            "version"] == indexes["both"].manifest["version"]
        assert f'train = "{(run / "mined.jsonl").resolve()}"' in (run / "settings.toml").read_text()
    rebuilt = headstart.index(DATA / "library", runs / "again", model=str(runs / "retriever"), device="cpu")
    assert rebuilt.identity != indexes["both"].identity and len(rebuilt.search(["Why do leaves turn red?"],
                                                                               source="dense", k=3)[0]) == 3


def test_a_reranker_puts_the_likeliest_first_and_keeps_the_rest(indexes, runs):
    reranker = Reranker.load(str(runs / "reranker"))
    (hits,) = indexes["both"].search(["How do I dry seeds?"], source="sparse", k=6)
    (reranked,) = reranker.rerank(["How do I dry seeds?"], [hits], depth=4)
    assert sorted(hit.row for hit in reranked) == sorted(hit.row for hit in hits) and reranked[4:] == hits[4:]
    scores = [hit.score for hit in reranked[:4]]
    assert scores == sorted(scores, reverse=True) and all(0 < score < 1 for score in scores)
    with pytest.raises(UserError, match="does not say whether a passage answers"):
        Reranker.load(str(runs / "retriever"))


def test_a_writer_is_measured_from_found_and_from_random_passages(indexes, runs):
    options = EvaluateOptions(writer=str(runs / "writer"), reranker=str(runs / "reranker"), passages=2)
    evaluation = evaluate_index(indexes["both"], str(QUESTIONS), options, data=Data(), columns={},
                                evaluation=Evaluation(resamples=20), seed=0, device="cpu",
                        reporter=Reporter())
    answers = evaluation["scores"]["answers"]
    assert {"found passages", "random passages",
            "differences"} <= set(answers) and answers["found passages"]["rougeL"]["value"] is not None
    assert "found minus random passages" in answers["differences"] and 20 <= answers["training_overlap"][
        "near_duplicates"] < 26
    assert "mixed + re-ranked" in evaluation["scores"]["retrieval"] and json.dumps(evaluation["scores"])
    with pytest.raises(UserError, match="not a long-answer model"):
        evaluate_index(indexes["both"], str(QUESTIONS), EvaluateOptions(writer=str(runs / "retriever")), data=Data(),
                       columns={}, evaluation=Evaluation(),
                     seed=0, device="cpu", reporter=Reporter())


def test_a_trained_writer_answers_in_python_with_citations(indexes, runs):
    answer = headstart.ask(indexes["folder"] / "both", "Why do leaves turn red?", writer=runs / "writer", top=2,
                           device="cpu")
    assert len(answer["passages"]) == 2 and {"prediction", "sentences", "citations", "abstained", "note"} <= set(answer)
    assert headstart.ask(indexes["folder"] / "both", "Why do leaves turn red?", writer=runs / "writer", top=2,
                         device="cpu") == answer


def test_a_writer_is_silent_where_nothing_is_found_and_writes_from_memory_only_when_asked(indexes, runs):
    pipeline = QAPipeline.load(indexes["words"], writer=str(runs / "writer"))
    assert pipeline.answer("Zzz qqq?", pipeline.passages("Zzz qqq?")).abstained
    answer = pipeline.answer("Zzz qqq?", pipeline.passages("Zzz qqq?", source="none"), from_memory=True)
    assert not answer.abstained and "without passages" in answer.note


def test_all_pairs_of_a_question_stand_in_one_split(runs):
    texts = {name: {json.loads(line)["text"] for line in (runs / "reranker" / file).read_text().splitlines()}
             for name, file in (("train", "mined.jsonl"), ("dev", "mined-dev.jsonl"), ("test", "mined-test.jsonl"))}
    assert all(texts.values()) and not texts["train"] & texts["dev"] and not texts["train"] & texts[
        "test"] and not texts["dev"] & texts["test"]


def test_marks_of_a_document_cite_nothing_in_a_quoted_answer():
    (quoted,) = extract_quotes("Who built the mill?", scored_passages("The mill was built by Ann Reed.[7] Apples[12] "
                                                                      "ripen in autumn here."), count=1)
    assert quoted.text == "The mill was built by Ann Reed." and extract_quotes(
        "Zzz?", scored_passages("Nothing of that kind stands here."), count=1) == []


def test_blank_lines_of_standard_input_are_no_questions_and_wrong_counts_are_refused(indexes, headstart, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("How do I dry seeds?\n\nWhen is it open?\n"))
    code, stdout, _ = headstart("ask", indexes["folder"] / "words", "-", "--json")
    assert code == 0 and len(stdout.splitlines()) == 2
    for arguments in (["--top", "-3"], ["--retrieval", "dense"], ["--task", "retrieval"]):
        assert headstart("evaluate", indexes["folder"] / "words", QUESTIONS, *arguments)[0] == 2
    file = indexes["folder"] / "a-file"
    file.write_text("x")
    assert headstart("evaluate", indexes["folder"] / "words", QUESTIONS, "--to",
                     file)[0] == 73 and file.read_text() == "x"


def test_a_run_that_was_to_be_replaced_stays_where_the_new_one_never_begins(indexes, runs, headstart, tmp_path):
    import shutil

    shutil.copytree(runs / "reranker", tmp_path / "run")
    before = {path.relative_to(tmp_path): path.read_bytes() for path in sorted((tmp_path / "run").rglob("*"))
              if path.is_file()}
    (tmp_path / "faulty.csv").write_text("text,label\na,b,c\n")
    for arguments in (["nowhere.csv"], [tmp_path / "faulty.csv"],
                      [QUESTIONS, "--index", tmp_path / "none", "--task", "retrieval"],
                  [QUESTIONS, "--index", indexes["folder"] / "both", "--task", "retrieval", "--model",
                   tmp_path / "no-model"]):
        code = headstart("finetune", *arguments, "--to", tmp_path / "run", "--overwrite")[0]
        after = {path.relative_to(tmp_path): path.read_bytes() for path in sorted((tmp_path / "run").rglob("*"))
                 if path.is_file()}
        assert code in (65, 66, 69) and {name: content for name, content in after.items() if name.name != ".lock"} == {
            name: content for name, content in before.items() if name.name != ".lock"}, arguments


def test_an_index_built_again_in_python_keeps_its_settings_and_model(indexes, tmp_path):
    headstart.index(DATA / "library", tmp_path / "i", model="none", device="cpu", passage_words=40, overlap=5)
    rebuilt = headstart.index(DATA / "library", tmp_path / "i", device="cpu")
    assert rebuilt.manifest["settings"]["passage_words"] == 40 and rebuilt.model_reference is None


def test_an_index_needs_a_task_that_it_makes_rows_for(indexes, headstart, tmp_path):
    code, _, stderr = headstart("finetune", QUESTIONS, "--index", indexes["folder"] / "both", "--to", tmp_path / "run")
    assert code == 2 and "--task retrieval" in stderr and not (tmp_path / "run").exists()
    code, _, stderr = headstart("finetune", QUESTIONS, "--index", tmp_path / "none", "--task", "retrieval", "--to",
                                tmp_path / "run")
    assert code == 66 and not (tmp_path / "run").exists()
