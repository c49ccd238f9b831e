"""What the fields of a model folder's JSON files may hold; anything else is refused before the library reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.models.loading.json_files import (
    BOOLEAN,
    LIST,
    NULL,
    OBJECT,
    TEXT,
    Kind,
    check_fields,
    list_of,
    number,
    object_of,
    read_json,
    whole_number,
)

LARGEST = 10_000_000  # token ids and lengths beyond this are damaged or malicious
TOKEN_LIMIT = Kind("a whole number from 2", lambda value: isinstance(value, int | float) and value >= 2
                   and not isinstance(value, bool) and value % 1 == 0)  # 10^30 stands for no limit
TOKEN_ID = whole_number(-1, LARGEST)  # -1: none, as old Llamas have it
TOKEN_IDS = TOKEN_ID | list_of(TOKEN_ID)
SPECIAL_TOKEN = TEXT | Kind("an object with the text \"content\"",
                            lambda value: isinstance(value, dict) and isinstance(value.get("content"), str))
ADDED_TOKENS = Kind("an object of tokens by their ids", lambda value: isinstance(value, dict) and all(
    name.isdecimal() and len(name) < 9 and int(name) <= LARGEST and SPECIAL_TOKEN.allows(token)
    for name, token in value.items()))

CONFIG: dict[str, Kind] = {
    "architectures": list_of(TEXT) | NULL, "model_type": TEXT, "id2label": OBJECT | NULL, "label2id": OBJECT | NULL,
    "num_labels": whole_number(0, 200_000), "problem_type": TEXT | NULL, "tie_word_embeddings": BOOLEAN,
    "is_decoder": BOOLEAN, "add_cross_attention": BOOLEAN, "lang2id": object_of(whole_number(0, LARGEST)) | NULL,
    "n_langs": whole_number(0, 10_000) | NULL, "language": TEXT | NULL, "task_specific_params": OBJECT | NULL,
    "tokenizer_class": TEXT | NULL, "torch_dtype": TEXT | NULL, "dtype": TEXT | NULL, "prefix": TEXT | NULL}
CONFIG |= dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps", "norm_eps"), number(0, 0.1))
CONFIG |= dict.fromkeys(("dropout", "hidden_dropout_prob", "attention_dropout", "attention_probs_dropout_prob",
                         "classifier_dropout", "embd_pdrop", "resid_pdrop", "attn_pdrop", "activation_dropout"),
                        number(0, 1) | NULL)
TOKENS = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "unk_token_id",
                        "mask_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id"),
                       TOKEN_IDS | NULL)
COUNTS = dict.fromkeys(("max_length", "max_new_tokens", "min_length", "min_new_tokens", "no_repeat_ngram_size",
                        "encoder_no_repeat_ngram_size", "top_k"), whole_number(0, LARGEST) | NULL)
BEAMS = dict.fromkeys(("num_beams", "num_beam_groups", "num_return_sequences"), whole_number(1, 10_000) | NULL)
SHARES = dict.fromkeys(("top_p", "typical_p", "min_p", "penalty_alpha"), number(0, 1) | NULL)
GENERATION: dict[str, Kind] = {
    **TOKENS, **COUNTS, **BEAMS, **SHARES, "temperature": number(0) | NULL, "length_penalty": number() | NULL,
    "repetition_penalty": number(0) | NULL, "diversity_penalty": number(0) | NULL, "do_sample": BOOLEAN | NULL,
    "early_stopping": BOOLEAN | TEXT | NULL, "bad_words_ids": list_of(list_of(TOKEN_ID)) | NULL,
    "output_hidden_states": BOOLEAN | NULL, "output_attentions": BOOLEAN | NULL, "output_scores": BOOLEAN | NULL,
    "output_logits": BOOLEAN | NULL, "return_dict_in_generate": BOOLEAN | NULL, "use_cache": BOOLEAN | NULL,
    "suppress_tokens": list_of(TOKEN_ID) | NULL, "begin_suppress_tokens": list_of(TOKEN_ID) | NULL}

TOKENIZER: dict[str, Kind] = {
    "model_max_length": TOKEN_LIMIT | NULL, "extra_ids": whole_number(0, 10_000) | NULL,
    "added_tokens_decoder": ADDED_TOKENS | NULL,
    "additional_special_tokens": list_of(SPECIAL_TOKEN) | NULL, "extra_special_tokens": LIST | OBJECT | NULL,
    "model_input_names": list_of(TEXT) | NULL, "chat_template": TEXT | LIST | OBJECT | NULL,
    "tokenizer_class": TEXT | NULL, "padding_side": TEXT | NULL, "truncation_side": TEXT | NULL,
    "src_lang": TEXT | NULL, "tgt_lang": TEXT | NULL, "sp_model_kwargs": OBJECT | NULL}
TOKENIZER |= dict.fromkeys(("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
                           SPECIAL_TOKEN | NULL)
TOKENIZER |= dict.fromkeys(("do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_bos_token",
                            "add_eos_token", "add_prefix_space", "clean_up_tokenization_spaces", "legacy",
                            "split_special_tokens", "lower_case", "keep_accents"), BOOLEAN | NULL)
FILES: dict[str, dict[str, Kind]] = {
    "tokenizer_config.json": TOKENIZER, "generation_config.json": GENERATION, "special_tokens_map.json": TOKENIZER,
    "added_tokens.json": {}}


def check_config(config: Mapping[str, Any], reference: str) -> None:
    """Refuse wrong values in config.json, those of old generation settings among them; raises UserError (69)."""
    check_fields(config, CONFIG | GENERATION, f"config.json of {reference}")
    for name, nested_config in config.items():
        if name in ("encoder", "decoder") and isinstance(nested_config, dict):
            check_fields(nested_config, CONFIG | GENERATION, f"{name} in config.json of {reference}")


def check_other_files(folder: Path, reference: str) -> None:
    """Refuse wrong values in the JSON files beside config.json that the library reads; raises UserError (69)."""
    for name, kinds in FILES.items():
        if (folder / name).exists():
            content, place = read_json(folder / name, reference), f"{name} of {reference}"
            check_fields(content, kinds, place)
            if name == "added_tokens.json":
                check_fields(content, dict.fromkeys(content, whole_number(0, LARGEST)), place)
