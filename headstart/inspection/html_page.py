"""The page of an inspection: one html file, no network, every character of the user's escaped.

Shapes: M layers with attention, H heads, N layers with states, T tokens.
"""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError
from headstart.files import write_text
from headstart.inspection.page_policy import page_policy
from headstart.inspection.page_views import View, stacks_of, views_of

if TYPE_CHECKING:
    from headstart.inspection.attribution import Attribution
    from headstart.inspection.inspection import Inspection, TargetInspection

MAX_PAGE_BYTES = 24_000_000  # a page beyond this opens slowly


def write_page(inspection: Inspection, path: Path, attribution: Attribution | None = None) -> Path:
    """Write the page whole or not at all; raises UserError (65 for more numbers than a page can show, 74)."""
    write_text(path, render_page(inspection, attribution), "Choose another place.")
    return path


def render_page(inspection: Inspection, attribution: Attribution | None = None) -> str:
    """The whole page."""
    check_size(inspection)
    style, script = resource("inspect.css"), resource("inspect.js")
    stacks, views = stacks_of(inspection), views_of(inspection)
    words = None if attribution is None else {"words": [{"score": round(score, 5)} for _, score in attribution.words]}
    payload = {"stacks": [stack.payload() for stack in stacks], "views": [view.payload() for view in views],
               "attribution": words}
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c")  # so that nothing can end the script
    parts = [("prediction", "Attribution of the prediction", prediction_part(attribution)) if attribution is not None
             else None, ("attention", "Attention", ATTENTION) if views else None,
             ("states", "Hidden states", STATES), ("tables", "In tables", tables_part(inspection, views))]
    sections = [part for part in parts if part is not None]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    body = "".join(f'<section id="{name}"><h2>{title}</h2>{content}</section>' for name, title, content in sections)
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f'content="{page_policy(style, script)}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>A look inside '
            f'{escape(inspection.model)}</title>'
            f'<style>{style}</style></head><body><header><h1>A look inside</h1><p '
            f'class="meta">{escape(meta_text(inspection))}</p>{side_choice(inspection)}'
            '<div class="chips" id="chips" role="group" aria-label="Tokens: choose one to follow it"></div><nav '
            f'aria-label="Parts">{links}</nav></header>'
            f'<main>{body}</main><p class="quiet" id="live" aria-live="polite"></p><footer>Made by headstart. '
            'Attention is drawn on a square-root '
            f'scale in 256 steps; the exact numbers: headstart inspect … --to F.npz.</footer>'
            f'<script type="application/json" id="data">{data}</script><script>{script}</script></body></html>\n')


ATTENTION = """<p>Each square is one head: rows are tokens, columns the tokens they attend to; a stronger colour is a larger weight. Choose a head, then a token.</p>
<div class="bar"><label>Layer <select id="layer"></select></label><label>Head <select id="head"></select></label></div>
<div class="two"><div class="left"><div class="card"><h3>All heads</h3><div class="heads" id="heads" role="grid" aria-label="All heads; arrow keys move"></div>
<div class="legend"><span>0</span><canvas data-ramp="ramp" width="256" height="1" aria-hidden="true"></canvas><span>1, square-root scale</span></div></div>
<div class="card"><h3>Lines from each token to those it attends to</h3><div class="scroll" id="lines" tabindex="0"></div></div></div>
<div class="card"><h3 id="head-name"></h3><div class="scroll"><canvas class="map" id="attention-map" tabindex="0" role="img"
aria-label="Attention of the chosen head; arrow keys read its cells"></canvas></div><p class="reading" id="attention-text" aria-live="polite"></p></div></div>"""

