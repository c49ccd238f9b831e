"""The tokenizer of a model, refused where it is not the one that the model was trained with."""

from __future__ import annotations

from typing import Any

from headstart.errors import UserError
from headstart.models.family import submodule
from headstart.models.loading.json_files import COPY_AGAIN, damaged
from headstart.models.loading.model_info import ModelInfo
from headstart.models.loading.weights import quiet
from headstart.models.tokenizers import token_record, vocabulary
from headstart.models.tokenizers.tokenizer import FamilyTokenizer, first_line, load_tokenizer, reraise_interrupts


def load_family_tokenizer(info: ModelInfo, *, rows: int | None = None, hf_tokenizer: Any = None,
                          max_length: int = 1) -> FamilyTokenizer:
    """The tokenizer of a folder, or the library's `hf_tokenizer` of it; raises UserError (69).

    With `rows`, the model's embeddings, it has as many pieces as they can hold; it reads the texts in headstart.json,
    where there is one, as it did when the model was saved.
    """
    with quiet():
        if hf_tokenizer is None:
            hf_tokenizer = load_tokenizer(str(info.folder), info.assumed_model_type)
        if rows is not None:
            vocabulary.check_pieces(hf_tokenizer, rows, info.reference)
        try:
            tokenizer = FamilyTokenizer(hf_tokenizer, max_length, info.family.piece_text)
            token_record.check_ids(tokenizer, rows or len(hf_tokenizer), info.reference)
            if info.tokenizer_record:
                token_record.check_record(tokenizer, info.tokenizer_record, info.reference)
        except UserError:
            raise
        except BaseException as error:  # the library raises many kinds for a broken vocabulary
            reraise_interrupts(error)
            raise damaged(f"The tokenizer of {info.reference} cannot read a text: {first_line(error)}",
                          f"Its files are damaged, or do not belong together. {COPY_AGAIN}") from None
    return tokenizer


def embedding_rows(module: Any, info: ModelInfo) -> int:
    """How many token ids a model has embeddings for; of a pair of models, both of them."""
    parts = [module, *([submodule(module, info.family.decoder_path)] if info.family.decoder_path else [])]
    tables = [getattr(part.get_input_embeddings(), "weight", None) for part in parts]
    # a Transformer-XL has a table for each cluster
    return min(module.config.vocab_size if table is None else len(table) for table in tables)
