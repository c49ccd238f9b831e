"""Questions put to an index: rows mined from it, what is relevant, what is quoted, what is measured, what the command prints."""

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
from headstart.metrics import ranking
from headstart.progress import Silent
from headstart.retrieval.answering.extractive import quote
from headstart.retrieval.answering.faq import Known
from headstart.retrieval.answering.pipeline import Asking, open_known
from headstart.retrieval.answering.reranker import Reranker
from headstart.retrieval.documents.passage import Found, Passage
from headstart.retrieval.evaluation import search
from headstart.retrieval.evaluation.calibration import calibrate
from headstart.retrieval.evaluation.evaluate import Wanted, index_scores, searching
from headstart.retrieval.index import thresholds
from headstart.retrieval.index.index import Index
from headstart.retrieval.mining import mine
from headstart.retrieval.mining.questions import Question, question_of, read_questions
from headstart.retrieval.mining.relevance import Relevance, contained
from headstart.settings import Data, Evaluation, Mining

DATA = Path(__file__).parents[2] / "examples" / "data"
QUESTIONS = DATA / "library_questions.jsonl"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An index of the library's pages by a tiny model (its vectors mean nothing), and one by words alone."""
    place = tmp_path_factory.mktemp("asking")
    tiny.model_folder("bert", place / "bert")
    return {"model": place / "bert", "both": headstart.index(DATA / "library", place / "both", model=str(place / "bert"), device="cpu"),
            "words": headstart.index(DATA / "library", place / "words", model="none", device="cpu"), "place": place}


@pytest.fixture(scope="module")
def questions():
    return read_questions(str(QUESTIONS), Data(), {})


def found(*texts):
    return [Found(Passage(f"{place}.md", f"Page {place}", "", text, 0, len(text)), place, 1.0 - place / 10) for place, text in enumerate(texts)]


def test_every_question_of_the_library_is_answered_by_passages_of_its_page(made, questions):
    relevance = Relevance(made["both"])
    for one in questions:
        rows = relevance.rows(one, answer_score=3.0)
        assert rows, one.text
        for row in rows:
            assert made["both"].passages[row].document == one.document


def test_an_answer_that_is_cut_by_itself_is_found_without_its_document(made):
    passage = made["both"].passages[5]
    assert 5 in Relevance(made["both"]).rows(Question(0, "?", (passage.text,), None, "", (None,)), answer_score=3.0)
    assert Relevance(made["both"]).rows(Question(0, "?", ("Nothing of the kind stands here at all.",), None, "", (None,)), answer_score=3.0) == []
    assert contained("one two three four five", "zero one two three four five six") == 1.0 and contained("one two", "three") == 0.0


def test_answers_with_a_good_score_are_right_too():
    row = {"question": "Why?", "answers": [{"text": "First.", "score": 1}, {"text": "Good.", "score": 3}, {"text": "Bad.", "score": 2}, "Plain."]}
    one = question_of(headstart_row(row))
    assert one.good(3.0) == ("First.", "Good.") and one.good(2.0) == ("First.", "Good.", "Bad.")


def headstart_row(values):
    from headstart.contract import Row

    return Row(0, values)


def test_rows_without_a_question_or_an_answer_are_told_by_line(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "Why?", "answer": "So."}\n{"question": " ", "answer": "So."}\n{"question": "What?", "answer": ""}\n')
    with pytest.raises(DataError) as told:
        read_questions(str(path), Data(), {})
    assert "q.jsonl:2" in str(told.value) and "q.jsonl:3" in str(told.value)
    assert [one.text for one in read_questions(str(path), Data(bad_rows="skip"), {})] == ["Why?"]
    path.write_text("")
    with pytest.raises(UserError):
        read_questions(str(path), Data(), {})


def test_negatives_never_answer_and_never_say_the_same(made, questions, tmp_path):
    index, settings = made["both"], Mining(negatives=5, margin=1.0)
    done = mine.write(index, questions, "retrieval", tmp_path / "mined.jsonl", settings, Silent())
    rows = [json.loads(line) for line in (tmp_path / "mined.jsonl").read_text().splitlines()]
    assert done.rows == len(rows) == len(questions) and done.nowhere == 0
    by_text = {index.subject(row): row for row in range(len(index))}
    for one, row in zip(questions, rows, strict=True):
        right = set(Relevance(index).rows(one, answer_score=3.0))
        assert by_text[row["passage"]] in right and all(by_text[held["text"]] in right for held in row["answers"])
        assert row["negatives"] and not {by_text[text] for text in row["negatives"]} & right
        assert len(row["negatives"]) <= 5
    again = mine.write(index, questions, "retrieval", tmp_path / "again.jsonl", settings, Silent())
    assert again.rows == done.rows and (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "mined.jsonl").read_bytes()