STATES = """<p>Where the tokens lie after each layer, and how alike their states are.</p>
<div class="bar"><label>After <input type="range" id="depth" min="0" step="1" aria-describedby="depth-name"></label><b id="depth-name" aria-live="polite"></b>
<label><input type="checkbox" id="special"> show special tokens</label></div>
<div class="two even"><div class="card"><h3>Map of the tokens</h3><svg id="scatter" viewBox="0 0 620 460" role="img"
aria-label="Tokens on the two principal components of this layer"></svg><p class="note" id="spread"></p><p class="reading" id="nearest"></p></div>
<div class="card"><h3>Similarity of every two tokens</h3><div class="scroll"><canvas class="map" id="similarity-map" tabindex="0" role="img"
aria-label="Cosine of every two tokens; arrow keys read its cells"></canvas></div>
<div class="legend"><span id="low"></span><canvas data-ramp="ramp" width="256" height="1" aria-hidden="true"></canvas><span>1, cosine</span></div></div></div>
<div class="card" id="layer-similarity"><h3>How much each layer changes a token</h3><p class="note">Cosine of a token's state before and after each layer; where the colour is weak,
the layer changed it much.</p><div class="scroll"><canvas class="map" id="layer-similarity-map" tabindex="0" role="img"
aria-label="Cosine of each token's state before and after each layer; arrow keys read its cells"></canvas></div>
<div class="legend"><span id="layer-similarity-low"></span><canvas data-ramp="ramp" width="256" height="1" aria-hidden="true"></canvas><span>1, cosine</span></div></div>"""


def resource(name: str) -> str:
    """A file of the page."""
    return files("headstart.inspection").joinpath("page", name).read_text(encoding="utf-8")


def escape(value: object) -> str:
    """Text that means nothing to html."""
    return html.escape(str(value), quote=True)


def meta_text(inspection: Inspection) -> str:
    """The model, and how much of it is shown."""
    target = inspection.target
    source_name = "tokens" if target is None else "tokens of the source"
    parts = [inspection.model, side_text(len(inspection.tokens), source_name, inspection.layers, inspection.heads)]
    if target is not None:
        parts.append(side_text(len(target.tokens), "of the target", target.layers, target.heads))
    return " · ".join(parts)


def side_text(count: int, tokens: str, layers: tuple[int, ...], heads: tuple[int, ...]) -> str:
    """12 tokens, layers 0–6, heads 1–12."""
    return f"{count} {tokens}, layers {number_ranges(layers)}, heads {number_ranges(heads)}"


def side_choice(inspection: Inspection) -> str:
    """Which side of an encoder-decoder is shown, with its target; "" for other models."""
    target = inspection.target
    if target is None:
        return ""
    origin = "The model wrote this target itself" if target.written_by_model else "The target, as given"
    return (f'<p class="target">{origin} (log p {target.log_probability:.3f}): <b>{escape(target.text)}</b></p>'
            '<div class="bar"><label>Look at <select id="view"></select></label><span id="view-note" '
            'class="note"></span></div>')


