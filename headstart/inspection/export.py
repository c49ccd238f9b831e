"""An inspection as a file: .npz, .safetensors, or .parquet in long form; whole or not at all.

Shapes: N layers, M layers with attention, H heads, T tokens, L tokens of a target, W width.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.files import disk_errors, staged_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.inspection.inspection import Inspection, TargetInspection

FORMATS = (".npz", ".safetensors", ".parquet")


def save(inspection: Inspection, path: Path) -> Path:
    """Write an inspection in the format of the file's ending; raises UserError (2, 69, 74)."""
    writer = {".npz": write_npz, ".safetensors": write_safetensors, ".parquet": write_parquet}[file_format(path)]
    with disk_errors(path, "Choose another place."), staged_path(path) as staging:
        writer(inspection, staging)
    return path


def file_format(path: Path) -> str:
    """The file's ending; raises UserError for an unknown one."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path} should end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.", fix="Name the output so.")
    return path.suffix.lower()


def arrays(inspection: Inspection) -> dict[str, Any]:
    """Every number by name: states, attentions, which layers and heads, and the tokens' own."""
    import numpy as np

    tokens = inspection.tokens
    offsets = [(-1, -1) if token.begin is None or token.end is None else (token.begin, token.end) for token in tokens]
    return {
        "hidden_states": inspection.hidden_states,  # (N, T, W)
        "attentions": inspection.attentions,  # (M, H, T, T)
        "layers": np.asarray(inspection.layers, dtype=np.int64),
        "attention_layers": np.asarray(inspection.attention_layers, dtype=np.int64),
        "heads": np.asarray(inspection.heads, dtype=np.int64),
        "ids": np.asarray([token.id for token in tokens], dtype=np.int64),
        "offsets": np.asarray(offsets, dtype=np.int64),  # (T, 2); -1 where a token has no characters
        "segments": np.asarray([token.segment for token in tokens], dtype=np.int64),
        "parts": np.asarray([{None: -1, "text": 0, "pair": 1}[token.part] for token in tokens], dtype=np.int64),
        **({} if inspection.target is None else decoder_arrays(inspection.target)),
    }


def decoder_arrays(target: TargetInspection) -> dict[str, Any]:
    """The numbers of a decoder's side."""
    import numpy as np

    return {
        "decoder_hidden_states": target.hidden_states,  # (N, L, W)
        "decoder_attentions": target.attentions,  # (M, H, L, L)
        "cross_attentions": target.cross_attentions,  # (M, H, L, T)
        "decoder_layers": np.asarray(target.layers, dtype=np.int64),
        "decoder_attention_layers": np.asarray(target.attention_layers, dtype=np.int64),
        "decoder_heads": np.asarray(target.heads, dtype=np.int64),
        "decoder_ids": np.asarray([token.id for token in target.tokens], dtype=np.int64),
        "target_ids": np.asarray([token.next_id for token in target.tokens], dtype=np.int64),
        "target_log_probabilities": np.asarray([token.log_probability for token in target.tokens], dtype=np.float64),
    }


def text_fields(inspection: Inspection) -> dict[str, str]:
    """The text, its pieces and the model's name; a target's too."""
    return {"model": inspection.model, "text": inspection.encoded.text,
            **{name: json.dumps(pieces, ensure_ascii=False) for name, pieces in piece_lists(inspection).items()},
            **({} if inspection.target is None else {"target": inspection.target.text}),
            **({} if inspection.encoded.pair is None else {"pair": inspection.encoded.pair})}


def piece_lists(inspection: Inspection) -> dict[str, list[str]]:
    """The tokens' pieces: of the text, and of what a decoder reads and what comes next."""
    target_tokens = () if inspection.target is None else inspection.target.tokens
    decoder_pieces = {"decoder_pieces": [token.piece for token in target_tokens],
                      "target_pieces": [token.next_piece for token in target_tokens]}
    return {"pieces": [token.piece for token in inspection.tokens], **(decoder_pieces if target_tokens else {})}


def write_npz(inspection: Inspection, staging: Path) -> None:
    """numpy's own archive, readable without pickle."""
    import numpy as np

    texts: dict[str, Any] = {name: np.asarray(value) for name, value in text_fields(inspection).items()}
    texts |= {name: np.asarray(pieces) for name, pieces in piece_lists(inspection).items()}
    with staging.open("wb") as file:
        np.savez(file, **arrays(inspection), **texts)


