"""Which words led there, over HTTP: what Python says, one at a time, and never in the way of predictions."""

import copy
import threading
import time

import pytest
import tiny
import tiny_writers
from clients import FOLDER, Path, loaded, serving

from headstart.api.model import load
from headstart.serving import attributions

TEXT = "the old captain waters the roses"
PASSAGE = {"question": "Who waters the roses?", "passage": TEXT}


@pytest.fixture(scope="module")
def client():
    folder = tiny_writers.model_folder("t5", Path(FOLDER.name) / "t5")
    kinds = ("classes", "tags", "answers", "choices", "masked", "writer", "pairs")
    with serving({kind: loaded(kind) for kind in kinds} | {"source": load(folder, device="cpu")}) as open_client:
        yield open_client


def attribute(client, model, row, **more):
    status, answer = client.post("/v1/attribute", {"model": model, "rows": [row], **more})
    assert status == 200, answer
    return answer


def test_the_words_of_a_label_are_those_of_python(client):
    expected = loaded("classes").attribute(TEXT, target="bad")
    answer = attribute(client, "classes", {"text": TEXT}, target="bad")
    assert answer["label"] == "bad" and answer["value"] == pytest.approx(expected.value, abs=1e-5)
    assert [word["score"] for word in answer["words"]] == pytest.approx([score for _, score in expected.words], abs=1e-4)
    for word in answer["words"]:
        assert answer["texts"][word["of"]][word["begin"]:word["end"]] == word["word"]
    own = attribute(client, "classes", {"text": TEXT})
    assert own["label"] == own["predicted"] == client.predict([TEXT], model="classes")[0]["prediction"]
    pair = attribute(client, "pairs", {"text": TEXT, "pair": "an unpaid bill"})
    assert {word["of"] for word in pair["words"]} == {"text", "pair"} and pair["texts"]["pair"] == "an unpaid bill"
    occluded = attribute(client, "classes", {"text": TEXT}, method="occlusion")
    assert occluded["method"] == "occlusion" and len(occluded["words"]) == len(own["words"])


def test_the_words_of_an_answer_and_of_what_is_written_stand_in_their_texts(client):
    (prediction,) = client.predict([PASSAGE], model="answers")
    answer = attribute(client, "answers", PASSAGE)
    assert answer["explains"] == "answer" and (prediction["start"] is None or answer["label"] == prediction["prediction"])
    assert {word["of"] for word in answer["words"]} == {"question", "passage"} and "truncated" not in answer
    cut = attribute(client, "answers", PASSAGE | {"question": "who " * 300})
    assert cut["truncated"][0]["row"] == 1 and cut["truncated"][0]["tokens"] > 0
    for model, row, target in (("writer", {"prompt": "the old"}, "captain"), ("source", {"source": TEXT}, "seven apples")):
        answer = attribute(client, model, row, target=target)
        assert target in answer["note"] and answer["texts"] == row
        for word in answer["words"]:
            assert answer["texts"][word["of"]][word["begin"]:word["end"]] == word["word"]
    expected = loaded("writer").attribute("the old", target="captain")
    answer = attribute(client, "writer", {"prompt": "the old"}, target="captain")
    assert answer["value"] == pytest.approx(expected.value, abs=1e-5)


def test_a_prefix_of_training_is_no_word_of_the_source(client):
    model = copy.copy(client.service.models["source"].model)
    model.task = model.task.with_learned(model.task.learned.with_value("prefix", "seven green: "))
    with serving({"source": model}) as prefixed:
        answer = attribute(prefixed, "source", {"source": TEXT}, target="roses")
    expected = model.attribute(TEXT, target="roses")
    assert answer["value"] == pytest.approx(expected.value, abs=1e-4) and answer["texts"] == {"source": TEXT}
    assert " ".join(word["word"] for word in answer["words"]) == TEXT
    assert all(TEXT[word["begin"]:word["end"]] == word["word"] for word in answer["words"])


@pytest.mark.parametrize(("model", "body", "status", "word"), [
    ("tags", {"text": TEXT}, 400, "token-tagging"), ("masked", {"text": f"{TEXT} [MASK]"}, 400, "masked"),
    ("choices", {"context": "a", "choices": ["b", "c"]}, 400, "multiple-choice"),
    ("classes", {"text": TEXT, "target": "godo"}, 422, "good?"),
    ("classes", {"text": TEXT, "target": 7}, 422, "a text was expected"),
    ("classes", {"text": TEXT, "method": "magic"}, 422, "occlusion"),
    ("classes", {"rows": [TEXT, TEXT]}, 413, "one row"), ("classes", {}, 422, "rows"),
    ("classes", {"text": "the roses " * 400}, 422, "128 tokens"),
    ("answers", {**PASSAGE, "target": "Berlin"}, 422, "Berlin"),
    ("writer", {"text": TEXT}, 422, "prompt"), ("writer", {"prompt": TEXT, "target": "roses " * 600}, 413, "512"),
    ("unknown", {"text": TEXT}, 404, "no model"),
])
def test_what_cannot_be_attributed_is_refused_in_words(client, model, body, status, word):
    answer_status, answer = client.post("/v1/attribute", {"model": model, **body})
    assert (answer_status, word in answer["error"]["message"]) == (status, True), answer
    assert FOLDER.name not in str(answer)


def test_one_is_done_at_a_time_and_predictions_go_between_its_steps(client, monkeypatch):
    began, may_end = threading.Event(), threading.Event()
    steps_of = attributions.steps_of

    def slow_steps(*arguments):
        steps = steps_of(*arguments)
        while not may_end.is_set():
            began.set()
            time.sleep(0.002)
            yield
        return (yield from steps)

    monkeypatch.setattr(attributions, "steps_of", slow_steps)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/attribute", {"model": "classes",
                                                                                          "rows": [TEXT]})))
    thread.start()
    assert began.wait(30)
    status, headers, _ = client.send("POST", "/v1/attribute", {"model": "classes", "rows": [TEXT]})
    assert status == 429 and headers["retry-after"] == "2"
    expected = [row["prediction"] for row in loaded("classes").predict(tiny.texts(8))]
    assert [row["prediction"] for row in client.predict(tiny.texts(8), model="classes")] == expected
    assert not answers
    may_end.set()
    thread.join(30)
    assert answers[0][0] == 200
    monkeypatch.setattr(attributions, "MAX_SECONDS", 0.05)
    may_end.clear()
    status, answer = client.post("/v1/attribute", {"model": "classes", "rows": [TEXT]})
    assert status == 504 and "took more than" in answer["error"]["message"]
    may_end.set()
    monkeypatch.undo()
    assert attribute(client, "classes", {"text": TEXT})["words"]
