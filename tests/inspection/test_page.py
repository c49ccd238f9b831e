"""The page of an inspection: whole, small, closed to the network, safe with any text; and it opens in a browser."""

import base64
import dataclasses
import hashlib
import html
import itertools
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import tiny
import tiny_writers
from chromium import AXE, Browser

from headstart.errors import UserError
from headstart.inspection.encode import EncodedText, Token
from headstart.inspection.html_page import render_page
from headstart.inspection.inspect import Inspection, inspect
from headstart.inspection.projection import layer_similarities, principal_maps, similarities
from headstart.prediction.probe_file import load_for_inspection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars")
HOSTILE = "</script><script>document.title='gone'</script><img src=x onerror=alert(1)> & \"roses\" 'tea' \u2028 {{7*7}}"


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return load_for_inspection(str(tiny.model_folder("bert", tmp_path_factory.mktemp("page") / "bert")),
                               device="cpu")[0]


def random_inspection(tokens=128, layers=12, heads=12, width=768, seed=0):
    """An inspection as large as one of a base-size model, from numbers of our own."""
    random = np.random.default_rng(seed)
    weights = random.gamma(0.05, size=(layers, heads, tokens, tokens)).astype(np.float32) + 1e-6
    token_list = tuple(Token(n, ["tea", "##leaf", "<b>", "茶"][n % 4], n, n + 1, 0, "text") for n in range(tokens))
    return Inspection("drawn", EncodedText("x" * tokens, None, token_list), tuple(range(layers + 1)),
                      tuple(range(1, heads + 1)),
                      random.standard_normal((layers + 1, tokens, width)).astype(np.float32),
                      weights / weights.sum(axis=-1, keepdims=True))


def payload(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))


def test_the_page_carries_every_weight_in_256_steps(bert):
    inspection = inspect(bert, "The roses can't bloom.", "Tea", layers=[0, 2], heads=[2, 4])
    data = payload(render_page(inspection))
    (stack,), (view,) = data["stacks"], data["views"]
    assert_view_holds(view, inspection.attentions)
    assert [token_data["piece"] for token_data in stack["tokens"]] == [
        token.piece for token in inspection.tokens] and view["heads"] == [2, 4] and view["attentionLayers"] == [2]
    low = np.asarray(stack["low"])[:, None, None]
    cosines = np.frombuffer(base64.b64decode(stack["similar"]), dtype=np.uint8).reshape(2, len(inspection.tokens),
                                                                                        -1) / 255 * (1 - low) + low
    assert np.abs(cosines - similarities(inspection.hidden_states)).max() <= 1 / 255
    assert len(view["patterns"]) == 2 and len(stack["maps"]) == 2 and len(stack["layerSimilarity"]) == 1


def assert_view_holds(view, weights):
    levels = np.frombuffer(base64.b64decode(view["weights"]), dtype=np.uint8).reshape(weights.shape)
    assert np.abs((levels / 255) ** 2 - weights).max() <= 1 / 255


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    folder = tiny_writers.model_folder("bart", tmp_path_factory.mktemp("page") / "bart")
    return load_for_inspection(str(folder), device="cpu")[0]


def test_the_page_of_an_encoder_decoder_has_both_sides_and_what_is_between_them(bart):
    inspection = inspect(bart, "The roses can't bloom.", target="Tea & <b>leaves</b>", heads=[1, 3])
    page = render_page(inspection)
    data = payload(page)
    assert [(stack["name"], len(stack["tokens"]), len(stack["layers"])) for stack in data["stacks"]] == [
        ("Encoder", len(inspection.tokens), 3), ("Decoder", len(inspection.target.tokens), 4)]
    assert [(view["name"], view["rows"], view["columns"]) for view in data["views"]] == [
        ("Decoder to source", 1, 0), ("Encoder", 0, 0), ("Decoder", 1, 1)]
    for view, weights in zip(data["views"], (inspection.target.cross_attentions, inspection.attentions,
                                             inspection.target.attentions), strict=True):
        assert_view_holds(view, weights)
        assert len(view["patterns"]) == len(weights) * 2
    assert "<b>leaves" not in page and "Tea &amp; &lt;b&gt;leaves" in page and 'id="view"' in page
    assert "The model wrote this target itself" in render_page(inspect(bart, "The roses"))
    without = inspect(bart, "The roses", target="Tea", attentions=False)
    assert payload(render_page(without))["views"] == []


