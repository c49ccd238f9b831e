"""An inspection as a file: .npz, .safetensors, or .parquet in long form; whole or not at all.

Shapes: N layers, M layers with attention, H heads, T tokens, W width.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.inspection.inspect import Inspection

ENDINGS = (".npz", ".safetensors", ".parquet")


def save(inspection: Inspection, path: Path) -> Path:
    """Write an inspection in the form that the file's name says; raises UserError (2, 69, 74)."""
    writer = {".npz": npz, ".safetensors": safetensors, ".parquet": parquet}[ending(path)]
    with whole(path) as staging:
        writer(inspection, staging)
    return path


def ending(path: Path) -> str:
    """The file's ending; raises UserError for one that is not known."""
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"{path} should end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}.", fix="Name the output so.")
    return path.suffix.lower()


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place beside the file to write to; it becomes the file when all went well. Raises UserError (74)."""
    staging = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield staging
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(staging, path)
    except OSError as error:
        words = "The disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"It cannot be written: {error.strerror or error}"
        raise UserError(f"{path} was not written. {words}.", fix="Choose another place.", exit=Exit.DISK) from error
    finally:
        staging.unlink(missing_ok=True)


def arrays(inspection: Inspection) -> dict[str, Any]:
    """Every number by name: states, attentions, which layers and heads, and the tokens' own."""
    import numpy as np

    tokens = inspection.tokens
    places = [(-1, -1) if token.begin is None or token.end is None else (token.begin, token.end) for token in tokens]
    return {
        "hidden_states": inspection.hidden_states,  # (N, T, W)
        "attentions": inspection.attentions,  # (M, H, T, T)
        "layers": np.asarray(inspection.layers, dtype=np.int64),
        "attention_layers": np.asarray(inspection.attention_layers, dtype=np.int64),
        "heads": np.asarray(inspection.heads, dtype=np.int64),
        "ids": np.asarray([token.id for token in tokens], dtype=np.int64),
        "offsets": np.asarray(places, dtype=np.int64),  # (T, 2); -1 where a token has no characters
        "segments": np.asarray([token.segment for token in tokens], dtype=np.int64),
        "parts": np.asarray([{None: -1, "text": 0, "pair": 1}[token.part] for token in tokens], dtype=np.int64),
    }


def facts(inspection: Inspection) -> dict[str, str]:
    """The words that belong to the numbers."""
    return {"model": inspection.model, "text": inspection.encoded.text,
            "pieces": json.dumps([token.piece for token in inspection.tokens], ensure_ascii=False),
            **({} if inspection.encoded.pair is None else {"pair": inspection.encoded.pair})}


def npz(inspection: Inspection, staging: Path) -> None:
    """numpy's own archive, readable without pickle."""
    import numpy as np

    words: dict[str, Any] = {name: np.asarray(value) for name, value in facts(inspection).items() if name != "pieces"}
    with staging.open("wb") as file:
        np.savez(file, **arrays(inspection), **words, pieces=np.asarray([token.piece for token in inspection.tokens]))


def safetensors(inspection: Inspection, staging: Path) -> None:
    """safetensors; the words are its metadata, the pieces a JSON list there."""
    import numpy as np
    from safetensors.numpy import save

    held = {name: np.ascontiguousarray(value) for name, value in arrays(inspection).items()}
    staging.write_bytes(save(held, metadata=facts(inspection)))


def parquet(inspection: Inspection, staging: Path) -> None:
    """Long form, a number a row, one row group for each layer's states and one for its attentions.

    what           layer head token piece other other_piece value
    hidden_state   3     null 5     tea   17    null        0.25      (number 17 of the state of token 5)
    attention      3     2    5     tea   6     leaves      0.61      (how much token 5 looks at token 6)
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Writing parquet needs pyarrow.", fix="pip install 'headstart[parquet]'", exit=Exit.UNAVAILABLE) from None
    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    schema = pyarrow.schema(
        [("what", text), ("layer", pyarrow.int16()), ("head", pyarrow.int16()), ("token", pyarrow.int32()), ("piece", text),
         ("other", pyarrow.int32()), ("other_piece", text), ("value", pyarrow.float32())],
        metadata={**facts(inspection), "shapes": json.dumps({"hidden_states": list(inspection.hidden_states.shape),
                                                             "attentions": list(inspection.attentions.shape)})})
    with staging.open("wb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for number, layer in enumerate(inspection.layers):
            writer.write_table(table(inspection, schema, layer, inspection.hidden_states[number][None], None))
        for number, layer in enumerate(inspection.attention_layers):
            writer.write_table(table(inspection, schema, layer, inspection.attentions[number], inspection.heads))


def table(inspection: Inspection, schema: Any, layer: int, values: Any, heads: tuple[int, ...] | None) -> Any:
    """The rows of one layer: values (H, T, T), or (1, T, W) where there are no heads."""
    import numpy as np
    import pyarrow

    pieces = pyarrow.array([token.piece for token in inspection.tokens])
    groups, tokens, others = values.shape
    count = values.size

    def coded(places: Any, names: Any) -> Any:
        """Names by their number."""
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array(places.astype(np.int32)), names)

    token = np.tile(np.repeat(np.arange(tokens, dtype=np.int32), others), groups)
    other = np.tile(np.arange(others, dtype=np.int32), groups * tokens)
    what = coded(np.full(count, heads is not None), ["hidden_state", "attention"])
    if heads is None:
        head, looked_at = pyarrow.nulls(count, pyarrow.int16()), pyarrow.nulls(count, schema.field("other_piece").type)
    else:
        head, looked_at = np.repeat(np.asarray(heads, dtype=np.int16), tokens * others), coded(other, pieces)
    columns = [what, np.full(count, layer, np.int16), head, token, coded(token, pieces), other, looked_at, values.reshape(-1)]
    return pyarrow.table(columns, schema=schema)
