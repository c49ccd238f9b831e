"""What the server takes and gives, as an OpenAPI document made from the fields of the tasks that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Field, Json, Task
from headstart.prediction.zero_shot.load import NOT_MEASURED
from headstart.serving.attributions import attribution_refusal
from headstart.serving.body import Bounds
from headstart.serving.rows import input_fields, needed_fields
from headstart.serving.samples import sample_row
from headstart.serving.served_model import ServedModel
from headstart.serving.vectors import embeds, relevant_label
from headstart.serving.writing import chat_layout, writes
from headstart.version import __version__

SCHEMAS: Mapping[str, Mapping[str, Json]] = {"text": {"type": "string"}, "list": {"type": "array", "items": {}},
                                             "number": {"type": "number"}, "label": {"type": "string"}}
STATUSES = {400: "no JSON", 401: "no token", 403: "a foreign host name or page", 404: "no such model or path",
            413: "too large", 415: "no application/json", 422: "rows that cannot be used, each named",
            429: "too many requests are waiting", 503: "loading, shutting down, or out of memory",
            504: "not answered in time"}

FURTHER_PATHS: Mapping[str, tuple[str, Json]] = {  # path: what it gives, and a request
    "/v1/attribute": ("which words led to the prediction for one row", {"rows": [{"text": "a fine day"}]}),
    "/v1/embeddings": ("a vector for each text, in OpenAI's form", {"input": ["a fine day", "rain again"]}),
    "/v1/rerank": ("documents by how well they answer a query, best first",
                   {"query": "When is it open?", "documents": ["It opens at nine.", "Roses bloom in June."]}),
    "/v1/completions": ("text after a prompt, in OpenAI's form", {"prompt": "Once upon a time", "max_tokens": 20}),
    "/v1/chat/completions": ("the answer to a conversation, in OpenAI's form",
                             {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 20})}


def model_card(served: ServedModel) -> dict[str, Json]:
    """A served model: OpenAI's fields, and what its rows are."""
    task, info = served.model.task, served.model.transformer.info
    return {"id": served.name, "object": "model", "created": 0, "owned_by": "headstart", "task": task.name,
            "family": info.family_name, "labels": list(task.learned.labels), "version": served.version,
            "precision": served.predicting.predictor.precision,
            "max_length": served.model.transformer.tokenizer.max_length, "endpoints": endpoints(served),
            "fields": [field_json(field) for field in input_fields(task)
                       if field.name != "pair" or served.reads_pairs], "sample": sample_row(task),
            "examples": served.examples, "attribution_refusal": attribution_refusal(served), "notes": notes(served)}


def notes(served: ServedModel) -> list[str]:
    """What whoever reads its predictions should know: labels that it was never trained on, and when it abstains."""
    zero_shot, abstention = served.model.zero_shot, served.model.task.abstention
    lines = [] if zero_shot is None else [*zero_shot.words(), NOT_MEASURED]
    if abstention is None:
        return lines
    least = abstention.threshold
    return [*lines, "It abstains from every answer: no threshold kept its promise." if least is None else
            f"It abstains where its confidence is below {least:.3f}; of its answers at most {abstention.risk:.0%} "
            f"should be wrong, with {abstention.certainty:.0%} certainty."]


def endpoints(served: ServedModel) -> list[str]:
    """The paths that this model answers."""
    answers = {"/v1/predict": True, "/v1/attribute": not attribution_refusal(served), "/v1/embeddings": embeds(served),
               "/v1/rerank": relevant_label(served) is not None, "/v1/completions": writes(served),
               "/v1/chat/completions": chat_layout(served) is not None}
    return [path for path, is_answered in answers.items() if is_answered]


def field_json(field: Field) -> dict[str, Json]:
    """A field of a row, for the page."""
    return {"name": field.name, "type": field.type, "required": field.required, "help": field.help}


def row_schema(task: Task[Any]) -> dict[str, Json]:
    """The schema of a row of a task."""
    properties = {field.name: {**SCHEMAS[field.type], "description": field.help} for field in input_fields(task)}
    return {"type": "object", "properties": properties, "required": needed_fields(task),
            "example": sample_row(task)}


def request_schema(served: ServedModel, bounds: Bounds) -> dict[str, Json]:
    """The schema of a request to one model."""
    return {"type": "object", "required": ["rows"], "additionalProperties": False, "properties": {
        "model": {"type": "string", "enum": [served.name]},
        "rows": {"type": "array", "minItems": 1, "maxItems": bounds.rows, "items": row_schema(served.model.task)},
        "detail": {"type": "boolean", "description": "whether details behind a prediction are included"}},
        "example": {"model": served.name, "rows": [sample_row(served.model.task)]}}


def document(models: Sequence[ServedModel], bounds: Bounds) -> dict[str, Json]:
    """The whole document, OpenAPI 3.1."""
    error = {"type": "object", "properties": {"error": {"type": "object", "properties": {
        name: {"type": "string"} for name in ("message", "fix", "type", "param", "code")}}}}
    refusals = {str(status): {"description": words, "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Error"}}}} for status, words in STATUSES.items()}
    schemas = {f"{served.name}.request": request_schema(served, bounds) for served in models}
    bodies = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    predict = {"summary": "predictions of rows", "requestBody": {"required": True, "content": {"application/json": {
        "schema": bodies[0] if len(bodies) == 1 else {"oneOf": bodies}}}},
        "responses": {"200": {"description": "one prediction a row, in order"}, **refusals}}

    def get(summary: str) -> dict[str, Json]:
        return {"get": {"summary": summary, "responses": {"200": {"description": summary}}}}

    def post(summary: str, example: Json) -> dict[str, Json]:
        return {"post": {"summary": summary, "requestBody": {"required": True, "content": {"application/json": {
            "schema": {"type": "object", "example": example}}}},
            "responses": {"200": {"description": summary}, **refusals}}}

    asked_paths = {path for served in models for path in endpoints(served)}

    return {"openapi": "3.1.0", "info": {"title": "headstart serve", "version": __version__},
            "paths": {"/v1/predict": {"post": predict},
                      **{path: post(*further) for path, further in FURTHER_PATHS.items() if path in asked_paths},
                      "/v1/models": get("the models that are served"),
                      "/health": get("whether the process runs"),
                      "/ready": get("whether every model still answers as it did when it was loaded"),
                      "/metrics": get("counters in Prometheus' text form")},
            "components": {"schemas": {**schemas, "Error": error}}}
