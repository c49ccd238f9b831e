"""The page to try a model by hand: nothing from elsewhere, text stays text, and every task's answer is drawn."""

import pytest
from chromium import CHROMIUM, Browser
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


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0", "--window-size=500,900")])
def test_each_kind_of_model_is_tried_in_a_browser(client, tmp_path, flags):
    page = Browser(tmp_path / "profile", *flags)
    try:
        page.open(f"http://127.0.0.1:{client.port}/")
        page.until("!document.getElementById('access').hidden")
        page.click("#token")
        page.type(TOKEN)
        page.press("Enter")
        page.until("document.body.dataset.ready === 'yes'")

        def ask(kind, **fields):
            page.run(f"document.getElementById('model').value = '{kind}'; "
                     "document.getElementById('model').dispatchEvent(new Event('change')); 0")
            page.click("#sample")
            for name, text in fields.items():
                page.run(f"document.getElementById('field-{name}').value = {text!r}; 0")
            page.click("#send")
            page.until("!document.getElementById('answer').hidden && !document.getElementById('send').disabled")
            assert page.run("document.documentElement.scrollWidth <= innerWidth")
            return page.run("document.getElementById('shown').textContent")

        assert "good" in ask("classes", text="<script>document.title = 'taken'</script> the roses")
        assert page.run("document.querySelectorAll('#shown meter').length") == 3
        shown = ask("tags", text="<b>the gardener</b> waters", tokens="")
        assert "<b>" in shown and page.run("document.querySelectorAll('#shown b').length") == 0
        ask("answers")
        assert page.run("document.querySelectorAll('#shown mark').length") == 1
        assert ask("writer", prompt="The gardener").startswith("The gardener")
        page.run("document.getElementById('model').value = 'classes'; "
                 "document.getElementById('model').dispatchEvent(new Event('change')); 0")
        page.click("#send")
        page.until("document.getElementById('status').className === 'wrong'")
        assert "no 'text'" in page.run("document.getElementById('status').textContent")
        assert page.run("document.title") == "headstart: try a model"
        page.screenshot(tmp_path / "page.png")
    finally:
        page.close()
