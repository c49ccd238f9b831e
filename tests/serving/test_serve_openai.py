"""Writing, vectors and re-ranking in OpenAI's form give what Python gives; what cannot be asked is refused in words."""

import base64
import json
import struct

import pytest
import tiny_writers
from clients import loaded, serving

from headstart.api.backbone import load_backbone
from headstart.api.model import load
from headstart.serving.writing import StopFilter

PROMPT = "The gardener waters"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tiny_writers.model_folder("t5", tmp_path_factory.mktemp("t5") / "t5")
    models = {kind: loaded(kind) for kind in ("writer", "classes", "pairs")}
    with serving(models | {"source": load(folder, device="cpu")}) as open_client:
        yield open_client


def write(client, **body):
    status, answer = client.post("/v1/completions", {"model": "writer", **body})
    assert status == 200, answer
    return answer


def stream(client, path, body):
    """The events of a stream, the last of which says that it is done."""
    status, headers, content = client.send("POST", path, {"model": "writer", "stream": True, **body})
    assert status == 200 and headers["content-type"].startswith("text/event-stream"), content
    lines = [line.removeprefix("data: ") for line in content.decode().split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_prompt_is_continued_as_in_python_and_tokens_are_counted(client):
    expected = loaded("writer").generate([PROMPT, "my sister"], max_new_tokens=9)
    answer = write(client, prompt=[PROMPT, "my sister"], max_tokens=9)
    assert [choice["text"] for choice in answer["choices"]] == [row["prediction"] for row in expected]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    prompt_tokens = sum(len(loaded("writer").encode([text])[0].ids) for text in (PROMPT, "my sister"))
    assert answer["usage"] == {"prompt_tokens": prompt_tokens, "completion_tokens": 18,
                               "total_tokens": prompt_tokens + 18}
    assert answer["choices"][0]["finish_reason"] == "length"


def test_sampling_is_repeated_by_its_seed_whatever_runs_beside(client):
    sampled = {"prompt": PROMPT, "max_tokens": 8, "temperature": 1.3, "top_p": 0.9, "n": 3}
    first, second = write(client, seed=5, **sampled), write(client, seed=5, **sampled)
    texts = [choice["text"] for choice in first["choices"]]
    assert texts == [choice["text"] for choice in second["choices"]] and len(set(texts)) > 1
    expected = loaded("writer").generate([PROMPT], seed=5, max_new_tokens=8, do_sample=True, temperature=1.3, top_p=0.9,
                                         num_return_sequences=3)
    assert texts == [row["prediction"] for row in expected]
    assert texts != [choice["text"] for choice in write(client, seed=6, **sampled)["choices"]]
    greedy = write(client, prompt=PROMPT, max_tokens=8, temperature=0)["choices"][0]["text"]
    assert greedy == write(client, prompt=PROMPT, max_tokens=8)["choices"][0]["text"]


def test_a_stream_is_the_text_in_pieces(client):
    whole = write(client, prompt=PROMPT, max_tokens=12)
    events = stream(client, "/v1/completions", {"prompt": PROMPT, "max_tokens": 12,
                                                "stream_options": {"include_usage": True}})
    assert "".join(choice["text"] for event in events for choice in event["choices"]) == whole["choices"][0]["text"]
    assert len(events) > 2 and events[-1]["usage"] == whole["usage"]
    assert [choice["finish_reason"] for event in events for choice in event["choices"]][-1] == "length"


def test_writing_stops_before_a_stop_text_streamed_or_not(client):
    whole = write(client, prompt=PROMPT, max_tokens=12)["choices"][0]["text"]
    stop = whole[4:7]
    answer = write(client, prompt=PROMPT, max_tokens=12, stop=[stop, "never there"])
    assert answer["choices"][0]["text"] == whole[:whole.index(stop)]
    assert answer["choices"][0]["finish_reason"] == "stop"
    events = stream(client, "/v1/completions", {"prompt": PROMPT, "max_tokens": 12, "stop": stop})
    assert "".join(choice["text"] for event in events for choice in event["choices"]) == whole[:whole.index(stop)]


def test_no_piece_shows_a_part_of_a_stop_text():
    for stop, text in ((("abc",), "xxabxabcd"), (("aab", "b!"), "aaab!"), (("end",), "en"), ((), "abc")):
        stop_filter = StopFilter(stop)
        starts = [text.index(word) for word in stop if word in text]
        whole = text[:min(starts)] if starts else text
        shown = "".join(stop_filter.feed(character) for character in text)
        assert whole.startswith(shown) and shown + stop_filter.rest(whole) == whole


def test_a_source_is_written_from_as_in_python(client):
    expected = client.service.models["source"].model.generate(["seven green apples"], max_new_tokens=6)[0]["prediction"]
    answer = write(client, model="source", prompt="seven green apples", max_tokens=6)
    assert answer["choices"][0]["text"] == expected
    events = stream(client, "/v1/completions", {"model": "source", "prompt": "seven green apples", "max_tokens": 6})
    assert "".join(choice["text"] for event in events for choice in event["choices"]) == expected


def test_a_conversation_is_laid_out_as_the_model_was_trained(client):
    model = loaded("writer")
    task = model.task
    try:
        model.task = task.with_learned(task.learned.with_value("layout", "prompt"))
        expected = model.generate(["count the roses"], max_new_tokens=7)[0]["prediction"]
        body = {"model": "writer", "messages": [{"role": "user", "content": "count the roses"}], "max_tokens": 7}
        status, answer = client.post("/v1/chat/completions", body)
        assert status == 200 and answer["choices"][0]["message"] == {"role": "assistant", "content": expected}
        parts = {**body, "messages": [{"role": "user", "content": [{"type": "text", "text": "count the roses"}]}]}
        assert client.post("/v1/chat/completions", parts)[1]["choices"] == answer["choices"]
        events = stream(client, "/v1/chat/completions", body)
        assert "".join(choice["delta"]["content"] for event in events for choice in event["choices"]) == expected
    finally:
        model.task = task


def test_vectors_are_those_of_python_as_numbers_and_as_base64(client):
    folder = client.service.models["classes"].model.reference
    expected = load_backbone(folder, device="cpu").embed(["the roses", "a young doctor counts"], normalise=True)
    body = {"model": "classes", "input": ["the roses", "a young doctor counts"]}
    _, answer = client.post("/v1/embeddings", body)
    for row, vector in zip(answer["data"], expected, strict=True):
        assert row["embedding"] == pytest.approx(vector.tolist(), abs=1e-5)
    _, packed = client.post("/v1/embeddings", {**body, "encoding_format": "base64", "dimensions": len(expected[0])})
    first = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack(f"<{len(first) // 4}f", first) == pytest.approx(expected[0].tolist(), abs=1e-5)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 4
    assert len(client.post("/v1/embeddings", {"model": "classes", "input": "one text"})[1]["data"]) == 1


def test_documents_are_ordered_by_how_well_they_answer(client):
    documents = ["the old captain", "an unpaid bill", "seven green apples"]
    rows = loaded("pairs").predict([{"text": "Who?", "pair": document} for document in documents])
    status, answer = client.post("/v1/rerank", {"model": "pairs", "query": "Who?", "documents": documents})
    assert status == 200
    scores = {row["index"]: row["relevance_score"] for row in answer["results"]}
    assert [scores[index] for index in range(3)] == pytest.approx([row["probabilities"]["yes"] for row in rows], abs=1e-5)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    _, best = client.post("/v1/rerank", {"model": "pairs", "query": "Who?", "documents": [{"text": text} for text in
                                                                                       documents],
                                         "top_n": 1, "return_documents": True})
    assert [row["document"]["text"] for row in best["results"]] == [documents[answer["results"][0]["index"]]]


C, H, E, R = "/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"
WRITER = {"model": "writer", "prompt": PROMPT}
ASKED = {"model": "writer", "messages": [{"role": "user", "content": "hi"}]}
RANKED = {"model": "pairs", "query": "Who?", "documents": ["a"]}


@pytest.mark.parametrize(("path", "body", "status", "word"), [
    (C, {"model": "writer"}, 422, "prompt"), (C, WRITER | {"prompt": ""}, 422, "an empty text"),
    (C, WRITER | {"prompt": []}, 422, "an empty list"), (C, WRITER | {"prompt": [1, 2]}, 422, "1 came"),
    (C, WRITER | {"prompt": ["a"] * 65}, 413, "64"), (C, WRITER | {"prompt": "the roses " * 400}, 422, "at most fit"),
    (C, WRITER | {"max_tokens": 0}, 422, "max_tokens"), (C, WRITER | {"max_tokens": 1.5}, 422, "max_tokens"),
    (C, WRITER | {"max_tokens": True}, 422, "max_tokens"), (C, WRITER | {"max_tokens": 10**6}, 422, "takes"),
    (C, WRITER | {"temperature": -1}, 422, "temperature"), (C, WRITER | {"temperature": "hot"}, 422, "temperature"),
    (C, WRITER | {"top_p": 0}, 422, "top_p"), (C, WRITER | {"top_p": 1.1}, 422, "top_p"),
    (C, WRITER | {"n": 2}, 422, "temperature"), (C, WRITER | {"n": 99, "temperature": 1}, 422, "n: "),
    (C, WRITER | {"seed": -1}, 422, "seed"), (C, WRITER | {"stop": [""]}, 422, "stop"),
    (C, WRITER | {"stop": ["a"] * 17}, 413, "stop"), (C, WRITER | {"stream": "yes"}, 422, "stream"),
    (C, WRITER | {"stream": True, "prompt": ["a", "b"]}, 422, "one text"),
    (C, WRITER | {"stream_options": {"include_usage": True}}, 422, "needs stream"),
    (C, WRITER | {"stream": True, "stream_options": 7}, 422, "stream_options"),
    (C, WRITER | {"tempereture": 1}, 400, "Did you mean temperature?"), (C, WRITER | {"logprobs": 5}, 400, "logprobs"),
    (C, WRITER | {"echo": True}, 400, "echo"), (C, WRITER | {"frequency_penalty": 0.5}, 400, "frequency_penalty"),
    (C, WRITER | {"model": "classes"}, 400, "writes no text"), (C, WRITER | {"model": "x"}, 404, "no model"),
    (H, ASKED, 400, "no chat template"), (H, ASKED | {"model": "source"}, 400, "no chat template"),
    (H, ASKED | {"model": "classes"}, 400, "writes no text"), (H, ASKED | {"tools": [{}]}, 400, "tools"),
    (E, {"model": "classes"}, 422, "input"), (E, {"model": "classes", "input": [""]}, 422, "an empty text"),
    (E, {"model": "classes", "input": [[1, 2]]}, 422, "a list"),
    (E, {"model": "classes", "input": "a", "encoding_format": "int8"}, 422, "base64"),
    (E, {"model": "classes", "input": "a", "dimensions": 3}, 400, "dimensions"),
    (E, {"model": "writer", "input": "a"}, 400, "no encoder"), (E, {"model": "source", "input": "a"}, 400, "no encoder"),
    (R, RANKED | {"model": "classes"}, 400, "does not say"), (R, RANKED | {"query": " "}, 422, "query"),
    (R, RANKED | {"documents": []}, 422, "documents"), (R, RANKED | {"documents": ["a", 7]}, 422, "documents[1]"),
    (R, RANKED | {"documents": ["a"] * 2000}, 413, "documents"), (R, RANKED | {"top_n": 0}, 422, "top_n"),
])
def test_what_cannot_be_asked_is_refused_in_words(client, path, body, status, word):
    answer_status, answer = client.post(path, body)
    assert (answer_status, word in answer["error"]["message"]) == (status, True), answer


@pytest.mark.parametrize("messages", [None, [], "hi", [7], [{"role": "user"}], [{"role": "tool", "content": "a"}],
                                      [{"role": "user", "content": ""}], [{"role": "user", "content": [{"type": "image"}]}],
                                      [{"role": ["user"], "content": "a"}], [{"role": "assistant", "content": "a"}],
                                      [{"role": "user", "content": "a", "tool_calls": []}]])
def test_messages_that_ask_for_nothing_are_refused(client, messages):
    model = loaded("writer")
    task = model.task
    try:
        model.task = task.with_learned(task.learned.with_value("layout", "prompt"))
        status, answer = client.post(H, {"model": "writer", "messages": messages})
    finally:
        model.task = task
    assert status == 422 and "messages" in answer["error"]["message"]


def test_a_reader_that_goes_away_ends_the_writing(client, monkeypatch):
    import socket
    import time

    body = json.dumps({**WRITER, "stream": True, "max_tokens": 100}).encode()
    engine = client.service.models["writer"].engine
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert b"data: " in connection.recv(4096) + connection.recv(4096)
    end = time.monotonic() + 10
    while engine.queued_units:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert write(client, prompt=PROMPT, max_tokens=2)["choices"]
