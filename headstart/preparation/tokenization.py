"""How a model's tokenizer reads the user's texts, checked before anything is trained on them."""

from __future__ import annotations

from headstart.contract import Tokenizer
from headstart.data.checks.tokenization import check_tokens
from headstart.errors import DataError, findings_text
from headstart.preparation.dataset import Dataset
from headstart.progress import Reporter


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
