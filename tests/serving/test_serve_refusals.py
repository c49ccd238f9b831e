"""Whatever a client sends, it gets a status and words, never a fault of ours; and whoever may not come in stays out."""

import json
import random
import socket
import threading
import time

import pytest
from clients import loaded, serving, until
from listeners import Messages

from headstart.progress import Reporter
from headstart.serving.body import Bounds
from headstart.serving.engine import EngineClosed, Limits, QueueFull
from headstart.serving.gate import Admission
from headstart.serving.server import Place
from headstart.serving.service import Service

TOKEN = "a-token-of-the-tests-0123"
BOUNDS = Bounds(body_bytes=200_000, rows=50, tokens=2_000, characters=90_000, nesting=8, body_seconds=0.5)
PREDICT = "/v1/predict"
GOOD = {"model": "classes", "rows": [{"text": "the roses"}]}


@pytest.fixture(scope="module")
def lines():
    return Messages()


@pytest.fixture(scope="module")
def client(lines):
    models = {kind: loaded(kind) for kind in ("classes", "answers", "choices", "tags", "writer")}
    with serving(models, service=Service(Limits(), BOUNDS), reporter=Reporter(lines)) as open_client:
        yield open_client


def rows(*values, model="classes"):
    return {"model": model, "rows": list(values)}


