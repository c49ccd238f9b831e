"""How a model's tokenizer reads the user's texts, checked before anything is trained on them."""

from __future__ import annotations

from headstart.contract import Tokenizer
from headstart.data.checks.tokenization import check_tokens
from headstart.errors import DataError, UserError, findings_text
from headstart.models.loading.catalogue import check_head
from headstart.models.loading.default_model import default_model
from headstart.models.loading.family_tokenizer import load_head_tokenizer
from headstart.models.loading.model_info import model_info
from headstart.models.loading.sources import resolve
from headstart.preparation.dataset import Dataset
from headstart.preparation.first_row import first_row, unread_first_row
from headstart.progress import Reporter
from headstart.settings.run_settings import RunSettings
from headstart.tasks.shared.sequence_to_sequence import with_config_prefix


def check_tokenization(dataset: Dataset, tokenizer: Tokenizer, model: str, reporter: Reporter, *, strict: bool) -> None:
    """Add to a dataset what the tokenizer of `model` does with its texts, and say it.

    Raises DataError for texts that the model can hardly read, and with `strict` for warnings.
    """
    locations = {name: examples.place for name, examples in dataset.splits.items()}
    findings, shares = check_tokens(dataset.task, dataset.splits, locations, tokenizer, model)
    dataset.check.findings += findings
    dataset.check.tokenization = shares
    faults = [finding for finding in findings if finding.level == "fault"]
    warnings = [finding for finding in findings if finding.level == "warning"]
    if faults or (warnings and strict):
        raise DataError(faults or warnings)
    if findings:
        reporter.warning(findings_text(findings))


def look_at_tokens(settings: RunSettings, dataset: Dataset) -> list[str]:
    """Check how the model's tokenizer reads the texts, the default model's where none is named, and keep the first row
    as it reads it; says what was done.

    Raises DataError for texts that the model can hardly read, UserError for a named model that cannot be had, or that
    cannot have the task's head.
    """
    task, examples = dataset.task, dataset.splits["train"]
    try:
        reference = settings.model or default_model(task).reference
        if settings.model is None:
            resolve(reference, network=False)  # a check fetches nothing that was not named
        info = model_info(reference, allow_pickle=settings.allow_pickle)
        kind = task.head_for(info.family.kinds[0]).kind
        check_head(info.family, kind, reference)
        tokenizer = load_head_tokenizer(info, kind)
    except UserError:
        if settings.model is not None:
            raise
        dataset.first_row = unread_first_row(task, examples)
        return ["tokens: not checked, because no model is named and no default model is installed (--model REF "
                "names one)",
                *dataset.first_row.words()]
    if settings.data.max_length is not None:
        tokenizer = tokenizer.with_max_length(min(tokenizer.max_length, settings.data.max_length))
    dataset.first_row = first_row(with_config_prefix(task, info.config), examples, tokenizer, reference, settings.seed)
    check_tokenization(dataset, tokenizer, reference, Reporter(), strict=False)
    return [f"tokens: as {reference} reads the texts", *dataset.first_row.words()]
