"""An inspection as a file: .npz, .safetensors, or .parquet in long form; whole or not at all.

Shapes: N layers, M layers with attention, H heads, T tokens, W width.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.files import disk_errors, staged_path

if TYPE_CHECKING:
    from headstart.inspection.inspection import Inspection

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
    }


def text_fields(inspection: Inspection) -> dict[str, str]:
    """The text, its pieces and the model's name."""
    return {"model": inspection.model, "text": inspection.encoded.text,
            "pieces": json.dumps([token.piece for token in inspection.tokens], ensure_ascii=False),
            **({} if inspection.encoded.pair is None else {"pair": inspection.encoded.pair})}


def write_npz(inspection: Inspection, staging: Path) -> None:
    """numpy's own archive, readable without pickle."""
    import numpy as np

    texts: dict[str, Any] = {name: np.asarray(value) for name, value in text_fields(inspection).items()
                             if name != "pieces"}
    with staging.open("wb") as file:
        np.savez(file, **arrays(inspection), **texts, pieces=np.asarray([token.piece for token in inspection.tokens]))


def write_safetensors(inspection: Inspection, staging: Path) -> None:
    """safetensors; the text fields are its metadata, the pieces a JSON list there."""
    import numpy as np
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in arrays(inspection).items()}
    staging.write_bytes(save(tensors, metadata=text_fields(inspection)))


def write_parquet(inspection: Inspection, staging: Path) -> None:
    """Long form, one number to a row, one row group for each layer's states and one for its attentions.

    what           layer head token piece other other_piece value
    hidden_state   3     null 5     tea   17    null        0.25      (number 17 of the state of token 5)
    attention      3     2    5     tea   6     leaves      0.61      (how much token 5 looks at token 6)
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Writing parquet needs pyarrow.", fix="pip install 'headstart[parquet]'",
                        exit=Exit.UNAVAILABLE) from None
    dictionary_type = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    schema = pyarrow.schema(
        [("what", dictionary_type), ("layer", pyarrow.int16()), ("head", pyarrow.int16()), ("token", pyarrow.int32()),
         ("piece", dictionary_type), ("other", pyarrow.int32()), ("other_piece", dictionary_type),
         ("value", pyarrow.float32())],
        metadata={**text_fields(inspection),
                  "shapes": json.dumps({"hidden_states": list(inspection.hidden_states.shape),
                                        "attentions": list(inspection.attentions.shape)})})
    with staging.open("wb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for row, layer in enumerate(inspection.layers):
            writer.write_table(layer_table(inspection, schema, layer, inspection.hidden_states[row][None], None))
        for row, layer in enumerate(inspection.attention_layers):
            writer.write_table(layer_table(inspection, schema, layer, inspection.attentions[row], inspection.heads))


def layer_table(inspection: Inspection, schema: Any, layer: int, values: Any, heads: tuple[int, ...] | None) -> Any:
    """The rows of one layer: values (H, T, T), or (1, T, W) where there are no heads."""
    import numpy as np
    import pyarrow

    pieces = pyarrow.array([token.piece for token in inspection.tokens])
    group_count, token_count, other_count = values.shape
    count = values.size

    def dictionary_array(indices: Any, names: Any) -> Any:
        """Names by their indices."""
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array(indices.astype(np.int32)), names)

    token_column = np.tile(np.repeat(np.arange(token_count, dtype=np.int32), other_count), group_count)
    other_column = np.tile(np.arange(other_count, dtype=np.int32), group_count * token_count)
    kind_column = dictionary_array(np.full(count, heads is not None), ["hidden_state", "attention"])
    if heads is None:
        head_column, other_pieces = pyarrow.nulls(count, pyarrow.int16()), pyarrow.nulls(
            count, schema.field("other_piece").type)
    else:
        head_column = np.repeat(np.asarray(heads, dtype=np.int16), token_count * other_count)
        other_pieces = dictionary_array(other_column, pieces)
    columns = [kind_column, np.full(count, layer, np.int16), head_column, token_column,
               dictionary_array(token_column, pieces), other_column, other_pieces, values.reshape(-1)]
    return pyarrow.table(columns, schema=schema)
