"""Tiny encoder-decoders, made in memory: T5, BART and its kin, pairs of BERT and RoBERTa."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny

ENCODER_DECODERS = ("t5", "bart", "pegasus")
MORE_ENCODER_DECODERS = ("marian", "mbart", "mbart50", "led", "bert2bert", "roberta2roberta")
POSITIONS = tiny.POSITIONS
LANGUAGES = {"data.language": "en_XX", "data.target_language": "ro_RO"}


def tokenizer(family: str) -> Any:
    import transformers

    if family in ("bert2bert", "roberta2roberta"):
        return tiny.tokenizer(family.split("2")[0])
    if family in ("bart", "led"):
        vocab, merges = tiny.byte_vocabulary()
        tokenizer_class = transformers.BartTokenizer if family == "bart" else transformers.LEDTokenizer
        return tokenizer_class(vocab=dict(vocab), merges=list(merges), model_max_length=POSITIONS)
    unigram = tiny.unigram_vocabulary()[len(tiny.SENTENCES):]
    if family in ("mbart", "mbart50"):
        module = getattr(transformers.models, family)
        codes = __import__(f"{module.__name__}.tokenization_{family}", fromlist=["x"]).FAIRSEQ_LANGUAGE_CODES
        vocab = [*((piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")), *unigram,
                 *((code, 0.0) for code in codes), ("<mask>", 0.0)]
        tokenizer_class = transformers.MBartTokenizer if family == "mbart" else transformers.MBart50Tokenizer
        return tokenizer_class(vocab=vocab, model_max_length=POSITIONS)
    if family in ("t5", "marian"):  # Marian's own class needs sentencepiece; see marian_folder
        vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *unigram]
        return transformers.T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=POSITIONS)
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("<mask_1>", 0.0), ("<mask_2>", 0.0), *unigram]
    return transformers.PegasusTokenizer(vocab=vocab, offset=0, model_max_length=POSITIONS)


CONFIG_CLASSES = {"bart": "BartConfig", "pegasus": "PegasusConfig", "marian": "MarianConfig", "mbart": "MBartConfig",
                  "mbart50": "MBartConfig", "led": "LEDConfig"}


def config(family: str, tokenizer: Any, **changes: Any) -> Any:
    import transformers

    if family in ("bert2bert", "roberta2roberta"):
        part_family = family.split("2")[0]
        return transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
            tiny.config(part_family, tokenizer), tiny.config(part_family, tokenizer, num_hidden_layers=3), **changes)
    shape = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id,
             "eos_token_id": tokenizer.eos_token_id, "d_model": 32}
    if family == "t5":
        return transformers.T5Config(**shape | {"d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 3,
                                                "num_heads": 4,
                                                "decoder_start_token_id": tokenizer.pad_token_id} | changes)
    start = tokenizer.pad_token_id if family in ("pegasus", "marian") else tokenizer.eos_token_id
    special_tokens = {"bos_token_id": tokenizer.bos_token_id,
                      "forced_eos_token_id": tokenizer.eos_token_id} if family in ("bart", "led", "mbart",
                                                                                   "mbart50") else {}
    if family == "mbart":
        start = None
    if family == "marian":
        special_tokens = {"forced_eos_token_id": tokenizer.eos_token_id, "static_position_embeddings": True,
                          "bad_words_ids": [[tokenizer.pad_token_id]]}
    position_settings = {"max_encoder_position_embeddings": POSITIONS,
                         "max_decoder_position_embeddings": POSITIONS // 2,
                         "attention_window": [8, 8]} if family == "led" else {"max_position_embeddings": POSITIONS}
    return getattr(transformers, CONFIG_CLASSES[family])(**shape | special_tokens | position_settings | {
        "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "decoder_start_token_id": start} | changes)


MODEL_CLASSES = {"t5": "T5ForConditionalGeneration", "bart": "BartForConditionalGeneration",
                 "pegasus": "PegasusForConditionalGeneration",
                 "marian": "MarianMTModel", "mbart": "MBartForConditionalGeneration",
                 "mbart50": "MBartForConditionalGeneration",
                 "led": "LEDForConditionalGeneration", "bert2bert": "EncoderDecoderModel",
                 "roberta2roberta": "EncoderDecoderModel"}


def language_arguments(family: str) -> dict[str, str]:
    """The languages that `load` needs for a family."""
    return {"language": "en_XX", "target_language": "ro_RO"} if family in ("mbart", "mbart50") else {}


def model_folder(family: str, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A published model's folder; the same seed, the same weights."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    family_tokenizer = tokenizer(family)
    model_config = config(family, family_tokenizer, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, MODEL_CLASSES[family])(model_config)
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.2)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    family_tokenizer.save_pretrained(folder)
    return folder