def test_an_equal_question_of_another_row_lends_its_passages(made, tmp_path):
    index = made["words"]
    first, last = index.passages[0].text, index.passages[len(index) - 1].text
    same = [Question(0, "When is it open?", (first,), None, "", (None,)), Question(1, "When is it OPEN", (last,), None, "", (None,))]
    mine.write(index, same, "retrieval", tmp_path / "m.jsonl", Mining(negatives=50, positives=1), Silent())
    for line in (tmp_path / "m.jsonl").read_text().splitlines():
        assert not {index.subject(0), index.subject(len(index) - 1)} & set(json.loads(line)["negatives"])


def test_a_passage_almost_as_near_as_the_right_one_is_no_negative():
    listed = found("right", "near", "far")
    nearness = [Found(one.passage, one.row, score) for one, score in zip(listed, (0.9, 0.88, 0.5), strict=True)]

    class Tale:
        passages = [one.passage for one in listed]

    done = mine.Mined()
    assert mine.negatives(Tale(), {0}, [], nearness, Mining(margin=0.95), done) == [2] and done.filtered == 1


def test_a_questions_passages_are_given_to_a_writer_and_pairs_to_a_reranker(made, questions, tmp_path):
    mine.write(made["words"], questions, "long-answer", tmp_path / "w.jsonl", Mining(passages=2), Silent())
    row = json.loads((tmp_path / "w.jsonl").read_text().splitlines()[0])
    assert len(row["passages"]) == 2 and row["answers"][0]["text"] == questions[0].answers[0] and row["document"] == "opening-hours.md"
    mine.write(made["words"], questions, "text-classification", tmp_path / "p.jsonl", Mining(negatives=1, positives=1), Silent())
    pairs = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {one["label"] for one in pairs} == {"relevant", "other"} and pairs[0]["text"] == questions[0].text
    with pytest.raises(UserError):
        mine.write(made["words"], questions, "regression", tmp_path / "x.jsonl", Mining(), Silent())
    with pytest.raises(UserError, match="No passage"):
        mine.write(made["words"], [Question(0, "Why is that?", ("Zzz yyy xxx.",), None, "", (None,))], "retrieval", tmp_path / "x.jsonl", Mining(),
                     Silent())
    assert not (tmp_path / "x.jsonl").exists()


def test_sentences_are_quoted_word_for_word_with_their_passage():
    passages = found("Opening hours\n\nThe library opens at nine. It closes at seven in the evening.", "Roses bloom in June. The library opens at nine.")
    quotes = quote("When does the library open?", passages, count=2)
    assert [(one.text, one.passage) for one in quotes] == [("The library opens at nine.", 1)]  # others are much farther
    assert quote("x", [], count=2) == []
    near = quote("?", passages, count=1, embed=lambda texts: np.eye(len(texts))[[0, *([1] * (len(texts) - 2)), 0]])
    assert near[0].text == "Roses bloom in June."