def write_safetensors(inspection: Inspection, staging: Path) -> None:
    """safetensors; the text fields are its metadata, the pieces a JSON list there."""
    import numpy as np
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in arrays(inspection).items()}
    staging.write_bytes(save(tensors, metadata=text_fields(inspection)))


def write_parquet(inspection: Inspection, staging: Path) -> None:
    """Long form, one number to a row, one row group for each layer's states and one for its attentions.

    what                  layer head token piece other other_piece value
    hidden_state          3     null 5     tea   17    null        0.25      (number 17 of the state of token 5)
    attention             3     2    5     tea   6     leaves      0.61      (how much token 5 looks at token 6)

    Of an encoder-decoder also decoder_hidden_state, decoder_attention, and cross_attention (token of the decoder, other
    token of the source).
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Writing parquet needs pyarrow.", fix="pip install 'headstart[parquet]'",
                        exit=Exit.UNAVAILABLE) from None
    dictionary_type = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    blocks = number_blocks(inspection)
    shapes = {f"{block.kind}s": list(block.values.shape) for block in blocks}
    schema = pyarrow.schema(
        [("what", dictionary_type), ("layer", pyarrow.int16()), ("head", pyarrow.int16()), ("token", pyarrow.int32()),
         ("piece", dictionary_type), ("other", pyarrow.int32()), ("other_piece", dictionary_type),
         ("value", pyarrow.float32())],
        metadata={**text_fields(inspection), "shapes": json.dumps(shapes)})
    with staging.open("wb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for block in blocks:
            for row, layer in enumerate(block.layers):
                writer.write_table(layer_table(block, schema, layer, block.values[row]))


@dataclass(frozen=True)
class NumberBlock:
    """Numbers of one kind in several layers: (N, T, W) without heads, else (M, H, T, other tokens)."""

    kind: str
    layers: tuple[int, ...]
    values: NDArray[Any]
    pieces: list[str]
    heads: tuple[int, ...] | None = None
    other_pieces: list[str] | None = None


def number_blocks(inspection: Inspection) -> list[NumberBlock]:
    """The states and attentions of an inspection."""
    lists, target = piece_lists(inspection), inspection.target
    pieces = lists["pieces"]
    blocks = [NumberBlock("hidden_state", inspection.layers, inspection.hidden_states, pieces),
              NumberBlock("attention", inspection.attention_layers, inspection.attentions, pieces, inspection.heads,
                          pieces)]
    if target is None:
        return blocks
    decoder_pieces, layers = lists["decoder_pieces"], target.attention_layers
    return [*blocks, NumberBlock("decoder_hidden_state", target.layers, target.hidden_states, decoder_pieces),
            NumberBlock("decoder_attention", layers, target.attentions, decoder_pieces, target.heads, decoder_pieces),
            NumberBlock("cross_attention", layers, target.cross_attentions, decoder_pieces, target.heads, pieces)]


def layer_table(block: NumberBlock, schema: Any, layer: int, layer_values: Any) -> Any:
    """The rows of one layer: its values (H, T, other tokens), or (T, W) where there are no heads."""
    import numpy as np
    import pyarrow

    values = layer_values if block.heads is not None else layer_values[None]
    group_count, token_count, other_count = values.shape
    count = values.size

    def dictionary_array(indices: Any, names: Any) -> Any:
        """Names by their indices."""
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array(indices.astype(np.int32)), pyarrow.array(names))

    token_column = np.tile(np.repeat(np.arange(token_count, dtype=np.int32), other_count), group_count)
    other_column = np.tile(np.arange(other_count, dtype=np.int32), group_count * token_count)
    head_column: Any = pyarrow.nulls(count, pyarrow.int16())
    other_pieces: Any = pyarrow.nulls(count, schema.field("other_piece").type)
    if block.heads is not None:
        head_column = np.repeat(np.asarray(block.heads, dtype=np.int16), token_count * other_count)
        other_pieces = dictionary_array(other_column, block.other_pieces)
    columns = [dictionary_array(np.zeros(count), [block.kind]), np.full(count, layer, np.int16), head_column,
               token_column, dictionary_array(token_column, block.pieces), other_column, other_pieces,
               values.reshape(-1)]
    return pyarrow.table(columns, schema=schema)
