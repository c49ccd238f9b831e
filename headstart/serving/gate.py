"""Before and after every request: whose it is, whether it may come in, which headers it gets, and its line in the log.

An ASGI layer around the app, so that streamed answers pass through as they come.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headstart.serving.refusal import Refusal, refusal_for

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
# A probe has no token, and neither has a browser that opens the page, which asks for one; they learn nothing by these.
PAGE_PATHS = ("/", "/try.css", "/draw.js", "/try.js", "/page.css", "/page.js", "/icon.svg")
OPEN_PATHS = ("/health", "/ready", *PAGE_PATHS)
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
                               "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store"}


@dataclass(frozen=True)
class Admission:
    """Who may come in: by these host names (None: by any), and with this token (None: without one)."""

    hosts: Collection[str] | None = LOCAL_HOSTS
    token: str | None = None

    def refusal(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request may not come in: a foreign host name (DNS rebinding), another page's script, no token."""
        host = headers.get("host", "")
        if self.hosts is not None and host not in self.hosts and host.rpartition(":")[0] not in self.hosts:
            return Refusal(403, f"This server is not called {host!r:.80}.",
                           "Call it by a name that it knows, or start it with --allowed-host NAME.")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return Refusal(403, "This request comes from another page.", "Only the server's own page may ask.")
        if self.token is None or path in OPEN_PATHS:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self.token.encode()):
            return None
        came = "a wrong one" if token else "none"
        return Refusal(401, f"A token was expected, but {came} came.", "Send the header Authorization: Bearer TOKEN.")


@dataclass(frozen=True)
class RequestRecord:
    """What is known of a request once it is answered; nothing of its texts."""

    method: str
    path: str  # a path of the app; of another only that it is unknown
    status: int
    seconds: float
    rows: int | None
    tokens: int | None
    model: str | None
    code: str | None  # what was wrong, in a word

    def line(self) -> str:
        """The line of the log."""
        facts = {"rows": self.rows, "tokens": self.tokens, "model": self.model, "reason": self.code}
        details = "".join(f" {name}={value}" for name, value in facts.items() if value is not None)
        return f"{self.method} {self.path} {self.status} {self.seconds * 1000:.1f} ms{details}"


class Gate:
    """The app behind its checks.

    `refuse` says why nothing is answered now (loading, going down), `observe` gets a record of each request, and
    `report_bug` writes down a fault of our own.
    """

    def __init__(self, app: ASGIApp, admission: Admission, paths: Collection[str], *,
                 refuse: Callable[[str], Refusal | None], observe: Callable[[RequestRecord], None],
                 report_bug: Callable[[Exception], object]) -> None:
        self.app, self.admission, self.paths = app, admission, frozenset(paths)
        self.refuse, self.observe, self.report_bug = refuse, observe, report_bug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        start, path = time.monotonic(), scope["path"]
        state: dict[str, Any] = scope.setdefault("state", {})
        statuses: list[int] = []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                names = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in
                                                             HEADERS.items() if name.encode() not in names)]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self.admission.refusal(path, headers) or self.refuse(path)
        try:
            if refusal is None:
                await self.app(scope, receive, send_with_headers)
        except Exception as error:
            refusal = refusal_for(error, self.report_bug)
        if refusal is not None:
            state["code"] = refusal.reason
            if not statuses and refusal.status != 499:  # nobody listens any more
                await refusal_response(refusal)(scope, receive, send_with_headers)
        status = statuses[0] if statuses else 499
        known_path = path if path in self.paths else "(unknown)"
        method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE") else "?"
        self.observe(RequestRecord(method, known_path, status, time.monotonic() - start, state.get("rows"),
                                   state.get("tokens"), state.get("model"), state.get("code")))


def refusal_response(refusal: Refusal) -> JSONResponse:
    """A refusal as an answer."""
    headers = {} if refusal.retry_after is None else {"retry-after": f"{max(1, round(refusal.retry_after))}"}
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    if refusal.status in (408, 413, 503):
        headers["connection"] = "close"
    return JSONResponse(refusal.json(), status_code=refusal.status, headers=headers)
