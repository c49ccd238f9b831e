"""Push a model to a hub of models: its files as one commit, private unless it is said otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from headstart.errors import Exit, UserError
from headstart.models.loading.sources import is_model_file, root_cause
from headstart.progress import Reporter
from headstart.shipping.shipment import CARD, Shipment, shipment_of

NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?/[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?", re.ASCII)
REVISION = re.compile(r"[\w][\w./-]*", re.ASCII)
ANSWER_SECONDS = 20  # that the hub has for its first answer
LOG_IN = "Log in with: hf auth login (or set HF_TOKEN to a token that may write)."
# Errors of the network that are no OSError come from one of these, another in each version of the hub's library.
TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "hf_xet")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Destination:
    """Where a model goes: OWNER/NAME, a branch of it, whether all may read it, and whether a model there is replaced.
    """

    name: str
    revision: str | None = None
    public: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or ".." in self.name or "--" in self.name:
            raise UserError(f"OWNER/NAME was expected (letters, digits, - _ .), but it is {self.name!r:.80}.",
                            fix="For example: headstart push requests-run my-team/requests")
        if self.revision is not None and (not REVISION.fullmatch(self.revision) or ".." in self.revision):
            raise UserError(f"--revision takes the name of a branch, but it is {self.revision!r:.80}.",
                            fix="For example: --revision v2")


def push(reference: str, destination: Destination, *, message: str | None = None, with_examples: bool = False,
         reporter: Reporter | None = None) -> str:
    """Push the model of a run, or a model folder that headstart saved; the address that it has then.

    The model card, safetensors, tokenizer and headstart.json go; checkpoints, predictions and rows stay. The token is
    the one that the hub's own library finds. Raises UserError: 66 for what is no finished model, 69 for a hub that
    cannot be had or says no, 73 for a model that is there already, 77 for rows, or a public repository unasked.
    """
    reporter = reporter or Reporter()
    shipment = shipment_of(reference, with_examples=with_examples, only_own=True)
    if CARD not in shipment.paths:
        raise UserError(f"{reference} has no model card ({CARD}).", fix="Write one: what it does, from which data.",
                        exit=Exit.NO_INPUT)
    hub = Hub(destination)
    stale = hub.prepare(shipment, reporter)
    for line in shipment.summary(with_examples=with_examples):
        reporter.info(line)
    if stale:
        reporter.info(f"removed there, as they are of another model: {', '.join(stale)}")
    return hub.commit(shipment, stale, message or "A model made with headstart", reporter)


class Hub:
    """One repository of the hub, asked through the hub's own library."""

    def __init__(self, destination: Destination) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        from huggingface_hub import HfApi, constants, get_token

        if constants.HF_HUB_OFFLINE:
            raise UserError("The hub is not asked: HF_HUB_OFFLINE is set.", fix="Unset it to push.",
                            exit=Exit.UNAVAILABLE)
        if get_token() is None:
            raise UserError("There is no token for the hub.", fix=LOG_IN, exit=Exit.UNAVAILABLE)
        self.destination = destination
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="headstart")
        self.parent: str | None = None

    def prepare(self, shipment: Shipment, reporter: Reporter) -> list[str]:
        """Make repository and branch where they are not there; the files there that are of another model.

        Raises UserError (69, 73, 77).
        """
        destination = self.destination
        repository = self.ask(self.api.model_info, destination.name, timeout=ANSWER_SECONDS, missing_is_none=True)
        if repository is None:
            self.ask(self.api.create_repo, destination.name, private=not destination.public, exist_ok=False)
        elif not repository.private and not destination.public:
            raise UserError(f"{destination.name} exists and is public: everybody could read the model.",
                            fix="Push to another name, or say --public.", exit=Exit.REFUSED)
        elif repository.private and destination.public:
            reporter.warning(f"{destination.name} exists and is private; it stays so (its settings on the hub open it)")
        if destination.revision is not None:
            self.ask(self.api.create_branch, destination.name, branch=destination.revision, exist_ok=True)
        branch = self.ask(self.api.model_info, destination.name, revision=destination.revision, timeout=ANSWER_SECONDS)
        self.parent = branch.sha
        names = [file.rfilename for file in branch.siblings or ()]
        if "config.json" in names and not destination.overwrite:
            place = destination.revision or "the main branch"
            raise UserError(f"{destination.name} holds a model already ({place}).", exit=Exit.EXISTS,
                            fix="Push to another name or a new --revision, or pass --overwrite: its files are replaced "
                                "by a new commit, and stay in its history.")
        return [name for name in names if name not in shipment.names and "/" not in name
                and (is_model_file(name) or name.endswith(".bin"))]

    def commit(self, shipment: Shipment, stale: Sequence[str], message: str, reporter: Reporter) -> str:
        """All files as one commit; the address. Raises UserError (69)."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        destination = self.destination
        operations = [*(CommitOperationAdd(name, path) for name, path in shipment.paths.items()),
                      *(CommitOperationAdd(name, text.encode()) for name, text in shipment.texts.items()),
                      *(CommitOperationDelete(name) for name in stale)]
        self.ask(self.api.create_commit, destination.name, operations, commit_message=message,
                 revision=destination.revision, parent_commit=self.parent)
        pushed = self.ask(self.api.model_info, destination.name, revision=destination.revision)
        names = {file.rfilename for file in pushed.siblings or ()}
        if missing := sorted(shipment.names - names):  # a .gitignore there leaves files out without a word
            raise UserError(f"{destination.name} lacks {missing[0]} after the commit.",
                            fix="Does a .gitignore of the repository leave it out?", exit=Exit.UNAVAILABLE)
        reporter.info(f"pushed to {destination.name}, {'private' if pushed.private else 'public'}, commit "
                      f"{str(pushed.sha)[:12]}")
        branch = f"/tree/{destination.revision}" if destination.revision else ""
        return f"{self.api.endpoint}/{destination.name}{branch}"

    def ask(self, call: Callable[..., Answer], *arguments: Any, missing_is_none: bool = False, **options: Any) -> Any:
        """What the hub answers; its refusals in words. Raises UserError (69, 73)."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return call(*arguments, **options)
        except RepositoryNotFoundError as error:
            if missing_is_none and error.response.status_code == 404:
                return None
            raise self.refusal(error.response.status_code, error.server_message) from None
        except Exception as error:
            if (in_words := self.in_words(error)) is None:
                raise
            raise in_words from None

    def in_words(self, error: BaseException | None) -> UserError | None:
        """An error of the hub or of the network, or one that it was raised from; None for a fault of ours."""
        from huggingface_hub.errors import HfHubHTTPError

        place = self.api.endpoint
        while error is not None:
            if isinstance(error, HfHubHTTPError):
                return self.refusal(error.response.status_code, error.server_message)
            if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in TRANSPORTS:
                return UserError(f"The hub cannot be reached at {place} ({root_cause(error)}).", exit=Exit.UNAVAILABLE,
                                 fix="Check the network, and HF_ENDPOINT where it is set.")
            if isinstance(error, ValueError):
                return UserError(f"{place} answers otherwise than a hub does ({root_cause(error)}).",
                                 fix="Check HF_ENDPOINT, or update huggingface_hub.", exit=Exit.UNAVAILABLE)
            error = error.__cause__
        return None

    def refusal(self, status: int, reason: str | None) -> UserError:
        """What the hub's status says."""
        name, reply = self.destination.name, f" It says: {' '.join(reason.split())[:200]}." if reason else ""
        if status == 401:
            return UserError(f"The hub does not know the token, or it may not see {name}.{reply}", fix=LOG_IN,
                             exit=Exit.UNAVAILABLE)
        if status == 403:
            return UserError(f"The token may not write to {name}.{reply}", exit=Exit.UNAVAILABLE,
                             fix="Use a token with the right to write, and an owner that you belong to.")
        if status == 404:
            return UserError(f"The hub has no {name}, or this token may not see it.{reply}", fix=LOG_IN,
                             exit=Exit.UNAVAILABLE)
        if status in (409, 412):
            return UserError(f"{name} was changed meanwhile, or another has the name.{reply}", fix="Push again.",
                             exit=Exit.EXISTS)
        return UserError(f"The hub refused {name} (status {status}).{reply}", fix="Try again later.",
                         exit=Exit.UNAVAILABLE)