def test_the_measures_of_a_search_are_those_of_its_rankings(made, questions):
    index = made["words"]
    asked = search.with_answers(index, questions, answer_score=3.0)
    one = search.measure("sparse", searching(index, "sparse"), asked, search.document_frequencies(index), len(index), resamples=20, seed=0)
    rows = [[held.row for held in listed] for listed in index.search([held.text for held in asked.questions], source="sparse", k=100)]
    gains = [dict.fromkeys(right, 1.0) for right in asked.right]
    assert one.scores["ndcg_10"].value == pytest.approx(float(np.mean(ranking.ndcg(rows, gains, k=10))))
    assert one.scores["recall_10"].value > 0.7 and 0 < one.scores["idf_recall"].value <= 1 and one.milliseconds > 0
    assert asked.groups.max() + 1 == 8  # pages, resampled whole
    gap = search.difference(one, one, asked, resamples=20, seed=0)
    assert gap["mrr"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_the_words_of_an_answer_are_weighed_by_how_rare_they_are():
    listed, frequencies = found("roses bloom"), {"roses": 1, "bloom": 9}
    one = Question(0, "?", ("Roses grow",), None, "", (None,))
    rare, rarer = np.log(11 / 2), np.log(11 / 1)
    assert search.idf_recall(one, listed, frequencies, 10) == pytest.approx(rare / (rare + rarer))
    assert np.isnan(search.idf_recall(Question(0, "?"), listed, frequencies, 10))


def test_what_nothing_is_near_to_is_not_answered(made, questions):
    index = made["words"]
    foreign = [Question(90 + place, f"Quasar{word} redshift?") for place, word in enumerate(tuple("abcdefghij"))]
    asked = search.with_answers(index, [*questions, *foreign], answer_score=3.0)
    assert asked.left_out == 10
    listed = index.search([one.text for one in asked.questions], source="sparse", k=5)
    calibrated = calibrate(index, asked, listed, passages=5)
    assert calibrated.choice is not None and calibrated.choice.risk <= 0.1 and "10 questions have no answer" in calibrated.words()
    asking = Asking(index, threshold=calibrated.choice.threshold)
    for one in foreign:
        answer = asking.answer(one.text, asking.passages("library card"))
        assert answer.abstained and not answer.citations and "threshold" in answer.note
    assert not asking.answer("How do I dry seeds?", asking.passages("How do I dry seeds?")).abstained


def test_a_threshold_belongs_to_the_vectors_that_it_was_measured_with(made, tmp_path):
    index = headstart.index(DATA / "library", tmp_path / "i", model="none", device="cpu")
    assert thresholds.threshold_of(index) is None
    thresholds.keep(index, {"threshold": 1.5})
    assert thresholds.threshold_of(index) == 1.5
    again = headstart.index(tmp_path / "i", tmp_path / "i", model=str(made["model"]), device="cpu")
    assert thresholds.threshold_of(again) is None
    (tmp_path / "i" / "abstention.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        thresholds.threshold_of(again)


def test_a_mixed_search_is_weighed_as_it_was_calibrated(made, tmp_path, headstart, questions):
    place = tmp_path / "i"
    shutil.copytree(made["place"] / "both", place)
    index, texts = Index.open(place, device="cpu"), [one.text for one in questions]

    def rows(source):
        return [[one.row for one in held] for held in Index.open(place, device="cpu").search(texts, source=source, k=10)]

    alike = rows("mixed")
    code, out, _ = headstart("evaluate", place, QUESTIONS, "--calibrate", "--json", "--set", "evaluation.resamples=0")
    found = json.loads(out)["scores"]
    assert code == 0 and set(found["mix"]["ndcg_10"]) == {f"{tenth / 10:.1f}" for tenth in range(11)}
    best = max(found["mix"]["ndcg_10"].values())
    assert found["mix"]["ndcg_10"][f"{found['mix']['share']:.1f}"] == best == pytest.approx(found["retrieval"]["mixed"]["ndcg_10"]["value"])
    assert found["mix"]["ndcg_10"]["1.0"] == pytest.approx(found["retrieval"]["dense"]["ndcg_10"]["value"])
    assert thresholds.share_of(index) == found["mix"]["share"]
    for share, source in ((0.0, "sparse"), (1.0, "dense"), (0.5, None)):
        thresholds.keep(index, {"share": share, "threshold": None})
        wanted = alike if source is None else rows(source)  # words find few for some questions; meaning fills the rest of the places
        assert [held[:len(own)] for held, own in zip(rows("mixed"), wanted, strict=True)] == wanted


def test_the_nearest_known_question_is_the_same_one(made, questions):
    for name in ("words", "both"):
        known = Known.of(questions, made[name])
        near = known.nearest("Why do leaves turn red?")
        assert near["question"] == "Why do leaves turn red?" and near["similarity"] > 0.99
    assert Known.of(questions, made["words"]).nearest("Which quasar is farthest?") is None
    assert open_known(None, made["words"], {}) is None


def test_an_answer_without_passages_is_none_and_a_way_that_is_missing_is_refused(made):
    asking = Asking(made["words"])
    assert asking.sources == ["sparse", "none"]
    assert asking.answer("Zzz qqq?", asking.passages("Zzz qqq?")).abstained
    with pytest.raises(UserError, match="nothing to quote"):
        asking.passages("Why?", source="none")
    with pytest.raises(UserError, match="cannot be searched by dense"):
        asking.passages("Why?", source="dense")
    with pytest.raises(UserError, match="no words"):
        asking.passages("  ")


def test_the_command_answers_shows_passages_and_tells_json(made, headstart, capsys):
    place = made["place"] / "both"
    code, out, words = headstart("ask", place, "Why do leaves turn red?", "--source", "sparse")
    assert code == 0 and "[1]" in out and "why-leaves-turn-red.html" in out and "quoted" in words
    code, out, _ = headstart("ask", place, "How do I dry seeds?", "When is it open?", "--json", "--passages", 2, "--known", QUESTIONS)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(rows) == 2 and len(rows[0]["passages"]) == 2 and rows[0]["nearest"]["question"] == "How do I dry seeds?"
    assert all(sentence["text"] in rows[0]["passages"][sentence["citations"][0] - 1]["text"] for sentence in rows[0]["sentences"])
    code, out, _ = headstart("ask", place, "How do I dry seeds?", "--passages-only", "--json")
    assert code == 0 and "prediction" not in json.loads(out)
    for words in (["ask", place], ["ask", place, "x", "--passages", 0], ["ask", place, "!?"]):
        code, _, told = headstart(*words)
        assert code in (2, 65) and "headstart: " in told
    assert headstart("ask", made["place"] / "nowhere", "Why?")[0] == 66


def test_an_index_is_evaluated_with_intervals_differences_and_a_kept_threshold(made, headstart, tmp_path):
    place = made["place"] / "both"
    code, out, _ = headstart("evaluate", place, QUESTIONS, "--to", tmp_path / "scores", "--set", "evaluation.resamples=20")
    assert code == 0 and "mixed minus" in out and "ndcg_10" in out
    held = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert set(held["retrieval"]) == {"mixed", "sparse", "dense"} and held["retrieval"]["sparse"]["mrr"]["low"] is not None
    assert headstart("evaluate", place, QUESTIONS, "--to", tmp_path / "scores")[0] == 73
    assert headstart("evaluate", made["model"], QUESTIONS, "--calibrate")[0] == 2
    words = made["place"] / "words"
    code, out, _ = headstart("evaluate", words, QUESTIONS, "--calibrate", "--json", "--set", "evaluation.resamples=0")
    assert code == 0 and json.loads(out)["scores"]["abstention"]["threshold"] == thresholds.threshold_of(made["words"])
    (words / "abstention.json").unlink()


@pytest.fixture(scope="module")
def runs(made):
    """A retriever, a re-ranker and a writer, each trained for two updates on rows of the index."""
    place, common = made["place"], {"index": made["place"] / "both", "device": "cpu", "updates": 2, "batch_size": 4, "evaluation.resamples": 20}
    headstart.finetune(QUESTIONS, task="retrieval", model=made["model"], to=place / "retriever", **common)
    headstart.finetune(QUESTIONS, task="text-classification", model=made["model"], to=place / "reranker", **common)
    tiny_writers.folder("t5", place / "t5", seed=2)
    headstart.finetune(QUESTIONS, task="long-answer", model=place / "t5", to=place / "writer", **common, **{
        "generation.new_tokens": 6, "mining.passages": 2, "evaluation.baselines": False})
    return place


def test_runs_are_trained_on_mined_rows_that_they_keep_with_their_hash(made, runs):
    for name in ("retriever", "reranker", "writer"):
        run = runs / name
        told = json.loads((run / "mined.json").read_text())
        assert told["files"]["train"]["sha256"] == mine.sha256(run / "mined.jsonl") and told["version"] == made["both"].facts["version"]
        assert f'train = "{(run / "mined.jsonl").resolve()}"' in (run / "settings.toml").read_text()
    again = headstart.index(DATA / "library", runs / "again", model=str(runs / "retriever"), device="cpu")
    assert again.identity != made["both"].identity and len(again.search(["Why do leaves turn red?"], source="dense", k=3)[0]) == 3


def test_a_reranker_puts_the_likeliest_first_and_keeps_the_rest(made, runs):
    reranker = Reranker.load(str(runs / "reranker"))
    (listed,) = made["both"].search(["How do I dry seeds?"], source="sparse", k=6)
    (ordered,) = reranker.ordered(["How do I dry seeds?"], [listed], depth=4)
    assert sorted(one.row for one in ordered) == sorted(one.row for one in listed) and ordered[4:] == listed[4:]
    scores = [one.score for one in ordered[:4]]
    assert scores == sorted(scores, reverse=True) and all(0 < score < 1 for score in scores)
    with pytest.raises(UserError, match="does not say whether a passage answers"):
        Reranker.load(str(runs / "retriever"))


def test_a_writer_is_measured_from_found_and_from_random_passages(made, runs):
    wanted = Wanted(writer=str(runs / "writer"), reranker=str(runs / "reranker"), passages=2)
    held = index_scores(made["both"], str(QUESTIONS), wanted, data=Data(), given={}, evaluation=Evaluation(resamples=20), seed=0, device="cpu",
                        voice=Silent())
    answers = held["scores"]["answers"]
    assert {"found passages", "random passages", "differences"} <= set(answers) and answers["found passages"]["rougeL"]["value"] is not None
    assert "found minus random passages" in answers["differences"] and 20 <= answers["training_overlap"]["near_duplicates"] < 26
    assert "mixed + re-ranked" in held["scores"]["retrieval"] and json.dumps(held["scores"])
    with pytest.raises(UserError, match="not a writer"):
        index_scores(made["both"], str(QUESTIONS), Wanted(writer=str(runs / "retriever")), data=Data(), given={}, evaluation=Evaluation(),
                     seed=0, device="cpu", voice=Silent())


def test_a_trained_writer_answers_in_python_with_citations(made, runs):
    answer = headstart.ask(made["place"] / "both", "Why do leaves turn red?", writer=runs / "writer", passages=2, device="cpu")
    assert len(answer["passages"]) == 2 and {"prediction", "sentences", "citations", "abstained", "note"} <= set(answer)
    assert headstart.ask(made["place"] / "both", "Why do leaves turn red?", writer=runs / "writer", passages=2, device="cpu") == answer


def test_a_writer_is_silent_where_nothing_is_found_and_writes_from_memory_only_when_asked(made, runs):
    asking = Asking.of(made["words"], writer=str(runs / "writer"))
    assert asking.answer("Zzz qqq?", asking.passages("Zzz qqq?")).abstained
    answer = asking.answer("Zzz qqq?", asking.passages("Zzz qqq?", source="none"), from_memory=True)
    assert not answer.abstained and "memory" in answer.note


def test_all_pairs_of_a_question_stand_in_one_split(runs):
    texts = {name: {json.loads(line)["text"] for line in (runs / "reranker" / file).read_text().splitlines()}
             for name, file in (("train", "mined.jsonl"), ("dev", "mined-dev.jsonl"), ("test", "mined-test.jsonl"))}
    assert all(texts.values()) and not texts["train"] & texts["dev"] and not texts["train"] & texts["test"] and not texts["dev"] & texts["test"]


def test_marks_of_a_document_cite_nothing_in_a_quoted_answer():
    (one,) = quote("Who built the mill?", found("The mill was built by Ann Reed.[7] Apples[12] ripen in autumn here."), count=1)
    assert one.text == "The mill was built by Ann Reed." and quote("Zzz?", found("Nothing of that kind stands here."), count=1) == []


def test_blank_lines_of_standard_input_are_no_questions_and_wrong_counts_are_refused(made, headstart, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("How do I dry seeds?\n\nWhen is it open?\n"))
    code, out, _ = headstart("ask", made["place"] / "words", "-", "--json")
    assert code == 0 and len(out.splitlines()) == 2
    for words in (["--top", "-3"], ["--search-by", "dense"], ["--task", "retrieval"]):
        assert headstart("evaluate", made["place"] / "words", QUESTIONS, *words)[0] == 2
    file = made["place"] / "a-file"
    file.write_text("x")
    assert headstart("evaluate", made["place"] / "words", QUESTIONS, "--to", file)[0] == 73 and file.read_text() == "x"


def test_a_run_that_was_to_be_replaced_stays_where_the_new_one_never_begins(made, runs, headstart, tmp_path):
    import shutil

    shutil.copytree(runs / "reranker", tmp_path / "run")
    before = {path.relative_to(tmp_path): path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    (tmp_path / "faulty.csv").write_text("text,label\na,b,c\n")
    for words in (["nowhere.csv"], [tmp_path / "faulty.csv"], [QUESTIONS, "--index", tmp_path / "none", "--task", "retrieval"],
                  [QUESTIONS, "--index", made["place"] / "both", "--task", "retrieval", "--model", tmp_path / "no-model"]):
        code = headstart("finetune", *words, "--to", tmp_path / "run", "--overwrite")[0]
        after = {path.relative_to(tmp_path): path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
        assert code in (65, 66, 69) and {name: held for name, held in after.items() if name.name != ".lock"} == {
            name: held for name, held in before.items() if name.name != ".lock"}, words


def test_an_index_built_again_in_python_keeps_its_settings_and_model(made, tmp_path):
    headstart.index(DATA / "library", tmp_path / "i", model="none", device="cpu", words=40, overlap=5)
    again = headstart.index(DATA / "library", tmp_path / "i", device="cpu")
    assert again.facts["settings"]["words"] == 40 and again.model_reference is None


def test_an_index_needs_a_task_that_it_makes_rows_for(made, headstart, tmp_path):
    code, _, words = headstart("finetune", QUESTIONS, "--index", made["place"] / "both", "--to", tmp_path / "run")
    assert code == 2 and "--task retrieval" in words and not (tmp_path / "run").exists()
    code, _, words = headstart("finetune", QUESTIONS, "--index", tmp_path / "none", "--task", "retrieval", "--to", tmp_path / "run")
    assert code == 66 and not (tmp_path / "run").exists()
