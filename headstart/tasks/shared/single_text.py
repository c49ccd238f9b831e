"""An example that is one text, of tasks that need nothing else of a row."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.contract import Example, Piece, Row, RowFault, Tokenizer, Tokens
from headstart.tasks.shared.text_blocks import TextBlock
from headstart.tasks.shared.text_pairs import cell_text


@dataclass(frozen=True)
class Text(Example):
    """A text, a piece of a running text, or a block of one with its tokens."""

    text: str
    piece: Piece | None = None
    block: TextBlock | None = None

    def tokens(self, tokenizer: Tokenizer) -> Tokens:
        """The tokens of the text."""
        return tokenizer.tokenize(self.text) if self.block is None else Tokens(self.block.ids, self.block.offsets)


def read_text(row: Row) -> Text:
    """The text of a row; raises RowFault for an empty one."""
    text = cell_text(row, "text")
    if text is None or not text.strip():
        raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                       field="text")
    return Text(row.id, text, row.piece)


def as_example(block: TextBlock) -> Text:
    """A block of a running text as an example."""
    return Text(block.row, block.text, block=block)
