"""Rows over HTTP give what Model.predict gives, for every task and for many clients at once."""

import copy
import dataclasses
import json
import threading

import pytest
import tiny
from clients import loaded, serving
from prometheus_client.parser import text_string_to_metric_families

from headstart.serving import samples

SENTENCES = tiny.texts(40)
ROWS = {"classes": [{"text": text} for text in SENTENCES[:6]],
        "tags": [{"text": text} for text in SENTENCES[:4]],
        "answers": [{"question": "Who waters the roses?", "passage": text} for text in SENTENCES[:4]],
        "choices": [{"context": text, "choices": ["the roses.", "seven green apples.", text]} for text in SENTENCES[:4]],
        "masked": [{"text": f"{text} [MASK]"} for text in SENTENCES[:3]],
        "writer": [{"prompt": text} for text in SENTENCES[:2]]}


@pytest.fixture(scope="module")
def client():
    with serving({kind: loaded(kind) for kind in ROWS}) as open_client:
        yield open_client


def close_to(answer, expected):
    """Equal but for the last digits of numbers, which depend on what shares a batch."""
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(close_to(answer[name], expected[name]) for name in expected)
    if isinstance(expected, list | tuple):
        return len(answer) == len(expected) and all(map(close_to, answer, expected))
    return answer == (pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("kind", ROWS)
def test_every_task_answers_as_in_python(client, kind):
    expected = loaded(kind).predict(ROWS[kind])
    assert close_to(client.predict(ROWS[kind], model=kind), [dict(row) for row in expected])


def test_many_clients_each_get_their_own_predictions(client):
    plain = [[{"text": text} for text in SENTENCES[start::13]] for start in range(13)]
    choices = [[{"context": text, "choices": ["the roses.", text]} for text in SENTENCES[start:start + 2]]
               for start in range(13)]
    failures = []

    def ask(kind, rows):
        expected = [dict(row) for row in loaded(kind).predict(rows)]
        failures.extend(rows for _ in range(3) if not close_to(client.predict(rows, model=kind), expected))


    threads = [threading.Thread(target=ask, args=(kind, rows)) for kind, lists in (("classes", plain),
                                                                                    ("choices", choices))
               for rows in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    batches = client.service.metrics.registry.get_sample_value("headstart_batch_rows_count", {"model": "classes"})
    assert batches < 1 + 3 * 13 + 6 * 2  # some were shared


def test_texts_and_the_fields_of_one_row_are_short_forms(client):
    rows = client.predict([{"text": SENTENCES[0]}], model="classes")
    assert close_to(client.predict([SENTENCES[0]], model="classes"), rows)
    assert close_to(client.post("/v1/predict", {"model": "classes", "text": SENTENCES[0]})[1]["predictions"], rows)


def test_columns_of_the_training_file_are_known_too():
    model = copy.copy(loaded("classes"))
    model.task = dataclasses.replace(model.task, trained_columns={"text": ["review"]})
    with serving({"reviews": model}) as client:
        rows = client.predict([{"review": "the roses"}, {"text": "the roses"}])
        assert close_to(rows[0], rows[1])
        status, answer = client.post("/v1/predict", {"rows": [{"review": "a", "text": "b"}]})
        assert status == 422 and "named twice" in answer["error"]["message"]


def test_what_is_served_is_listed_with_its_fields_and_a_sample_that_works(client):
    cards = json.loads(client.get("/v1/models")[2])["data"]
    assert {card["id"] for card in cards} == set(ROWS)
    for card in cards:
        assert len(client.predict([card["sample"]], model=card["id"])) == 1
    answers = next(card for card in cards if card["id"] == "answers")
    assert [field["name"] for field in answers["fields"] if field["required"]] == ["question", "passage"]


def test_the_openapi_document_shows_requests_that_work(client):
    document = json.loads(client.get("/openapi.json")[2])
    assert document["openapi"].startswith("3.1")
    requests = [schema["example"] for name, schema in document["components"]["schemas"].items()
                if name.endswith(".request")]
    assert len(requests) == len(ROWS)
    for request in requests:
        assert client.post("/v1/predict", request)[0] == 200
    assert set(document["components"]["schemas"]["answers.request"]["properties"]["rows"]["items"]["required"]) == {
        "question", "passage"}


def test_metrics_are_read_by_prometheus_own_parser(client):
    client.predict(ROWS["classes"], model="classes")
    client.post("/v1/predict", {"rows": []})
    families = {family.name: family for family in
                text_string_to_metric_families(client.get("/metrics")[2].decode())}
    samples = {(sample.name, *sorted(sample.labels.values())): sample.value
               for family in families.values() for sample in family.samples}
    assert samples["headstart_requests_total", "/v1/predict", "200"] >= 1
    assert samples["headstart_errors_total", "422"] >= 1
    assert samples["headstart_batch_tokens_count", "classes"] >= 1 and samples["headstart_queue_rows", "classes"] == 0
    info = next(sample for sample in families["headstart_model_info"].samples if sample.labels["model"] == "classes")
    assert info.labels["version"] == client.service.models["classes"].version and info.labels["precision"] == "fp32"


def test_readiness_replays_the_golden_rows(client):
    assert client.get("/ready")[0] == 200
    golden = client.service.golden["classes"]
    good = dict(golden.values[0])
    golden.values[0]["prediction"] = "another"
    status, _, body = client.get("/ready")
    golden.values[0].update(good)
    assert status == 503 and "golden rows" in json.loads(body)["error"]["message"]
    assert client.get("/ready")[0] == 200


def test_what_was_not_read_of_a_long_text_is_told(client):
    status, answer = client.post("/v1/predict", {"model": "classes", "rows": ["the roses", "the roses " * 400]})
    assert status == 200 and [row["row"] for row in answer["truncated"]] == [2] and answer["truncated"][0]["tokens"] > 500
    assert "truncated" not in client.post("/v1/predict", {"model": "classes", "rows": ["the roses"]})[1]


def test_the_detail_of_an_answer_holds_its_starts_and_ends(client):
    rows = ROWS["answers"][:2]
    status, answer = client.post("/v1/predict", {"model": "answers", "rows": rows, "detail": True})
    assert status == 200 and len(answer["details"]) == 2
    for prediction, detail in zip(answer["predictions"], answer["details"], strict=True):
        chart = detail["chart"]
        for column, name in enumerate(("start", "end")):
            assert sum(token[name] for token in chart["tokens"]) + chart["elsewhere"][column] == pytest.approx(1, abs=1e-4)
        assert chart["prediction"] == prediction["prediction"]
    assert "details" not in client.post("/v1/predict", {"model": "answers", "rows": rows, "detail": False})[1]
    assert client.post("/v1/predict", {"model": "answers", "rows": rows, "detail": "yes"})[0] == 422


@pytest.mark.parametrize(("kind", "text", "row"), [
    ("classes", "a fine\nday", {"text": "a fine\nday"}), ("answers", "Who?\nthe roses\nof her", {
        "question": "Who?", "passage": "the roses\nof her"}), ("tags", "Ada was here", {"text": "Ada was here"}),
    ("choices", "it is no such row", None), ("answers", "a question alone", None)])
def test_examples_are_the_rows_that_the_folder_keeps(kind, text, row, monkeypatch):
    model = loaded(kind)
    monkeypatch.setattr(samples, "read_metadata", lambda folder: {"golden": [{"text": text}, {"text": None}, {}]})
    assert samples.example_rows(model) == [row or samples.sample_row(model.task)]
