"""A model remembers the columns that it was trained on."""

import csv
import json

from conftest import QUICK_FLAGS, review_rows, write_csv

import headstart as package


def test_files_and_rows_of_the_same_layout_need_no_flags(tiny_bert, tmp_path, headstart):
    header = ("Nr", "Anmerkung", "Kundentext", "Team")
    rows = [(str(index), f"a remark of the office number {index}", text, label)
            for index, (text, label) in enumerate(review_rows(60))]
    path, run = write_csv(tmp_path / "letters.csv", rows, header), tmp_path / "run"
    code, _, stderr = headstart("finetune", path, "--task", "text-classification", "--text", "Kundentext", "--label",
                                "Team", "--model", tiny_bert, "--to", run, *QUICK_FLAGS)
    assert code == 0, stderr
    new = write_csv(tmp_path / "new.csv", [row[:3] for row in rows[:9]], header[:3])
    assert headstart("predict", run, new, "--to", tmp_path / "out.csv")[0] == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        from_file = [row["prediction"] for row in csv.DictReader(file)]
    model = package.load(run)
    assert [row["prediction"] for row in model.predict([{"Kundentext": row[2]} for row in rows[:9]])] == from_file
    assert [row["prediction"] for row in model.predict([row[2] for row in rows[:9]])] == from_file
    scores = model.evaluate(str(path))["test"]
    assert scores["accuracy"] == model.evaluate([{"Kundentext": row[2], "Team": row[3]} for row in rows])["test"][
        "accuracy"]
    code, stdout, _ = headstart("evaluate", run, path, "--json")
    assert code == 0 and json.loads(stdout)["scores"]["test"]["accuracy"]["value"] == scores["accuracy"]["value"]
    other = write_csv(tmp_path / "other.csv", [("the roses were red",)], ("text",))  # another layout is detected anew
    assert headstart("predict", run, other, "--to", tmp_path / "other_out.csv")[0] == 0
    saved = model.save(tmp_path / "copy")
    assert package.load(saved).task.trained_columns == {"text": ["Kundentext"], "label": ["Team"]}
