"""A notebook in a real kernel: trained on a DataFrame, shown, predicted, looked into."""

import json

import nbclient
import nbformat
import pytest
from conftest import review_rows

CELLS = {
    "train": """
import headstart, pandas
rows = pandas.DataFrame({rows}, columns=["body", "stars"])
run = headstart.finetune(rows, text="body", label="stars", model={model!r}, to="run", epochs=1, batch_size=16,
                         evaluation={{"resamples": 20, "baselines": False, "explained_errors": 0}})""",
    "run": "run",
    "model": "model = run.model\nmodel",
    "predict": "predicted = model.predict(rows[:3])\npredicted",
    "predictions": "model.predict(['the roses', 'broken <b>houses</b>'])",
    "row": "model.predict(['the roses'])[0]",
    "scores": "run.scores",
    "plot": "run.plot()",
    "inspect": "model.inspect('the roses')",
    "check": "headstart.check(rows, text='body', label='stars')",
    "fault": "model.predict('the roses')",
}


@pytest.fixture(scope="module")
def outputs(tiny_bert, tmp_path_factory):
    """What each cell shows."""
    folder = tmp_path_factory.mktemp("notebook")
    codes = {name: code.format(rows=review_rows(60), model=str(tiny_bert)) if name == "train" else code
             for name, code in CELLS.items()}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes.values()])
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(folder / name))
        nbclient.NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3",
                                resources={"metadata": {"path": str(folder)}}).execute()
    return dict(zip(codes, (cell.outputs for cell in notebook.cells), strict=True))


def html(cell_outputs):
    return "".join(output["data"].get("text/html", "") for output in cell_outputs if "data" in output)


def test_the_cell_that_trains_shows_progress_and_scores_in_one_place(outputs):
    assert not [output.evalue for output in outputs["train"] if output.output_type == "error"]
    (shown,) = [output for output in outputs["train"] if output.output_type == "display_data"]
    page = shown["data"]["text/html"]
    assert "60 rows" in page and "macro_f1" in page and "report: run/report.html" in page
    assert all("TqdmWarning" in output.text for output in outputs["train"] if output.output_type == "stream")


def test_run_model_predictions_inspection_and_check_are_shown_as_tables(outputs):
    assert "macro_f1" in html(outputs["run"]) and 'href="run/report.html"' in html(outputs["run"])
    assert "trained on the columns text = body; label = stars" in html(outputs["model"])
    assert "<td class=n>1</td>" in html(outputs["predictions"]) and "the data can be used" in html(outputs["check"])
    assert "tokens in" in html(outputs["inspect"]) and "roses" in html(outputs["inspect"])
    table = html(outputs["predict"])
    assert all(f"<th>{name}</th>" in table for name in ("body", "stars", "prediction", "probability"))


def test_scores_and_one_prediction_are_drawn_and_a_figure_is_shown_once(outputs):
    assert 'class="track"' in html(outputs["scores"]) and "macro_f1" in html(outputs["scores"])
    assert 'class="track"' in html(outputs["row"]) and "<td>good</td>" in html(outputs["row"])
    pictures = [output for output in outputs["plot"] if "image/png" in output.get("data", {})]
    assert len(pictures) == 1


def test_a_mistake_is_said_in_words(outputs):
    (error,) = outputs["fault"]
    assert error.ename == "UserError" and "['the roses']" in error.evalue
    assert all(output.output_type != "error" for name, cell in outputs.items() if name != "fault" for output in cell), \
        json.dumps(outputs)
