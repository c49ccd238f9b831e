"""The corpus: every odd or bad file is read right, or refused with its place and a fix; never a traceback."""

import pytest
from corpus import FILES
from odd_file import OddFile

from headstart.cli.main import shortage
from headstart.data.examples import finding_json
from headstart.errors import Exit, UserError, findings_text
from headstart.preparation.dataset import read_dataset
from headstart.progress import Reporter
from headstart.settings.run_settings import run_settings


def verdict(odd_file: OddFile, folder):
    """The exit code, what is said, and the training examples' rows (none for a file that is refused)."""
    path = folder / odd_file.name
    if isinstance(odd_file.content, bytes):
        path.write_bytes(odd_file.content)
    else:
        odd_file.content(path)
    run_values = {"train": odd_file.named or str(path), "task": odd_file.task}
    try:
        dataset = read_dataset(run_settings({key: value for key, value in run_values.items() if value is not None},
                                            odd_file.columns, odd_file.settings), Reporter(), None, split=False)
    except (UserError, OSError) as error:
        user_error = error if isinstance(error, UserError) else shortage(error)
        assert user_error is not None
        return user_error.exit, str(user_error), None
    assert all(finding_json(finding)["message"] for finding in dataset.findings)
    return Exit.SUCCESS, "\n".join([*dataset.summary(), findings_text(dataset.findings)]), dataset.splits["train"]


@pytest.mark.parametrize("odd_file", FILES, ids=[odd_file.id for odd_file in FILES])
def test_an_odd_file_is_read_right_or_refused_in_words(odd_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exit_code, text, examples = verdict(odd_file, tmp_path)
    assert exit_code == odd_file.exit, text
    for words in odd_file.words:
        assert words in text, text
    if exit_code:
        assert "\n  " in text, f"no word on what to do: {text}"
        return
    rows = [dict(row.values) for row in (examples.rows[int(index)] for index in examples.indices[:len(odd_file.rows)])]
    assert [{name: row.get(name) for name in expected} for row, expected in zip(rows, odd_file.rows, strict=True)] == \
        list(odd_file.rows), text
    assert odd_file.count is None or len(examples) == odd_file.count, text


def test_the_corpus_is_large_and_names_each_file_once():
    names = [odd_file.name for odd_file in FILES]
    assert len(FILES) >= 300
    assert len(set(names)) == len(names)
