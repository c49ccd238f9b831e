"""The page to try a model by hand: nothing from elsewhere, text stays text, and every task's answer is drawn."""

import copy
import dataclasses

import pytest
from chromium import AXE, CHROMIUM, Browser
from clients import loaded, serving

from headstart.serving.app import PAGE_FILES
from headstart.serving.gate import Admission
from headstart.serving.server import Place

TOKEN = "the-token-of-the-page"


@pytest.fixture(scope="module")
def client():
    kinds = ("classes", "tags", "answers", "writer")
    with serving({kind: loaded(kind) for kind in kinds}, Place(port=0, admission=Admission(token=TOKEN))) as open_client:
        yield open_client


@pytest.mark.parametrize("path", PAGE_FILES)
def test_the_page_loads_nothing_from_elsewhere_and_needs_no_token_itself(client, path):
    status, headers, content = client.get(path)
    assert status == 200 and headers["content-security-policy"].startswith("default-src 'none'")
    text = content.decode().replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in text and "https:" not in text
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick="):
        assert word not in text


HOSTILE = ["<img src=x onerror=document.title='taken'>", "\u202edesrever", "x" * 300]


def hostile_model():
    """Its labels are markup, a text written from right to left, and one long word; it abstains, and texts are cut."""
    model = copy.copy(loaded("classes"))
    learned = dataclasses.replace(model.task.learned, labels=tuple(HOSTILE))
    model.task = model.task.with_learned(learned.with_value("abstention", {
        "risk": 0.05, "certainty": 0.95, "threshold": 0.999, "rows": 100, "coverage": 0.5, "selective_risk": 0.0,
        "risk_bound": 0.05}))
    return model


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(("width", "flags"), [(1280, ()), (500, ("--blink-settings=preferredColorScheme=0",)), (360, ())])
def test_each_kind_of_model_is_tried_in_a_browser(client, tmp_path, width, flags):
    if "hostile" not in client.service.models:
        client.service.add("hostile", hostile_model())
    page = Browser(tmp_path / "profile", *flags)
    try:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=1200, deviceScaleFactor=1, mobile=False)
        page.open(f"http://127.0.0.1:{client.port}/")
        page.until("!document.getElementById('access').hidden")
        page.click("#token")
        page.type(TOKEN)
        page.press("Enter")
        page.until("document.body.dataset.ready === 'yes'")

        def text(selector):
            return page.run(f"document.querySelector({selector!r}).textContent")

        def choose(kind, fields):
            page.run(f"document.getElementById('model').value = '{kind}'; "
                     "document.getElementById('model').dispatchEvent(new Event('change')); 0")
            for name, value in fields.items():
                page.run(f"document.getElementById('field-{name}').value = {value!r}; 0")

        def until_done():
            page.until("!document.getElementById('send').disabled")
            assert page.run("document.documentElement.scrollWidth <= innerWidth")

        def ask(kind, **fields):
            choose(kind, fields)
            page.click("#send")
            until_done()
            assert page.run("!document.getElementById('answer').hidden"), text("#status")
            return text("#shown")

        def explain():
            page.click("#explain")
            until_done()
            assert page.run("document.querySelectorAll('#words .word').length"), text("#status")
            return text("#words")

        assert "good" in ask("classes", text="<script>document.title = 'taken'</script> the roses")
        assert page.run("document.querySelectorAll('#shown meter').length") == 3
        assert "<script>" in explain()
        page.run("document.getElementById('label').value = 'bad'; 0")
        assert "'bad'" in explain()
        shown = ask("tags", text="<b>the gardener</b> waters")
        assert "<b>" in shown and page.run("document.querySelectorAll('#shown b').length") == 0
        assert page.run("document.getElementById('why').hidden") and "token-tagging" in text("#unexplained")
        assert "It begins at" in ask("answers") and "passage" in explain()
        assert page.run("document.querySelectorAll('#shown mark').length") == 1
        assert ask("writer", prompt="The gardener").startswith("The gardener") and "continuation" in explain()
        shown = ask("hostile", text="\u05e9\u05dc\u05d5\u05dd the roses " * 200)
        assert HOSTILE[0] in shown and "abstains" in shown and "tokens of it were left out" in shown
        assert page.run("document.querySelectorAll('#shown img, #about img, #label img').length") == 0
        assert page.run("getComputedStyle(document.getElementById('field-text')).direction") == "rtl"
        choose("classes", {"text": ""})
        page.press("Tab")
        page.click("#send")
        page.until("document.getElementById('status').className === 'wrong'")
        assert "no 'text'" in text("#status") and page.run("document.title") == "headstart: try a model"
        assert not AXE or page.violations() == []
        assert not [error for error in page.console_errors if "status of 4" not in error]
    finally:
        page.close()