def number_ranges(numbers: tuple[int, ...]) -> str:
    """(0, 1, 2, 5) as "0–2, 5"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in ranges)


def check_size(inspection: Inspection) -> None:
    """Refuse a page that no browser would open soon, with what would help."""
    target = inspection.target
    numbers = inspection.attentions.size + len(inspection.layers) * len(inspection.tokens) ** 2
    tokens = f"{len(inspection.tokens)} tokens"
    if target is not None:
        numbers += target.attentions.size + target.cross_attentions.size + len(target.layers) * len(target.tokens) ** 2
        tokens += f" and {len(target.tokens)} of the target"
    page_bytes = numbers * 4 / 3
    if page_bytes > MAX_PAGE_BYTES:
        raise UserError(f"The page would have {page_bytes / 1e6:.0f} MB ({tokens}, "
                        f"{inspection.attentions.shape[0]} x {inspection.attentions.shape[1]} "
                        f"heads); it can have {MAX_PAGE_BYTES / 1e6:.0f}.",
                        fix="Choose fewer layers or heads (--only-layers 1,6,12), or a shorter text.", exit=Exit.DATA)


def prediction_part(attribution: Attribution) -> str:
    """The words, to be tinted by the script, and their scores as a table."""
    rows = "".join(f'<tr><th scope="row">{escape(word.text)}</th><td>{word.part}</td><td '
                   f'class="n">{score:+.4f}</td></tr>'
                   for word, score in sorted(attribution.words, key=lambda word_score: -abs(word_score[1])))
    return (f'<p>{escape(attribution.sentence())}</p><p class="words">{text_with_words(attribution)}</p><p '
            'class="note">Blue words support it, red ones oppose it. '
            f'{escape(attribution.method_sentence())}</p><details><summary>All words</summary><table><thead><tr><th '
            'scope="col">word</th><th scope="col">of</th>'
            f'<th scope="col" class="n">score</th></tr></thead><tbody>{rows}</tbody></table></details>')


def text_with_words(attribution: Attribution) -> str:
    """The text, and its pair on a line of its own, with each word in an element for the script to tint."""
    parts, part, position = [], "text", 0
    for word, _ in attribution.words:
        text = attribution.encoded.text if word.part == "text" else attribution.encoded.pair or ""
        if word.part != part:
            parts.append("<br>")
            part, position = word.part, 0
        has_characters = word.end > word.begin  # else the tokenizer knows no characters
        gap = text[position:word.begin] if has_characters else " "
        (parts.append(f"{escape(gap)}<span "
                     f"data-word>{escape(text[max(position, word.begin):word.end] if has_characters else word.text)}</span>"))
        position = word.end
    return "".join(parts)


def tables_part(inspection: Inspection, views: list[View]) -> str:
    """Tokens and heads as tables, for readers who do not see pictures."""
    tokens = "".join(f'<tr><td class="n">{index}</td><th scope="row">{escape(token.piece)}</th><td '
                     f'class="n">{token.id}</td><td>{escape(inspection.encoded.source(token))}'
                     f'</td><td class="n">{token.segment}</td><td>{token.part or "special"}</td></tr>'
                     for index, token in enumerate(inspection.tokens))
    token_table = ('<details><summary>Tokens</summary><table><thead><tr><th scope="col" class="n">index</th><th '
                   'scope="col">piece</th><th scope="col" class="n">id</th>'
                   '<th scope="col">characters</th><th scope="col" class="n">segment</th><th '
                   f'scope="col">of</th></tr></thead><tbody>{tokens}</tbody></table></details>')
    target_part = "" if inspection.target is None else target_table(inspection.target)
    return token_table + target_part + "".join(map(head_table, views))


def target_table(target: TargetInspection) -> str:
    """What the decoder reads, and what comes next."""
    rows = "".join(f'<tr><td class="n">{index}</td><th scope="row">{escape(token.piece)}</th><td '
                   f'class="n">{token.id}</td><td>{escape(token.next_piece)}</td><td '
                   f'class="n">{token.log_probability:.4f}</td></tr>' for index, token in enumerate(target.tokens))
    return ('<details><summary>What the decoder reads and writes</summary><table><thead><tr><th scope="col" '
            'class="n">index</th><th scope="col">piece</th><th scope="col" class="n">id</th><th scope="col">next</th>'
            f'<th scope="col" class="n">log p of it</th></tr></thead><tbody>{rows}</tbody></table></details>')


def head_table(view: View) -> str:
    """What each head of a view attends to."""
    names = view.patterns[0].names
    shares = "".join(f'<th scope="col" class="n">{name}</th>' for name in names)
    heads = "".join(f'<tr><td class="n">{pattern.layer}</td><td class="n">{pattern.head}</td><td>{pattern.name}</td>'
                    + "".join(f'<td class="n">{share:.2f}</td>' for share in pattern.shares)
                    + f'<td class="n">{pattern.breadth:.1f}</td></tr>' for pattern in view.patterns)
    side = f": {escape(view.name.lower())}" if view.name else ""
    return (f'<details><summary>What each head attends to{side}</summary><table><thead><tr><th scope="col" '
            'class="n">layer</th><th scope="col" class="n">head</th>'
            f'<th scope="col">mostly</th>{shares}<th scope="col" class="n">tokens at '
            f'once</th></tr></thead><tbody>{heads}</tbody></table></details>')
