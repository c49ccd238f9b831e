"""The one look of everything that a notebook shows: a few rules that are read on light and on dark pages, no script.

Colours are those of the page itself, or half transparent, so that no ground has to be known. Where a viewer takes the
rules away, as some do, what is left is plain text and tables.
"""

from __future__ import annotations

STYLE = """<style>
.headstart-view{line-height:1.45;max-width:64em;overflow-x:auto}
.headstart-view .lines{white-space:pre-wrap}
.headstart-view .warns{border-left:3px solid #d08a00;padding-left:.5em}
.headstart-view .faint{opacity:.7}
.headstart-view a{color:inherit}
.headstart-view table{border-collapse:collapse;margin:.5em 0;font-variant-numeric:tabular-nums}
.headstart-view caption{caption-side:top;text-align:left;font-weight:600;padding:.2em 0;color:inherit}
.headstart-view tr{background:none}
.headstart-view :is(th,td){text-align:left;vertical-align:top;padding:.2em .9em .2em 0;
border-bottom:1px solid rgba(128,128,128,.35)}
.headstart-view .n{text-align:right;white-space:nowrap}
.headstart-view .track{display:inline-block;position:relative;width:9em;height:.7em;border-radius:.2em;
background:rgba(128,128,128,.25)}
.headstart-view .track i{position:absolute;top:0;bottom:0;border-radius:.2em;background:#4a86d8}
.headstart-view .track b{position:absolute;top:-.15em;bottom:-.15em;width:2px;background:currentColor}
.headstart-view .token{border:1px solid rgba(128,128,128,.5);border-radius:3px;padding:0 .3em;margin:0 .15em .15em 0;
display:inline-block;white-space:pre}
</style>"""
NO_FORMULAS = "tex2jax_ignore mathjax_ignore"  # a notebook would set what stands between two dollar signs as a formula


def view(content: str) -> str:
    """HTML in the shared style; whoever makes `content` has escaped it."""
    return f'{STYLE}<div class="headstart-view {NO_FORMULAS}">{content}</div>'


def share_bar(share: float) -> str:
    """A share from 0 to 1 as a bar."""
    return f'<span class="track"><i style="left:0;width:{percent(share)}%"></i></span>'


def interval_bar(value: float, low: float, high: float) -> str:
    """A value from 0 to 1 as a mark in the bar of its interval."""
    width = max(0.0, min(1.0, high) - max(0.0, low))
    return (f'<span class="track"><i style="left:{percent(low)}%;width:{percent(width)}%"></i>'
            f'<b style="left:{percent(value)}%"></b></span>')


def percent(share: float) -> str:
    """A share from 0 to 1 in per cent, cut to that range."""
    return f"{100 * min(1.0, max(0.0, share)):.1f}"
