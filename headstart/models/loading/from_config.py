"""A model from a config alone: weights initialised from the seed; and a tokenizer trained on the user's own texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from headstart.contract import HeadSpec
from headstart.errors import Exit, UserError, first_line
from headstart.models.loading import catalogue, integrity
from headstart.models.loading.family_tokenizer import load_family_tokenizer
from headstart.models.loading.field_types import check_other_files
from headstart.models.loading.links import check_links
from headstart.models.loading.load import assemble_model, make_config
from headstart.models.loading.model_info import ModelInfo, sizes_of
from headstart.models.loading.quiet import quiet
from headstart.models.model import Model
from headstart.models.packing import attention
from headstart.models.packing.fused_layers import fuse_layers

SPECIAL_TOKENS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
                  "mask_token": "[MASK]"}


def info_from_config(config_path: str, tokenizer_folder: str) -> ModelInfo:
    """The model info of this config.json (or the folder that holds it); raises UserError (66, 69)."""
    path = Path(config_path)
    folder = path if path.is_dir() else path.parent
    if not (folder / "config.json").is_file() or (path.is_file() and path.name != "config.json"):
        raise UserError(f"{config_path} holds no config.json.", fix="Name a config.json, or a folder with one.",
                        exit=Exit.NO_INPUT)
    config = integrity.read_config(folder, config_path)
    check_links(Path(tokenizer_folder), tokenizer_folder)
    check_other_files(Path(tokenizer_folder), tokenizer_folder)
    family = catalogue.find(str(config.get("model_type", "")), config_path)
    integrity.check_sizes(config, family.size_keys, config_path)
    return ModelInfo(config_path, Path(tokenizer_folder), family, config, **sizes_of(config, family),
                     parameters=None, weights="none", files=(), shapes={}, checksums={})


def load_from_config(info: ModelInfo, head: HeadSpec, *, seed: int, device: str = "cpu", dropout: float | None = None,
                     attention_dropout: float | None = None, layer_drop: float | None = None) -> Model:
    """A model whose weights are all initialised from the seed, with as many embeddings as the tokenizer has pieces."""
    import torch

    from headstart.models.heads.custom_heads import head_class

    catalogue.check_head(info.family, head.kind, info.reference)
    attention.register()
    config = make_config(info, head, dropout, attention_dropout, layer_drop,
                         is_decoder=info.family.heads[head.kind].causal)
    with quiet():
        tokenizer = load_family_tokenizer(info)
        config.vocab_size = len(tokenizer.hf_tokenizer)
        for name in ("pad", "bos", "eos", "cls", "sep"):
            token_id = getattr(tokenizer.hf_tokenizer, f"{name}_token_id", None)
            if token_id is not None and hasattr(config, f"{name}_token_id"):
                setattr(config, f"{name}_token_id", token_id)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config._attn_implementation = attention.implementation(info.family.packs)
            module = head_class(info.family.heads[head.kind].cls)(config)
    fuse_layers(module)
    tokenizer = tokenizer.for_training(module.config, add_end_token=not info.family.heads[head.kind].causal)
    return assemble_model(module, tokenizer, info, config, head.kind,
                          tuple(name for name, _ in module.named_parameters()), device, None)


def train_tokenizer(texts: Iterable[str], folder: Path, *, kind: Literal["wordpiece", "byte-bpe"], vocabulary_size: int,
                    lowercase: bool) -> int:
    """Train a tokenizer and write it as an ordinary transformers folder; how many pieces it has.

    WordPiece as BERT has it, or byte-level BPE; both with BERT's special tokens. Raises UserError (73) for a folder
    that is not empty.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is {'not empty' if folder.is_dir() else 'a file'}.",
                        fix="Choose another folder with --to.", exit=Exit.EXISTS)
    special_tokens = list(SPECIAL_TOKENS.values())
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=vocabulary_size, special_tokens=special_tokens,
                                                 show_progress=False)
    else:
        tokenizer = Tokenizer(models.BPE())
        if lowercase:
            tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=vocabulary_size, special_tokens=special_tokens, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    template_ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=template_ids)
    try:
        tokenizer_class: Any = PreTrainedTokenizerFast
        hf_tokenizer = tokenizer_class(tokenizer_object=tokenizer,
                                       model_input_names=["input_ids", "token_type_ids", "attention_mask"],
                                       **SPECIAL_TOKENS)
        hf_tokenizer.save_pretrained(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {first_line(error)}.", fix="Choose another place.",
                        exit=Exit.DISK) from None
    return int(tokenizer.get_vocab_size())