def hostile_inspection():
    """An inspection whose model, text and pieces are all markup."""
    plain = random_inspection(3, 2, 2, 8)
    hostile_tokens = (Token(0, HOSTILE, 0, len(HOSTILE), 0, "text"), *plain.tokens[1:])
    return dataclasses.replace(plain, model=HOSTILE, encoded=EncodedText(HOSTILE, None, hostile_tokens))


def test_nothing_of_a_text_reaches_the_page_as_markup():
    page = render_page(hostile_inspection())
    assert "<img" not in page and page.count("<script") == 2 and "</script><script>document" not in page
    policy = re.search(r'content="(default-src[^"]*)"', page).group(1)
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for tag, pattern in (("style", r"<style>(.*?)</style>"), ("script", r"<script>(.*?)</script>")):
        digest = base64.b64encode(hashlib.sha256(re.search(pattern, page, re.S).group(1).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert " style=" not in page and "innerHTML" not in page and not re.search(r"(src|href)=\"?(http|//)", page)


def test_a_page_of_a_base_model_is_small_and_a_huge_one_is_refused():
    assert len(render_page(random_inspection()).encode()) < 5_000_000
    with pytest.raises(UserError, match="it can have 24") as error:
        render_page(random_inspection(tokens=400))
    assert "--only-layers" in error.value.fix


@pytest.mark.parametrize("options", [{"layers": [0]}, {"layers": [2]}, {"heads": [1]}, {"attentions": False}])
def test_a_page_of_some_layers_or_heads_is_a_page(bert, options):
    assert "</html>" in render_page(inspect(bert, "a", **options))


def test_maps_show_principal_components_and_do_not_jump(bert):
    from sklearn.decomposition import PCA

    inspection = inspect(bert, "The gardener forgets the broken card before noon.")
    ordinary = np.asarray([not token.special for token in inspection.tokens])
    maps, shares = principal_maps(inspection.hidden_states, ordinary)
    for layer, flat, share in zip(inspection.hidden_states.astype(np.float64), maps, shares, strict=True):
        plain = PCA(2).fit(layer[ordinary])
        expected = plain.transform(layer)
        assert np.allclose(share, plain.explained_variance_ratio_, atol=1e-9)
        assert np.allclose(np.linalg.norm(flat[:, None] - flat, axis=-1),
                           np.linalg.norm(expected[:, None] - expected, axis=-1), atol=1e-6)
    turned, _ = principal_maps(np.stack([inspection.hidden_states[1], -inspection.hidden_states[1]]), ordinary)
    assert np.allclose(turned[0], turned[1], atol=1e-6)


def test_similarities_are_cosines(bert):
    from sklearn.metrics.pairwise import cosine_similarity

    states = inspect(bert, "seven green apples").hidden_states
    assert np.allclose(similarities(states), [cosine_similarity(layer) for layer in states.astype(np.float64)],
                       atol=1e-9)
    assert np.allclose(layer_similarities(states), [np.diag(cosine_similarity(after, before))
                                                    for before, after in itertools.pairwise(states)], atol=1e-5)


def test_the_command_writes_a_page_beside_the_table(bert, headstart, tmp_path):
    code, stdout, stderr = headstart("inspect", bert.info.folder, "The roses.", "--page", tmp_path / "a.html")
    assert code == 0 and "roses" in stdout and "a.html" in stderr and "</html>" in (tmp_path / "a.html").read_text(
        encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def browse(path, tmp_path, *flags):
    return subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
                           *flags, f"file://{path}"],
                          capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_large_page_opens_in_two_seconds(tmp_path):
    (tmp_path / "a.html").write_text(render_page(random_inspection()), encoding="utf-8")
    process = browse(tmp_path / "a.html", tmp_path, "--dump-dom")
    ready = int(re.search(r'data-ready="(\d+)"', process.stdout).group(1))
    print(f"ready after {ready} ms")
    assert ready <= 2000 and process.stdout.count('role="gridcell"') == 144 and "CONSOLE" not in process.stderr


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("options", [{}, {"layers": [0]}, {"attentions": False}, {"layers": [2], "heads": [3]}])
def test_the_page_runs_without_a_fault_whatever_is_shown(bert, options, tmp_path):
    (tmp_path / "a.html").write_text(render_page(inspect(bert, "a", **options)), encoding="utf-8")
    process = browse(tmp_path / "a.html", tmp_path, "--dump-dom")
    assert 'data-ready="' in process.stdout and "CONSOLE" not in process.stderr


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("options", [{}, {"layers": [0]}, {"attentions": False}, {"layers": [2], "heads": [3]}])
def test_the_page_of_an_encoder_decoder_runs_at_every_choice(bart, options, tmp_path):
    page = render_page(inspect(bart, "The roses near the river.", target="Tea", **options))
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    process = browse(tmp_path / "a.html", tmp_path, "--dump-dom")
    assert 'data-ready="' in process.stdout and "CONSOLE" not in process.stderr
    choices = re.search(r'<select id="view">(.*?)</select>', process.stdout).group(1).count("<option")
    assert choices == (2 if options == {"layers": [0]} or "attentions" in options else 3)
    for choice in range(choices):  # the page opens at this one
        opened = page.replace("\nshow(0);", f"\nshow({choice});")
        script = re.search(r"<script>(.*?)</script>", opened, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        (tmp_path / "b.html").write_text(re.sub(r"script-src 'sha256-[^']*'", f"script-src 'sha256-{digest}'", opened),
                                         encoding="utf-8")
        process = browse(tmp_path / "b.html", tmp_path, "--dump-dom")
        assert 'data-ready="' in process.stdout and "CONSOLE" not in process.stderr


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_markup_in_a_text_is_shown_and_not_run(tmp_path):
    (tmp_path / "a.html").write_text(render_page(hostile_inspection()), encoding="utf-8")
    process = browse(tmp_path / "a.html", tmp_path, "--dump-dom")
    assert ('data-ready="' in process.stdout and "CONSOLE" not in process.stderr
            and "<title>A look inside &lt;/script" in process.stdout)
    broken = render_page(hostile_inspection()).replace("const data =", "const broken =")
    (tmp_path / "b.html").write_text(broken, encoding="utf-8")  # another script than the policy names does not run
    process = browse(tmp_path / "b.html", tmp_path, "--dump-dom")
    assert 'data-ready="' not in process.stdout and "CONSOLE" in process.stderr


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("scheme", [0, 1])
def test_the_page_is_drawn_light_and_dark(bert, scheme, tmp_path):
    (tmp_path / "a.html").write_text(render_page(inspect(bert, "The roses near the river.")), encoding="utf-8")
    browse(tmp_path / "a.html", tmp_path, f"--screenshot={tmp_path / 'a.png'}", "--window-size=1200,1600",
           f"--blink-settings=preferredColorScheme={scheme}")
    assert (tmp_path / "a.png").stat().st_size > 30_000


@pytest.mark.slow
@pytest.mark.skipif(not AXE, reason="needs axe-core (HEADSTART_AXE=…/axe.min.js)")
@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0", "--window-size=500,900")])
def test_axe_finds_nothing_on_the_page(bert, flags, tmp_path):
    (tmp_path / "a.html").write_text(render_page(inspect(bert, "The roses near the river.")), encoding="utf-8")
    page = Browser(tmp_path / "profile", *flags)
    try:
        page.open(f"file://{tmp_path / 'a.html'}")
        page.until("document.documentElement.outerHTML.includes('data-ready')")
        assert page.violations() == [] and page.console_errors == []
    finally:
        page.close()


def test_scored_words_stand_in_the_text_as_it_was_written(tmp_path):
    from headstart.inspection.attribution import attribute

    model = load_for_inspection(str(tiny.model_folder("roberta", tmp_path / "m", "sequence-classification",
                                                      ["no", "yes"])), device="cpu")[0]
    text, pair = "She can't  find <b>7</b> roses,\nor can she?", "Tea & apples."
    page = render_page(inspect(model, text, pair), attribute(model, text, pair, steps=4))
    words_html = re.search(r'<p class="words">(.*?)</p>', page, re.S).group(1)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", words_html).replace("<br>", "|")) == f"{text}|{pair}"
    assert len(payload(page)["attribution"]["words"]) == words_html.count("data-word") > 12
