"""Tiny models that write a text for a text, made in memory: T5, BART, Pegasus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny

WRITERS = ("t5", "bart", "pegasus")
POSITIONS = tiny.POSITIONS


def tokenizer(family: str) -> Any:
    import transformers

    if family == "bart":
        vocab, merges = tiny.byte_vocabulary()
        return transformers.BartTokenizer(vocab=dict(vocab), merges=list(merges), model_max_length=POSITIONS)
    plain = tiny.unigram_vocabulary()[len(tiny.SENTENCES):]
    if family == "t5":
        vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *plain]
        return transformers.T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=POSITIONS)
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("<mask_1>", 0.0), ("<mask_2>", 0.0), *plain]
    return transformers.PegasusTokenizer(vocab=vocab, offset=0, model_max_length=POSITIONS)


def config(family: str, held: Any, **changes: Any) -> Any:
    import transformers

    shape = {"vocab_size": len(held), "pad_token_id": held.pad_token_id, "eos_token_id": held.eos_token_id, "d_model": 32}
    if family == "t5":
        return transformers.T5Config(**shape | {"d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
                                                "decoder_start_token_id": held.pad_token_id} | changes)
    kind = transformers.BartConfig if family == "bart" else transformers.PegasusConfig
    start = held.eos_token_id if family == "bart" else held.pad_token_id
    more = {"bos_token_id": held.bos_token_id, "forced_eos_token_id": held.eos_token_id} if family == "bart" else {}
    return kind(**shape | more | {
        "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64, "max_position_embeddings": POSITIONS, "decoder_start_token_id": start} | changes)


CLASSES = {"t5": "T5ForConditionalGeneration", "bart": "BartForConditionalGeneration", "pegasus": "PegasusForConditionalGeneration"}


def folder(family: str, place: Path, seed: int = 0, **changes: Any) -> Path:
    """A published model's folder; the same seed, the same weights."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    held = tokenizer(family)
    made = config(family, held, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, CLASSES[family])(made)
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.2)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    place.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(place)
    held.save_pretrained(place)
    return place
