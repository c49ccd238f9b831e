"""The tokenizer of a model, refused where it is not the one that the model was trained with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from headstart.errors import UserError, first_line
from headstart.models.family import submodule
from headstart.models.loading.json_files import COPY_AGAIN, damaged
from headstart.models.loading.model_info import ModelInfo
from headstart.models.loading.quiet import quiet
from headstart.models.tokenizers import plain, token_record, vocabulary
from headstart.models.tokenizers.tokenizer import FamilyTokenizer, load_tokenizer, reraise_interrupts

UNLIMITED = 100_000  # tokenizers without a limit of their own say 10^30


def load_family_tokenizer(info: ModelInfo, *, rows: int | None = None, hf_tokenizer: Any = None,
                          max_length: int = 1) -> FamilyTokenizer:
    """The tokenizer of a folder, or the library's `hf_tokenizer` of it; raises UserError (69).

    With `rows`, the model's embeddings, it has as many pieces as they can hold; it reads the texts in headstart.json,
    where there is one, as it did when the model was saved.
    """
    with quiet():
        if hf_tokenizer is None:
            hf_tokenizer = load_tokenizer(str(info.folder), info.assumed_model_type)
        return checked_tokenizer(info, hf_tokenizer, rows, max_length)


def checked_tokenizer(info: ModelInfo, hf_tokenizer: Any, rows: int | None, max_length: int) -> FamilyTokenizer:
    """A tokenizer of transformers, or one like it, as tasks use it; raises UserError (69)."""
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


def load_text_tokenizer(info: ModelInfo) -> FamilyTokenizer:
    """A model's tokenizer alone, without a limit: what its texts become, before any weight is read. Raises UserError
    (69).

    It is read without transformers, whose import takes seconds, where that certainly gives the same tokens.
    """
    plain_tokenizer = plain.read(info.folder, info.config)
    if plain_tokenizer is None:
        return load_family_tokenizer(info, max_length=UNLIMITED)
    return checked_tokenizer(info, plain_tokenizer, None, UNLIMITED)


def load_exported_tokenizer(info: ModelInfo) -> FamilyTokenizer:
    """The tokenizer of an exported folder, whose tokenizer.json says all: transformers is not needed. Raises UserError
    (69).
    """
    return checked_tokenizer(info, plain.read_as_written(info.folder, info.reference), None, UNLIMITED)


def load_head_tokenizer(info: ModelInfo, kind: str) -> FamilyTokenizer:
    """A model's tokenizer as a fresh head of this kind has its texts laid out, before any weight is read. Raises
    UserError (69).
    """
    head = info.family.heads[kind]
    tokenizer = load_text_tokenizer(info).with_token_types(info.family.has_token_types).with_causal(head.causal)
    tokenizer = tokenizer.for_training(SimpleNamespace(pad_token_id=info.config.get("pad_token_id")),
                                       add_end_token=not head.causal)
    return tokenizer.with_max_length(min(info.positions, tokenizer.hf_tokenizer.model_max_length or UNLIMITED,
                                         UNLIMITED))


def embedding_rows(module: Any, info: ModelInfo) -> int:
    """How many token ids a model has embeddings for; of a pair of models, both of them."""
    parts = [module, *([submodule(module, info.family.decoder_path)] if info.family.decoder_path else [])]
    tables = [getattr(part.get_input_embeddings(), "weight", None) for part in parts]
    # a Transformer-XL has a table for each cluster
    return min(module.config.vocab_size if table is None else len(table) for table in tables)
