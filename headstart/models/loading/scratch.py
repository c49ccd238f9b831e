"""A model from a config alone: weights drawn from the seed; and a tokenizer trained on the user's own texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from headstart.contract import HeadSpec
from headstart.errors import Exit, UserError
from headstart.models.loading import catalogue, integrity, weights
from headstart.models.loading.load import fit_out, make_config
from headstart.models.loading.model_info import Facts, sizes_of
from headstart.models.model import Model
from headstart.models.packing import attention
from headstart.models.packing.fused_layers import replace_parts
from headstart.models.tokenizers.tokenizer import FamilyTokenizer, first_line, load_tokenizer

SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}


def scratch_facts(config: str, tokenizer: str) -> Facts:
    """What a model from this config.json (or the folder that holds it) can; raises UserError (66, 69)."""
    place = Path(config)
    folder = place if place.is_dir() else place.parent
    if not (folder / "config.json").is_file() or (place.is_file() and place.name != "config.json"):
        raise UserError(f"{config} holds no config.json.", fix="Name a config.json, or a folder with one.", exit=Exit.NO_INPUT)
    held = integrity.config_of(folder, config)
    family = catalogue.find(str(held.get("model_type", "")), config)
    integrity.check_sizes(held, family.names, config)
    sizes = sizes_of(held, family)
    return Facts(config, Path(tokenizer), family, held, sizes["width"], sizes["layers"],
                 sizes.get("positions", family.longest), None, "none", (), {}, {})


def load_scratch(known: Facts, head: HeadSpec, *, seed: int, device: str = "cpu", dropout: float | None = None,
                 attention_dropout: float | None = None, layer_drop: float | None = None) -> Model:
    """A model whose weights are all drawn from the seed, with as many embeddings as the tokenizer has pieces."""
    import torch

    from headstart.models.heads.custom_heads import head_class

    catalogue.check_head(known.row, head.kind, known.reference)
    attention.register()
    config = make_config(known, head, dropout, attention_dropout, layer_drop, decodes=known.row.heads[head.kind].continues)
    with weights.quiet():
        tokenizer = FamilyTokenizer(load_tokenizer(str(known.folder), known.unnamed), 1, known.row.surface)
        config.vocab_size = len(tokenizer.held)
        for name in ("pad", "bos", "eos", "cls", "sep"):
            found = getattr(tokenizer.held, f"{name}_token_id", None)
            if found is not None and hasattr(config, f"{name}_token_id"):
                setattr(config, f"{name}_token_id", found)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config._attn_implementation = attention.implementation(known.row.packs)
            module = head_class(known.row.heads[head.kind].cls)(config)
    replace_parts(module)
    tokenizer = tokenizer.for_training(module.config, closed=not known.row.heads[head.kind].continues)
    return fit_out(module, tokenizer, known, config, head.kind, tuple(name for name, _ in module.named_parameters()), device, None)


def train_tokenizer(texts: Iterable[str], to: Path, *, kind: Literal["wordpiece", "byte-bpe"], size: int, lowercase: bool) -> int:
    """Train a tokenizer and write it as an ordinary transformers folder; how many pieces it has.

    WordPiece as BERT has it, or byte-level BPE; both with BERT's special tokens. Raises UserError (73) for a folder that
    is not empty.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if to.exists() and any(to.iterdir()):
        raise UserError(f"{to} is not empty.", fix="Choose another folder with --to.", exit=Exit.EXISTS)
    special = list(SPECIAL.values())
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    else:
        made = Tokenizer(models.BPE())
        if lowercase:
            made.normalizer = normalizers.Lowercase()
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(texts, trainer)
    ends = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
                                                        special_tokens=ends)
    try:
        kind_: Any = PreTrainedTokenizerFast
        kind_(tokenizer_object=made, model_input_names=["input_ids", "token_type_ids", "attention_mask"], **SPECIAL).save_pretrained(to)
    except OSError as error:
        raise UserError(f"{to} cannot be written: {first_line(error)}.", fix="Choose another place.", exit=Exit.DISK) from None
    return int(made.get_vocab_size())
