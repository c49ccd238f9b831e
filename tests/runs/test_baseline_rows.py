"""Baselines are fitted on a bounded number of training rows, and a run says so."""

from conftest import QUICK_FLAGS

import headstart as package
from headstart.evaluation.compare import compare_baseline
from headstart.runs import baselines


def test_baselines_see_a_fixed_draw_of_the_training_rows_in_their_order(monkeypatch, tmp_path, tiny_bert, headstart):
    path = tmp_path / "notes.csv"
    path.write_text("text,label\n" + "".join(f"note {row} on {('boats', 'trains')[row % 2]},{('sea', 'rail')[row % 2]}\n"
                                             for row in range(300)))
    fitted = []

    def compare(task, baseline, train, *arguments, **settings):
        fitted.append([example.row for example in train])
        return compare_baseline(task, baseline, train, *arguments, **settings)

    monkeypatch.setattr(baselines, "compare_baseline", compare)
    flags = [*QUICK_FLAGS, "--set", "evaluation.baselines=true", "--set", "evaluation.baseline_rows=100"]
    for name in ("first", "second"):
        code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / name, *flags)
        assert code == 0 and "fitted on 100 of the 240 training rows" in stderr
    assert all(rows == fitted[0] for rows in fitted) and len(set(fitted[0])) == 100 and fitted[0] == sorted(fitted[0])
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "all", *QUICK_FLAGS, "--set",
                                "evaluation.baselines=true")
    assert code == 0 and "are fitted on" not in stderr and len(fitted[-1]) == 240
    assert package.Run(tmp_path / "first").scores["baselines"]["majority"]["scores"]["accuracy"]["value"] >= 0
