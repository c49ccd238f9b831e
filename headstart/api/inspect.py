"""A look inside any model, in Python: tokens, hidden states and attentions; of an encoder-decoder those of both sides.

    headstart.inspect("bert-base-uncased", "a fine day").hidden_states  # (layers + 1, tokens, width)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.inspection import export, html_page
from headstart.inspection.inspect import inspect as inspect_text
from headstart.inspection.inspection import Inspection

if TYPE_CHECKING:
    from headstart.inspection.attribution import Attribution
    from headstart.models.model import Model as Transformer
    from headstart.settings import Generation


@dataclass(frozen=True)
class SavableInspection(Inspection):
    """An inspection with the ways to keep it: all numbers in a file, or a page to look at.

    >>> inspection = headstart.inspect("bert-base-uncased", "a fine day")
    >>> inspection.save("day.npz")
    >>> inspection.page("day.html")  # one file to look at in a browser
    """

    def __repr__(self) -> str:
        return (f"<inspection: {len(self.encoded.tokens)} tokens in {self.model}; hidden states "
                f"{' × '.join(map(str, self.hidden_states.shape))}>")

    def _repr_html_(self) -> str:
        from headstart.api.html import inspection_html

        return inspection_html(self)

    def save(self, path: str | Path) -> Path:
        """Write everything to F.npz, F.safetensors or F.parquet (long form), whole or not at all; raises UserError."""
        return export.save(self, Path(path))

    def page(self, path: str | Path, attribution: Attribution | None = None) -> Path:
        """Write the page: one html file to open in a browser, without network."""
        return html_page.write_page(self, Path(path), attribution)


def inspect_transformer(transformer: Transformer, text: str, pair: str | None = None, *,
                        layers: Sequence[int] | None = None, heads: Sequence[int] | None = None,
                        attentions: bool = True, target: str | None = None,
                        generation: Generation | None = None) -> SavableInspection:
    """Tokens, hidden states and attentions of a text or pair inside a loaded model; raises UserError.

    Of an encoder-decoder the decoder's too, at `target` or at what it writes by `generation`.
    """
    return SavableInspection(**vars(inspect_text(transformer, text, pair, layers=layers, heads=heads,
                                                 attentions=attentions, target=target, generation=generation)))


def inspect(reference: str | Path, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
            heads: Sequence[int] | None = None, attentions: bool = True, target: str | None = None,
            device: str = "auto", allow_pickle: bool = False, language: str | None = None,
            target_language: str | None = None) -> SavableInspection:
    """Tokens, hidden states and attentions of a text or pair inside any model, with or without a head; raises
    UserError.

    An encoder-decoder reads the text as its source (after the prefix of its run), and its decoder is shown at `target`,
    or at what it writes itself: `inspection.target`.

    >>> inspection = headstart.inspect("bert-base-uncased", "a fine day", attentions=False)
    >>> states = inspection.hidden_states[-1]  # (tokens, width)
    """
    from headstart.models.loading.device import choose_device
    from headstart.prediction.probe_file import load_for_inspection, source_layout

    model, _ = load_for_inspection(str(reference), device=choose_device(device), allow_pickle=allow_pickle,
                                   language=language, target_language=target_language)
    prefix, generation = source_layout(model)
    return inspect_transformer(model, prefix + text, pair, layers=layers, heads=heads, attentions=attentions,
                               target=target, generation=generation)
