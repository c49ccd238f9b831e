"""OpenAI's own client is answered in its own types: texts, conversations, streams, vectors, models, and refusals."""

import copy
import math
import warnings

import pytest
import tiny
from clients import loaded, serving

openai = pytest.importorskip("openai")
PROMPT = "The gardener waters"


@pytest.fixture(scope="module")
def server():
    writer = copy.copy(loaded("writer"))
    writer.task = writer.task.with_learned(writer.task.learned.with_value("layout", "prompt"))
    with serving({"writer": writer, "classes": loaded("classes")}) as client:
        yield client


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0) as open_client:
        yield open_client


def checked(answer):
    """The same, once every field has the type that OpenAI publishes: the client itself takes whatever comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return type(answer).model_validate(answer.model_dump(), strict=True)


def test_texts_and_their_streams(client):
    whole = checked(client.completions.create(model="writer", prompt=[PROMPT, "my sister"], max_tokens=6, seed=3))
    expected = loaded("writer").generate([PROMPT, "my sister"], max_new_tokens=6, layout="prompt")
    assert [choice.text for choice in whole.choices] == [row["prediction"] for row in expected]
    assert whole.usage.completion_tokens == 12 and whole.choices[0].finish_reason == "length"
    with client.completions.create(model="writer", prompt=PROMPT, max_tokens=6, stream=True) as stream:
        pieces = list(stream)
    checked(pieces[-1])  # of the others finish_reason is null, as OpenAI sends it; its type says otherwise
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text


def test_conversations_and_their_streams(client):
    asked = {"model": "writer", "messages": [{"role": "user", "content": "count the roses"}], "max_completion_tokens": 7}
    whole = checked(client.chat.completions.create(**asked))
    (expected,) = loaded("writer").generate(["count the roses"], max_new_tokens=7, layout="prompt")
    assert whole.choices[0].message.content == expected["prediction"] and whole.choices[0].message.role == "assistant"
    with client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}) as stream:
        pieces = [checked(piece) for piece in stream]
    assert "".join(piece.choices[0].delta.content for piece in pieces if piece.choices) == expected["prediction"]
    assert pieces[-1].usage.total_tokens == whole.usage.total_tokens


def test_vectors_in_the_client_s_own_encoding_and_as_numbers(client):
    texts = tiny.texts(3)
    packed = checked(client.embeddings.create(model="classes", input=texts))  # it asks for base64, and unpacks it
    plain = client.embeddings.create(model="classes", input=texts, encoding_format="float")
    for first, second in zip(packed.data, plain.data, strict=True):
        assert first.embedding == pytest.approx(second.embedding, abs=1e-5)
        assert math.hypot(*first.embedding) == pytest.approx(1, abs=1e-4)


def test_models_and_refusals(client, server):
    assert [checked(model).id for model in client.models.list()] == ["writer", "classes"]
    with pytest.raises(openai.NotFoundError) as error:
        client.completions.create(model="unknown", prompt=PROMPT)
    assert error.value.code == "model_not_found" and error.value.param == "model"
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        client.completions.create(model="writer", prompt=PROMPT, logprobs=5)
    with pytest.raises(openai.UnprocessableEntityError, match="at most fit"):
        client.completions.create(model="writer", prompt="the roses " * 400)
    server.service.phase = "draining"
    try:
        with pytest.raises(openai.InternalServerError) as error:
            client.embeddings.create(model="classes", input="a")
        assert error.value.status_code == 503
    finally:
        server.service.phase = "ready"
