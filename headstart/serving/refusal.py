"""Why a request is refused, as an HTTP status and words: what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from headstart.contract import Json
from headstart.errors import DataError, Exit, UserError, out_of_memory
from headstart.serving.engine import DeadlineExceeded, EngineClosed, QueueFull

KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
         405: "invalid_request_error", 408: "timeout_error", 411: "invalid_request_error", 413: "too_large_error",
         415: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error",
         499: "client_closed_error", 500: "server_error", 503: "unavailable_error", 504: "timeout_error"}
MAX_LISTED_ROWS = 100  # faults of rows that one answer lists


@dataclass
class Refusal(Exception):
    """A request that is not answered; `rows` are the faults of single rows, `param` is the field to blame.

    `retry_after` is in seconds.
    """

    status: int
    message: str
    fix: str = ""
    param: str | None = None
    code: str | None = None
    rows: Sequence[Mapping[str, Json]] = field(default_factory=tuple)
    retry_after: float | None = None

    @property
    def reason(self) -> str:
        """What was wrong, in a word, for the log."""
        return self.code or KINDS[self.status]

    def json(self) -> dict[str, Json]:
        """The body of the answer, in the form of OpenAI's errors with `fix` and `rows` beside."""
        text = f"{self.message} {self.fix}".strip()
        error: dict[str, Json] = {"message": text, "type": KINDS[self.status], "param": self.param, "code": self.code}
        if self.fix:
            error["fix"] = self.fix
        if self.rows:
            error["rows"] = [dict(row) for row in self.rows[:MAX_LISTED_ROWS]]
            error["faulty_rows"] = len(self.rows)
        return {"error": error}


def own_fault() -> Refusal:
    """What a client learns of a fault of ours: none of its details."""
    return Refusal(500, "This is a fault of headstart, not of your request.",
                   "The server's log says where the details are; please report them.")


def row_refusal(rows: Sequence[Mapping[str, Json]]) -> Refusal:
    """The refusal for faults of rows: the first in full."""
    first = rows[0]
    count = f" (+ {len(rows) - 1:,} more, in error.rows)" if rows[1:] else ""
    text = f"Row {first['row']}: {first['message']}{count}"
    return Refusal(422, text, str(first.get("fix") or ""), f"rows[{int(first['row']) - 1}]",
                   str(first["code"]) if first.get("code") else None, rows)


def of_error(error: BaseException, columns: Sequence[str] = ()) -> Refusal | None:
    """What an error says to the client; None for a fault of ours. `columns` are those of the rows that were read."""
    match error:
        case Refusal():
            return error
        case QueueFull():
            return Refusal(429, "Too many rows are waiting.", "Try again later, or send fewer at once.",
                           retry_after=error.retry_after)
        case DeadlineExceeded():
            return Refusal(504, "The request was not answered in time.",
                           "Send fewer rows at once, or start the server with a longer --deadline.")
        case EngineClosed():
            return Refusal(503, "The server is shutting down.", "Try again in a moment.", retry_after=1)
        case DataError():
            return of_data_error(error, columns)
        case UserError():
            status = 503 if error.exit == Exit.UNAVAILABLE else 422
            return Refusal(status, error.message, client_words(error.fix))
    if isinstance(error, Exception) and out_of_memory(error):
        return Refusal(503, "There is not enough memory for this.", "Send fewer or shorter rows.", retry_after=1)
    return None


def refusal_for(error: Exception, report_bug: Callable[[Exception], object]) -> Refusal:
    """What the client is told of any error; a fault of ours goes to `report_bug`."""
    refusal = of_error(error)
    if refusal is None:
        report_bug(error)
        return own_fault()
    return refusal


def of_data_error(error: DataError, columns: Sequence[str]) -> Refusal:
    """Faults of rows, each with its number from 1, its field, and how to mend it."""
    faults = [finding for finding in error.findings if finding.level == "fault"]
    if not faults or any(finding.row is None for finding in faults):
        return Refusal(422, error.message)
    return row_refusal([
        {"row": (finding.row or 0) + 1, "field": column_name(columns, finding.column), "code": finding.code,
         "message": finding.message, "fix": request_words(finding.fix)} for finding in faults])


def column_name(columns: Sequence[str], number: int | None) -> str | None:
    """The column of a number from 1; None where there is none."""
    return columns[number - 1] if number is not None and 1 <= number <= len(columns) else None


def client_words(fix: str) -> str:
    """How to mend a request; "" where that names a flag of a command, which a client does not have."""
    return "" if "--" in fix else fix


def request_words(fix: str) -> str:
    """How to mend a row, without the flags of commands that read files."""
    return "Fill it in, or leave the row out." if "--" in fix else fix