BAD_BODIES = {  # name: (body, status, a word of the message)
    "empty": (b"", 400, "empty"),
    "blank": (b" \n", 400, "empty"),
    "not JSON": (b"text=hello", 400, "not JSON"),
    "cut off": (b'{"rows": [{"text": "a"', 400, "not JSON"),
    "trailing comma": (b'{"rows": [{"text": "a"},]}', 400, "not JSON"),
    "two values": (b'{"rows": []} {}', 400, "not JSON"),
    "single quotes": (b"{'rows': []}", 400, "not JSON"),
    "Latin-1": ('{"rows": [{"text": "caf\u00e9"}]}'.encode("latin-1"), 400, "not UTF-8"),
    "UTF-16": ('{"rows": [{"text": "a"}]}'.encode("utf-16"), 400, "not UTF-8"),
    "a raw control character": (b'{"rows": [{"text": "a\x00b"}]}', 400, "not JSON"),
    "NaN": (b'{"rows": [{"text": NaN}]}', 400, "NaN"),
    "Infinity": (b'{"rows": [{"text": -Infinity}]}', 400, "Infinity"),
    "1e999": (b'{"rows": [{"text": 1e999}]}', 400, "beyond"),
    "ten thousand digits": (b'{"rows": [{"text": ' + b"9" * 10_000 + b"}]}", 400, "number"),
    "a list": ([{"text": "a"}], 400, "a list"),
    "a text": (b'"the roses"', 400, "a text"),
    "null": (b"null", 400, "null"),
    "a number": (b"7", 400, "a number"),
    "nested lists": (b'{"rows": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "deep"),
    "a bomb of lists": (b"[" * 90_000 + b"]" * 90_000, 400, "deep"),
    "a bomb of objects": (b'{"a":' * 30_000 + b"1" + b"}" * 30_000, 400, "deep"),
    "a name twice": (b'{"rows": [{"text": "a", "text": "b"}]}', 400, "twice"),
    "a lone surrogate": (b'{"model": "classes", "rows": [{"text": "half \\ud83d"}]}', 400, "half a character"),
    "a lone surrogate as a name": (b'{"rows": [{"\\udc00": "a"}]}', 400, "half a character"),
    "a body that is too large": (b'{"rows": [{"text": "' + b"a" * 300_000 + b'"}]}', 413, "200,000"),
    "a text that is too long": (rows({"text": "the roses " * 10_000}), 413, "90,000 characters"),
    "no rows": ({"model": "classes"}, 422, "rows"),
    "rows are null": ({"model": "classes", "rows": None}, 422, "nothing came"),
    "rows are an object": ({"model": "classes", "rows": {"text": "a"}}, 422, "a list of rows"),
    "rows are a text": ({"model": "classes", "rows": "the roses"}, 422, "a list of rows"),
    "empty rows": (rows(), 422, "the list is empty"),
    "a row of nothing": (rows({}), 422, "no 'text'"),
    "too many rows": (rows(*[{"text": "a"}] * 51), 413, "50"),
    "too many tokens": (rows(*[{"text": "the roses " * 60}] * 30), 413, "2,000"),
    "a row is null": (rows(None), 422, "null"),
    "a row is a number": (rows({"text": "a"}, 7), 422, "Row 2"),
    "a row is a list": (rows(["the roses"]), 422, "a list"),
    "a text is null": (rows({"text": None}), 422, "no 'text'"),
    "a text is a number": (rows({"text": 7}), 422, "a number"),
    "a text is true": (rows({"text": True}), 422, "true or false"),
    "a text is a list": (rows({"text": ["a"]}), 422, "a list"),
    "a text is an object": (rows({"text": {"a": "b"}}), 422, "an object"),
    "a text is empty": (rows({"text": "a"}, {"text": ""}), 422, "Row 2"),
    "a text is blank": (rows({"text": " \n "}), 422, "Row 1"),
    "an unknown field": (rows({"txt": "a"}), 422, "Did you mean text?"),
    "an unknown field of the request": (GOOD | {"temperature": 1}, 422, "temperature"),
    "a field beside the rows": (GOOD | {"text": "a"}, 422, "text"),
    "an unknown model": (GOOD | {"model": "clases"}, 404, "Did you mean classes?"),
    "no model of several": ({"rows": GOOD["rows"]}, 422, "several"),
    "a model is a number": (GOOD | {"model": 7}, 422, "a name"),
    "a model is a list": (GOOD | {"model": ["classes"]}, 422, "a name"),
    "no passage": (rows({"question": "Who?"}, model="answers"), 422, "no 'passage'"),
    "a text for a task of two": (rows("Who?", model="answers"), 422, "an object of fields"),
    "choices are a text": (rows({"context": "a", "choices": "b"}, model="choices"), 422, "a list"),
    "choices are numbers": (rows({"context": "a", "choices": [1, None]}, model="choices"), 422, "Row 1"),
    "one choice": (rows({"context": "a", "choices": ["b"]}, model="choices"), 422, "Row 1"),
    "tags without a text": (rows({"spans": []}, model="tags"), 422, "none of"),
    "tokens of objects": (rows({"tokens": [{"a": 1}]}, model="tags"), 422, "Row 1"),
    "messages of numbers": (rows({"messages": [1, 2]}, model="writer"), 422, "Row 1"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_in_words(client, name):
    body, status, word = BAD_BODIES[name]
    answer_status, answer = client.post(PREDICT, body)
    assert (answer_status, word in answer["error"]["message"]) == (status, True), answer
    assert answer["error"]["type"] and client.post(PREDICT, GOOD)[0] == 200


WRITING = ("stop", "n", "seed", "max_tokens", "stream", "temperature", "top_p", "stream_options", "echo")
PARAMETERS = {PREDICT: ("rows", "text"), "/v1/embeddings": ("input", "encoding_format", "dimensions"),
              "/v1/completions": ("prompt", *WRITING), "/v1/chat/completions": ("messages", *WRITING),
              "/v1/rerank": ("query", "documents", "top_n", "return_documents")}


def test_no_garbled_body_is_a_fault_of_ours(client):
    rng, statuses = random.Random(0), set()
    values = [None, 0, 1, -0.0, "", "a", [], [[]], {}, {"a": [1]}, True, 2**80, "\u202e\x00", ["a", None], ["a"]]
    for _ in range(300):
        path = rng.choice(list(PARAMETERS))
        body = {"model": rng.choice(["classes", "writer", "answers", "writer", 7])}
        body |= {name: rng.choice(values) for name in rng.sample(PARAMETERS[path], rng.choice((1, 2)))}
        content = bytearray(json.dumps(body).encode())
        if rng.random() < 0.3:
            content[rng.randrange(len(content))] = rng.randrange(256)
        status, _, answer = client.send("POST", path, bytes(content))
        statuses.add(status)
        assert status < 500, (path, bytes(content), answer)
    assert {200, 400, 422} <= statuses


def test_every_faulty_row_is_named(client):
    _, answer = client.post(PREDICT, rows({"text": "a"}, {"text": ""}, {"text": "b"}, {"text": " "}))
    assert [(row["row"], row["field"], row["code"]) for row in answer["error"]["rows"]] == [(2, "text", "E201"),
                                                                                          (4, "text", "E201")]
    _, answer = client.post(PREDICT, rows(*[7] * 50))
    assert answer["error"]["faulty_rows"] == 50 and answer["error"]["param"] == "rows[0]"


@pytest.mark.parametrize(("method", "path", "headers", "status"), [
    ("GET", "/v1/nothing", {}, 404), ("GET", PREDICT, {}, 405), ("DELETE", "/health", {}, 405),
    ("OPTIONS", PREDICT, {"Origin": "http://evil.example"}, 403), ("BREW", "/health", {}, 405),
    ("GET", "/../../etc/passwd", {}, 404), ("GET", "/v1/models%00", {}, 404), ("GET", "//health", {}, 404),
    ("POST", PREDICT, {"Content-Type": "text/plain"}, 415), ("POST", PREDICT, {"Content-Type": None}, 415),
    ("POST", PREDICT, {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ("POST", PREDICT, {"Host": "evil.example"}, 403), ("POST", PREDICT, {"Host": "127.0.0.1.evil.example"}, 403),
    ("POST", PREDICT, {"Origin": "http://evil.example"}, 403), ("POST", PREDICT, {"Origin": "null"}, 403),
])
def test_other_paths_methods_hosts_and_pages_are_refused(client, method, path, headers, status):
    answer_status, answer_headers, content = client.send(method, path, GOOD if method == "POST" else None, headers)
    assert answer_status == status and json.loads(content)["error"]["message"]
    assert not any(name.startswith("access-control") for name in answer_headers)
    assert "unsafe" not in answer_headers["content-security-policy"] and answer_headers["cache-control"] == "no-store"


def test_a_body_that_never_ends_is_cut_off(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 1000\r\n\r\n{")
        assert b" 408 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_body_without_a_length_is_bounded_too(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(4):
            connection.sendall(chunk)
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_the_log_has_a_line_for_each_request_and_never_its_text(client, lines):
    client.post(PREDICT, rows({"text": "the secret roses"}))
    client.post(PREDICT, rows({"text": "the secret roses", "secret": "roses"}))
    client.get("/secret\u001b[31m".replace("\u001b", "%1b"))
    time.sleep(0.05)
    good, bad, unknown = lines.texts[-3:]
    assert "POST /v1/predict 200" in good and "rows=1" in good and "model=classes" in good
    assert "422" in bad and "(unknown) 404" in unknown
    assert not any("secret" in text for text in lines.texts)


def test_a_token_is_asked_for_but_by_probes():
    place = Place(port=0, admission=Admission(token=TOKEN))
    with serving({"classes": loaded("classes")}, place) as client:
        for header in (None, "", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[1:]}",
                       "Bearer caf\u00e9"):
            status, headers, content = client.send("POST", PREDICT, GOOD,
                                                   {} if header is None else {"Authorization": header})
            assert status == 401 and headers["www-authenticate"] == "Bearer" and TOKEN not in content.decode()
        for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
            assert client.get(path)[0] == 401
            assert client.get(path, Authorization=f"Bearer {TOKEN}")[0] in (200, 404)
        assert client.post(PREDICT, GOOD, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert client.get("/health")[0] == client.get("/ready")[0] == 200


def test_only_probes_are_answered_while_models_load_and_while_the_server_goes_down(client):
    for phase in ("loading", "draining"):
        client.service.phase = phase
        try:
            status, headers, content = client.send("POST", PREDICT, GOOD)
            assert status == 503 and headers["retry-after"] == "1" and json.loads(content)["error"]["code"] == phase
            assert client.get("/ready")[0] == 503 and client.get("/health")[0] == client.get("/metrics")[0] == 200
        finally:
            client.service.phase = "ready"


@pytest.mark.parametrize(("error", "status"), [(QueueFull(2.6), 429), (EngineClosed("down"), 503),
                                               (MemoryError("out"), 503), (RuntimeError("a fault of ours"), 500)])
def test_what_the_engine_cannot_do_is_told_by_its_status(client, monkeypatch, error, status):
    def submit(*arguments, **options):
        raise error

    monkeypatch.setattr(client.service.models["classes"].engine, "submit", submit)
    answer_status, headers, content = client.send("POST", PREDICT, GOOD)
    assert answer_status == status and "a fault of ours" not in content.decode()
    assert headers.get("retry-after") == {429: "3", 503: "1"}.get(status)


class HeldEngine:
    """An engine whose batches wait until `go`; `started` tells that the first has been taken."""

    def __init__(self, engine, monkeypatch):
        self.engine, self.compute = engine, engine.compute
        self.go, self.started, self.batches = threading.Event(), threading.Event(), []
        monkeypatch.setattr(engine, "compute", self.compute_later)

    def compute_later(self, work, units):
        self.started.set()
        self.go.wait(10)
        self.batches.append(len(units))
        return self.compute(work, units)


def test_a_request_that_takes_too_long_gets_504_and_others_go_on(monkeypatch):
    with serving({"classes": loaded("classes")}, service=Service(Limits(deadline=0.3))) as client:
        held = HeldEngine(client.service.models["classes"].engine, monkeypatch)
        status, answer = client.post(PREDICT, GOOD)
        assert status == 504 and "--deadline" in answer["error"]["message"]
        held.go.set()
        assert client.post(PREDICT, GOOD)[0] == 200


def test_a_full_queue_gets_429_and_when_to_come_again(monkeypatch):
    with serving({"classes": loaded("classes")}, service=Service(Limits(queue_units=2))) as client:
        held = HeldEngine(client.service.models["classes"].engine, monkeypatch)
        first = threading.Thread(target=client.post, args=(PREDICT, GOOD))
        first.start()
        assert held.started.wait(10)
        status, headers, content = client.send("POST", PREDICT, rows(*[{"text": "the roses"}] * 3))
        held.go.set()
        first.join(10)
        assert status == 429 and int(headers["retry-after"]) >= 1 and json.loads(content)["error"]["fix"]


def test_a_client_that_goes_away_costs_no_computation(client, monkeypatch):
    held = HeldEngine(client.service.models["classes"].engine, monkeypatch)
    first = threading.Thread(target=client.post, args=(PREDICT, GOOD))
    first.start()
    assert held.started.wait(10)
    body = json.dumps(rows(*[{"text": "the roses"}] * 7)).encode()
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: held.engine.queued_units == 7)
    until(lambda: all(request.future.cancelled() for request in held.engine.queue))
    held.go.set()
    first.join(10)
    assert client.post(PREDICT, GOOD)[0] == 200 and 7 not in held.batches
