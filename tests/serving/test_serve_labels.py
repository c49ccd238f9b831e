"""Labels that came with the server: its predictions are those of `predict --labels`, and it says that nothing measured
them.
"""

import json

import pytest
import tiny
from clients import serving

from headstart.api.model import load
from headstart.cli import serve
from headstart.cli.main import command_parser
from headstart.models.loading import sentence_transformers_files
from headstart.progress import Reporter

LABELS = "roses=flowers of a garden; bills=what is to be paid; captains"
TEXTS = tiny.texts(4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tiny.model_folder("bert", tmp_path_factory.mktemp("encoder") / "encoder")
    sentence_transformers_files.write(folder, 32, tiny.POSITIONS, "mean_tokens")
    return folder


def test_a_server_gives_texts_the_labels_that_it_was_started_with(encoder):
    expected = load(encoder, device="cpu", labels=LABELS, zero_shot={"temperature": 0.1}).predict(TEXTS)
    command = [str(encoder), "--labels", LABELS, "--set", "zero_shot.temperature=0.1", "--device", "cpu"]
    arguments = command_parser("serve").parse_args(command)
    references = serve.named_references(arguments.runs)
    (load_model,) = serve.loaders(arguments, references, Reporter()).values()
    with serving({"labels": load_model()}) as client:
        answers = client.predict(TEXTS)
        (card,) = json.loads(client.get("/v1/models")[2])["data"]
    assert [row["prediction"] for row in answers] == [row["prediction"] for row in expected]
    for answer, row in zip(answers, expected, strict=True):
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=0.02)  # in bf16, where the processor has it
    assert card["labels"] == ["roses", "bills", "captains"] and [field["name"] for field in card["fields"]] == ["text"]
    assert any("Nothing measured" in note for note in card["notes"]) and "/v1/rerank" not in card["endpoints"]
    assert "weights of its own" in card["attribution_refusal"]


def test_a_pair_is_refused_without_a_flag_of_the_command(encoder):
    with serving({"labels": load(encoder, device="cpu", labels=LABELS)}) as client:
        status, answer = client.post("/v1/predict", {"rows": [{"text": "a", "pair": "b"}]})
    assert status == 422 and "two texts" in answer["error"]["message"] and "--text" not in answer["error"]["message"]


def test_labels_that_cannot_be_served_are_refused(headstart, encoder, tmp_path):
    classes = tiny.model_folder("bert", tmp_path / "classes", "sequence-classification", ["bad", "good"])
    for arguments, code, word in (
            ((encoder, f"b={encoder}", "--labels", "a,b"), 2, "for one model"), ((encoder, "--labels", "a"), 2, "two labels"),
            ((classes, "--labels", "a,b"), 2, "bad, good"),
            ((encoder, "--set", "zero_shot.temperature=0.1"), 78, "zero_shot.temperature"),
            ((encoder, "--labels", "a,b", "--set", "zero_shot.multi_label=true"), 78, "multi_label")):
        came, _, stderr = headstart("serve", *arguments, "--port", 0)
        assert (came, word in stderr) == (code, True), stderr
