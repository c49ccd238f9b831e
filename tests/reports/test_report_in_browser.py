"""The page of a report as a browser shows it: whole at any width, used with the keyboard alone, read without its script,
dark and on paper; and, where axe-core is there, free of what keeps people out.
"""

import pytest
from chromium import AXE, CHROMIUM, Browser
from report_pages import HOSTILE, LONG, class_figures, every_figure, report, scores_of

from headstart.reports.report import render_html

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]
SMALL_TEXT = """(() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), small = [];
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || element.closest("script, style") || !element.getBoundingClientRect().width) continue;
    const scale = element.closest("svg") ? element.getScreenCTM().d || 1 : 1;
    const size = parseFloat(getComputedStyle(element).fontSize) * Math.abs(scale);
    if (size < 11.99 && !/rotate/.test(element.getAttribute("transform") || "")) small.push(`${element.tagName} ${size}`);
  }
  return small; })()"""
CUT = """[...document.querySelectorAll(".matrix-box, .matrix-box table, .heat-box > .wide")]
  .filter((box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1).length"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("browser") / "profile")
    yield opened
    opened.close()


def show(browser, path, width=1280, dark=False, script=True, media=""):
    """Open a page at a width; its errors are collected anew."""
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    browser.call("Emulation.setEmulatedMedia", media=media, features=[
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
    browser.call("Emulation.setScriptExecutionDisabled", value=not script)
    browser.console_errors.clear()
    browser.open("about:blank")
    browser.open(f"file://{path}")


def written(tmp_path, content):
    """The page of a report as a file."""
    path = tmp_path / "report.html"
    path.write_text(render_html(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("count", [2, 6, 8, 77, 1000])
def test_a_matrix_is_never_cut(browser, count, width, tmp_path):
    show(browser, written(tmp_path, report(class_figures([f"a label {number} of many" for number in range(count)]))), width)
    assert browser.run('document.querySelectorAll(".matrix-box table, .heat-box svg").length') == 1
    assert browser.run(CUT) == 0 and browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.console_errors == []


@pytest.mark.parametrize("text", [HOSTILE, LONG, "مرحبا بالعالم هذا اختبار"])
def test_any_text_reads_on_a_phone(browser, text, tmp_path):
    figures = [*every_figure(text), *class_figures([text, *"bcdefg"])]
    scores = scores_of(test=0.9, dev=0.8)
    scores |= {f"test/{text}": scores["test"]}
    show(browser, written(tmp_path, report(figures, scores=scores, card=f"# {text}", title=text)), 360)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(CUT) == 0 and browser.run(SMALL_TEXT) == [] and browser.run("document.title") == " ".join(
        text.replace("\u2028", "\ufffd").split())
    assert browser.console_errors == []


def test_the_page_of_a_run_is_used_with_the_keyboard_alone(browser, trained_run):
    show(browser, trained_run[0] / "report.html")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth") and browser.console_errors == []
    browser.run("document.querySelector('#per_class th:nth-child(2) button').focus()")
    browser.press("Enter")
    rows = "[...document.querySelectorAll('#per_class tbody tr')].map((row) => Number(row.cells[1].textContent))"
    assert browser.run(rows) == sorted(browser.run(rows), reverse=True)
    browser.press("Enter")
    assert browser.run(rows) == sorted(browser.run(rows))
    assert browser.run("document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"
    for figure in ("loss", "threshold"):
        browser.run(f"document.querySelector('#{figure} input').focus()")
        reading = f"document.querySelector('#{figure} output').textContent"
        before = browser.run(reading)
        browser.press("ArrowLeft")
        after = browser.run(reading)
        assert after and after != before and browser.run("document.activeElement.getAttribute('aria-valuetext')") == after
    shown = "[...document.querySelectorAll('#errors li')].filter((item) => !item.hidden).length"
    count = browser.run("document.querySelectorAll('#errors li').length")
    assert browser.run(shown) == min(5, count)


def test_a_list_is_leafed_through_searched_and_narrowed(browser, tmp_path):
    items = [{"text": f"text {number}", "title": f"row {number}", "fields": {}, "group": "ab"[number % 2]}
             for number in range(12)]
    (figure,) = [figure for figure in every_figure("x") if figure.kind == "texts"]
    figure.data["items"][:] = items
    show(browser, written(tmp_path, report([figure])))
    visible = "[...document.querySelectorAll('#texts li')].filter((item) => !item.hidden).map((item) => item.innerText)"
    assert [text.split("\n")[0] for text in browser.run(visible)] == [f"row {number}" for number in range(5)]
    browser.click("#texts .tools button:last-child")
    assert browser.run("document.querySelector('#texts output').textContent") == "6 to 10 of 12"
    browser.run("document.querySelector('#texts input').focus()")
    browser.type("text 11")
    assert len(browser.run(visible)) == 1
    browser.run("document.querySelector('#texts input').value = ''; const kind = document.querySelector('#texts select');"
                "kind.value = 'b'; kind.dispatchEvent(new Event('change'))")
    assert browser.run("document.querySelector('#texts output').textContent") == "1 to 5 of 6"


def test_a_shaded_matrix_is_read_by_its_lists(browser, tmp_path):
    labels = [f"label {number}" for number in range(12)]
    figures = class_figures(labels)
    show(browser, written(tmp_path, report(figures)))
    browser.run("const lists = document.querySelectorAll('.heat-box select'); lists[0].value = 3; lists[1].value = 3;"
                "lists[1].dispatchEvent(new Event('change'))")
    confusion = figures[1].data["values"]
    assert browser.run("document.querySelector('.heat-box output').textContent") == (
        f"{confusion[3][3]} of {sum(confusion[3])} rows")


def test_without_its_script_and_on_paper_everything_reads(browser, trained_run, tmp_path):
    path = trained_run[0] / "report.html"
    show(browser, path, script=False)
    dom = browser.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    hidden = browser.call("DOM.querySelectorAll", nodeId=dom, selector="[hidden], button, input, .tools")["nodeIds"]
    assert hidden == []
    show(browser, path, media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details')].every((details) => details.open)")
    assert browser.run("[...document.querySelectorAll('li[hidden]')].every((item) => item.offsetHeight > 0)")
    assert browser.run("[...document.querySelectorAll('.wide')].every((box) => box.scrollHeight <= box.clientHeight + 1)")
    assert len(browser.call("Page.printToPDF")["data"]) > 50_000


def test_the_page_is_light_or_dark_as_the_reader_wants(browser, trained_run):
    colours = []
    for dark in (False, True):
        show(browser, trained_run[0] / "report.html", dark=dark)
        colours.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(251, 250, 247)", "rgb(21, 23, 27)"]


@pytest.mark.skipif(not AXE, reason="needs axe-core (HEADSTART_AXE=…/axe.min.js)")
@pytest.mark.parametrize("width, dark", [(1280, False), (360, True)])
def test_axe_finds_nothing_in_any_figure(browser, width, dark, tmp_path, trained_run):
    figures = [*every_figure("roses"), *class_figures([f"label {number}" for number in range(77)])]
    for path in (trained_run[0] / "report.html", written(tmp_path, report(figures, card="# A card\n\n- one"))):
        show(browser, path, width, dark)
        browser.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert browser.violations() == []
