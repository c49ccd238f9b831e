"""What comes after training may fail part by part; a run still ends with its model, scores and report."""

import json

import pytest
from conftest import QUICK_FLAGS

import headstart as package
from headstart.errors import Exit, UserError
from headstart.evaluation.compare import compare_baseline
from headstart.progress import Reporter
from headstart.runs import baselines, finalize, folder, parts
from headstart.tasks.text_classification import TextClassification

FLAGS = [*QUICK_FLAGS, "--set", "evaluation.baselines=true"]


def failing(*_, **__):
    raise RuntimeError("a part broke")


@pytest.mark.parts_may_fail
def test_a_run_whose_every_optional_part_fails_keeps_model_scores_and_a_report(monkeypatch, reviews, tiny_bert, tmp_path,
                                                                             headstart):
    for owner, name in ((baselines, "compare_baseline"), (finalize.error_words, "error_figures"),
                        (finalize.generated_samples, "generate_samples"), (TextClassification, "figures"),
                        (TextClassification, "tables"), (TextClassification, "official_files"),
                        (TextClassification, "calibrate"), (finalize, "evaluate_slices"), (finalize, "card_text"),
                        (finalize.report, "render_html"), (finalize.report, "render_markdown")):
        monkeypatch.setattr(owner, name, failing)
    run = tmp_path / "run"
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", run, *FLAGS)
    assert code == 0
    failures = json.loads((run / "scores.json").read_text())["failed_parts"]
    for part in ("the baseline majority", "the explanation of wrong answers", "the generated samples",
                 "the figures of test", "the tables of dev", "the official files of dev", "what is tuned on dev",
                 "the slices of test", "the model card", "report.md", "the report's page"):
        assert any(part in name for name in failures), part
        assert part in stderr
    assert "a part broke" in (run / "report.html").read_text()
    assert (run / "failed_parts.txt").read_text().count("RuntimeError: a part broke") >= len(failures)
    assert "accuracy" in json.loads((run / "scores.json").read_text())["test"]
    assert package.load(run).predict(["roses by the river"])[0]["prediction"] in ("good", "bad", "mixed")
    assert headstart("resume", run)[0] == 0  # it is finished


@pytest.mark.parts_may_fail
def test_a_part_that_fails_leaves_the_others_as_they_are(monkeypatch, reviews, tiny_bert, tmp_path, headstart):
    def compare(task, baseline, *arguments, **settings):
        return failing() if "tf-idf" in baseline.name else compare_baseline(task, baseline, *arguments, **settings)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", whole, *FLAGS)[0] == 0
    monkeypatch.setattr(baselines, "compare_baseline", compare)
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", broken, *FLAGS)[0] == 0
    expected, scores = (json.loads((run / "scores.json").read_text()) for run in (whole, broken))
    assert not (whole / "failed_parts.txt").exists() and "failed_parts" not in expected
    assert set(expected["baselines"]) - set(scores["baselines"]) == {name for name in expected["baselines"]
                                                                     if "tf-idf" in name}
    assert scores["test"] == expected["test"]
    assert "Not made: the baseline tf-idf" in (broken / "report.html").read_text()


@pytest.mark.parametrize(("error", "exit_code"), [(OSError(28, "No space left on device"), Exit.DISK),
                                                  (UserError("stopped", fix="resume", exit=Exit.INTERRUPTED),
                                                   Exit.INTERRUPTED)])
def test_a_full_disk_and_an_interruption_end_the_run_and_it_resumes(error, exit_code, monkeypatch, reviews, tiny_bert,
                                                                    tmp_path, headstart):
    def stopped(*_, **__):
        raise error

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "compare_baseline", stopped)
        assert headstart("finetune", reviews, "--model", tiny_bert, "--to", run, *FLAGS)[0] == exit_code
    assert (run / "model" / "config.json").exists()
    assert headstart("resume", run)[0] == 0
    scores = json.loads((run / "scores.json").read_text())
    assert "failed_parts" not in scores and scores["baselines"]


def test_a_part_gives_what_it_makes_and_else_what_stands_in_for_it(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(parts.Parts, "note_failure", lambda self, name, error: told.append((name, str(error))))
    making = parts.Parts(folder.RunFolder(tmp_path), Reporter())
    assert making.attempt("sum", lambda: 3) == 3 and not told
    assert making.attempt("sum", lambda: 1 // 0) is None and told == [("sum", "integer division or modulo by zero")]
    with pytest.raises(KeyboardInterrupt):
        making.attempt("sum", lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
