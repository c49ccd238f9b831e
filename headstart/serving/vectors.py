"""Vectors of texts in OpenAI's form (/v1/embeddings), and documents ordered by a model of pairs (/v1/rerank)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headstart.contract import Json, Prediction
from headstart.prediction.embed import embed
from headstart.retrieval.answering.reranker import RELEVANT_LABELS
from headstart.serving.answers import json_response, wait_for
from headstart.serving.body import read_json
from headstart.serving.parameters import Parameters, in_words
from headstart.serving.refusal import Refusal
from headstart.serving.served_model import ServedModel, Work
from headstart.serving.service import Service


@dataclass(frozen=True)
class Embedding(Work):
    """Vectors of length 1 of texts: the mean of their token states."""

    name: str
    batch_tokens: int
    transformer: Any = field(compare=False)

    def compute(self, units: Sequence[str]) -> list[Any]:
        """A vector for each text."""
        return [vector for table in embed(self.transformer, units, normalise=True, batch_tokens=self.batch_tokens)
                for vector in table]


def embeds(served: ServedModel) -> bool:
    """Whether the model is an encoder, whose states are those of whole texts; an exported one gives no states."""
    return served.model.exported is None and bool(served.model.transformer.info.family.kinds[0] == "encoder")


async def embeddings(service: Service, request: Request) -> Response:
    """POST /v1/embeddings."""
    parameters = Parameters(await read_json(request, service.bounds),
                            ("model", "input", "encoding_format", "dimensions"))
    served = service.find(parameters.values.get("model"))
    request.state.model = served.name
    if not embeds(served):
        reason = "is no encoder" if served.model.exported is None else "is exported with its head alone"
        raise Refusal(400, f"{served.name} ({served.model.transformer.info.family_name}) {reason}; it gives no "
                      "vectors of texts.", "Serve an encoder for them.", "model")
    texts = parameters.texts("input", service.bounds.rows)
    width = served.model.transformer.info.width
    if parameters.values.get("dimensions", width) != width:
        raise Refusal(400, f"dimensions: vectors of {served.name} have {width}, but "
                      f"{in_words(parameters.values['dimensions'])} came.", "Leave it out.", "dimensions")
    form = parameters.values.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise Refusal(422, f"encoding_format: float or base64 was expected, but {form!r:.40} came.", "Send one.",
                      "encoding_format")
    tokens = await service.read(count_tokens, served, texts)
    request.state.rows, request.state.tokens = len(texts), sum(tokens)
    work = Embedding(served.name, served.limits.batch_tokens, served.model.in_precision())
    vectors = await wait_for(request, served.submit(work, texts, tokens), service.limits.deadline)
    return json_response({"object": "list", "model": served.name, "usage": usage(sum(tokens)), "data": [
        {"object": "embedding", "index": index, "embedding": vector_json(vector, str(form))}
        for index, vector in enumerate(vectors)]})


def count_tokens(served: ServedModel, texts: Sequence[str]) -> list[int]:
    """Tokens of each text, special ones included; raises Refusal (413) for too many together."""
    tokenizer = served.model.transformer.tokenizer
    special = len(tokenizer.with_special_tokens([])[0])
    tokens = [len(tokenizer.tokenize(text).ids) + special for text in texts]
    served.check_tokens(sum(tokens))
    return tokens


def vector_json(vector: Any, form: str) -> Json:
    """A vector as numbers, or as its float32 bytes (little-endian) in base64."""
    if form == "float":
        numbers: list[float] = vector.tolist()
        return numbers
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def usage(tokens: int) -> dict[str, Json]:
    """Tokens that were read."""
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def relevant_label(served: ServedModel) -> str | None:
    """Which label says that a document answers; None for a model that cannot order documents, "" for one that gives a
    number.
    """
    task = served.model.task
    if not served.reads_pairs:
        return None
    if task.name == "regression":
        return ""
    labels = {name.lower(): name for name in reversed(task.learned.labels)}
    label = next((labels[name] for name in RELEVANT_LABELS if name in labels), None)
    return label if task.name == "text-classification" else None


async def rerank(service: Service, request: Request) -> Response:
    """POST /v1/rerank: {"query", "documents", "top_n"} as documents with scores, best first."""
    parameters = Parameters(await read_json(request, service.bounds),
                            ("model", "query", "documents", "top_n", "return_documents"))
    served = service.find(parameters.values.get("model"))
    request.state.model = served.name
    label = relevant_label(served)
    if label is None:
        raise Refusal(400, f"{served.name} does not say whether a document answers: it is for "
                      f"{served.model.task.name}.", "Serve a model of pairs whose labels are relevant, yes, true, 1 …, "
                      "or one that gives pairs a number.", "model")
    query = parameters.values.get("query")
    if not isinstance(query, str) or not query.strip():
        raise Refusal(422, f"query: a text was expected, but {in_words(query)} came.", 'Send "query": "…".', "query")
    texts = document_texts(parameters.values.get("documents"), service.bounds.rows)
    most = parameters.whole_number("top_n", 1, 2**31) or len(texts)
    with_texts = parameters.flag("return_documents")
    prepared = await service.read(served.prepare, [{"text": query, "pair": text} for text in texts])
    request.state.rows, request.state.tokens = len(texts), sum(prepared.tokens)
    predictions = await wait_for(request, served.predict(prepared), service.limits.deadline)
    scores = [relevance(prediction, label) for prediction in predictions]
    order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))[:most]
    return json_response({"model": served.name, "usage": usage(sum(prepared.tokens)), "results": [
        {"index": index, "relevance_score": scores[index], **({"document": {"text": texts[index]}} if with_texts else
                                                              {})} for index in order]})


def document_texts(documents: Json, most: int) -> list[str]:
    """Documents as texts; raises Refusal (413, 422)."""
    if not isinstance(documents, list) or not documents:
        raise Refusal(422, f"documents: a list of texts was expected, but {in_words(documents)} came.",
                      'Send "documents": ["…", "…"].', "documents")
    if len(documents) > most:
        raise Refusal(413, f"documents: {most:,} at most were expected, but {len(documents):,} came.",
                      "Send them in several requests.", "documents")
    texts: list[str] = []
    for index, document in enumerate(documents):
        text = document.get("text") if isinstance(document, dict) else document
        if isinstance(text, str) and text.strip():
            texts.append(text)
        else:
            raise Refusal(422, f"documents[{index}]: a text was expected, but {in_words(text)} came.", "Send a text.",
                          f"documents[{index}]")
    return texts


def relevance(prediction: Prediction, label: str) -> float:
    """How well a document answers: the probability of a label, or the number that was predicted."""
    return float(prediction.values["probabilities"][label] if label else prediction.values["prediction"])
