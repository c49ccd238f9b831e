"""Tiny random models of every family, each with a tokenizer trained on text of our own, for tests without downloads.

    folder = tiny.model_folder("bert", tmp_path / "model")
    folder = tiny.model_folder("roberta", tmp_path / "model", head="sequence-classification", labels=["no", "yes"])
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import string
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "electra", "modernbert", "albert", "mpnet", "deberta-v2",
            "gpt2", "llama", "openai-gpt", "ctrl", "transfo-xl", "xlnet", "xlm")
DECODERS = ("gpt2", "llama", "openai-gpt", "ctrl", "transfo-xl")  # that write on
POSITIONS = 128  # tokens that one input of a tiny model can hold, special tokens included

WORDPIECE = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
             "mask_token": "[MASK]"}
SENTENCES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def sentences() -> list[str]:
    """A few hundred plain sentences: what the tiny tokenizers learn from, and what tests may feed to models."""
    subjects = ["the gardener", "a young doctor", "my sister", "the old captain", "nobody here", "every teacher"]
    verbs = ["waters", "forgets", "counts", "would sell", "never paints", "is looking for", "can't find"]
    objects = ["the roses", "seven green apples", "a broken card", "the river bank", "café tables", "an unpaid bill"]
    endings = [".", " before noon!", ", doesn't it?", " in 1984."]
    texts = [f"{subject} {verb} {object_}{ending}"
             for subject, verb, object_, ending in itertools.product(subjects, verbs, objects, endings)]
    return [text[0].upper() + text[1:] for text in texts]


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts of mixed lengths, from one sentence to several."""
    import random

    rng, pool = random.Random(seed), sentences()
    return [" ".join(rng.sample(pool, rng.choice([1, 1, 1, 2, 3]))) for _ in range(count)]


@functools.cache
def pieces() -> tuple[list[str], list[str], list[str]]:
    """Letters and signs, beginnings of words, and ends of long words, of `sentences()`, sorted."""
    words = set(re.findall(r"\w+", " ".join(sentences())))
    letters = set(string.ascii_letters + string.digits + string.punctuation) | set("".join(words))
    return sorted(letters), sorted({word[:5] for word in words}), sorted({word[5:] for word in words} - {""})


@functools.cache
def wordpiece_vocabulary() -> dict[str, int]:
    """WordPiece: every word of plain letters can be spelled. (The library's trainer differs from run to run.)"""
    letters, begins, ends = pieces()
    vocabulary = [*WORDPIECE.values(), *letters, *(f"##{letter}" for letter in letters), *begins,
                  *(f"##{end}" for end in ends), *sorted({begin.lower() for begin in begins})]
    return {piece: index for index, piece in enumerate(dict.fromkeys(vocabulary))}


@functools.cache
def unigram_vocabulary() -> list[tuple[str, float]]:
    """Unigram pieces with log-probabilities: long pieces are likelier than their letters."""
    letters, begins, ends = pieces()
    scores = {"▁": -4.0} | dict.fromkeys(letters, -9.0) | {f"▁{begin}": -6.0
                                                           for begin in begins} | dict.fromkeys(ends, -7.0)
    return [*((piece, 0.0) for piece in SENTENCES), *scores.items()]


def renamed_unigram(family: str) -> list[tuple[str, float]]:
    """The unigram pieces with the special tokens of ALBERT or DeBERTa, the unknown one second."""
    unknown = "<unk>" if family == "albert" else "[UNK]"
    special = ("<pad>" if family == "albert" else "[PAD]", unknown, "[CLS]", "[SEP]", "[MASK]")
    return [*((piece, 0.0) for piece in special), *unigram_vocabulary()[len(SENTENCES):]]


@functools.cache
def byte_vocabulary(size: int = 400) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte BPE trained on `sentences()`: pieces and merges."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(sentences(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SENTENCES), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def tokenizer(family: str) -> Any:
    """The transformers tokenizer of a family, a few hundred pieces large."""
    import transformers

    if family == "modernbert":
        return modernbert_tokenizer()
    if family == "roberta":
        vocab, merges = byte_vocabulary()
        return transformers.RobertaTokenizer(vocab=dict(vocab), merges=list(merges), model_max_length=POSITIONS)
    if family == "xlm-roberta":
        return transformers.XLMRobertaTokenizer(vocab=list(unigram_vocabulary()), model_max_length=POSITIONS)
    if family in ("albert", "deberta-v2"):
        kinds = {"albert": transformers.AlbertTokenizer, "deberta-v2": transformers.DebertaV2Tokenizer}
        return kinds[family](vocab=renamed_unigram(family), model_max_length=POSITIONS)
    if family == "mpnet":
        renamed = dict(zip(WORDPIECE.values(), ("<pad>", "[UNK]", "<s>", "</s>", "<mask>"), strict=True))
        vocab = {renamed.get(piece, piece): index for piece, index in wordpiece_vocabulary().items()}
        vocab |= {"[UNK]": vocab["<pad>"], "<pad>": vocab["[UNK]"]}  # MPNet's padding is 1, in its code
        return transformers.MPNetTokenizer(vocab=vocab, model_max_length=POSITIONS)
    if family == "gpt2":
        vocab, merges = byte_vocabulary()
        renamed = {{"</s>": "<|endoftext|>"}.get(piece, piece): index for piece, index in vocab.items()}
        return transformers.GPT2Tokenizer(vocab=renamed, merges=list(merges), model_max_length=POSITIONS)
    if family == "llama":
        return llama_tokenizer()
    if family == "openai-gpt":
        vocab, merges = word_end_vocabulary()
        return transformers.OpenAIGPTTokenizer(vocab=dict(vocab), merges=list(merges), model_max_length=POSITIONS)
    if family == "ctrl":
        return ctrl_tokenizer()
    if family == "transfo-xl":
        return transfo_xl_tokenizer()
    if family == "xlm":
        return xlm_tokenizer()
    if family == "xlnet":
        special = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
        vocab = [*((piece, 0.0) for piece in special), *unigram_vocabulary()[len(SENTENCES):]]
        return transformers.XLNetTokenizer(vocab=vocab, model_max_length=POSITIONS)
    kind = transformers.DistilBertTokenizer if family == "distilbert" else transformers.BertTokenizer
    return kind(vocab=dict(wordpiece_vocabulary()), model_max_length=POSITIONS)


@functools.cache
def metaspace_vocabulary(size: int = 400) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """BPE over letters with bytes to fall back on, as sentencepiece makes it: pieces and merges."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(sentences(), trainers.BpeTrainer(
        vocab_size=size + 256, special_tokens=special, show_progress=False, initial_alphabet=pieces()[0]))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


@functools.cache
def word_end_vocabulary(size: int = 400, lowercase: bool = True) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """BPE whose pieces tell where a word ends ("roses</w>"), as GPT, CTRL and XLM have it: pieces and merges."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer() if lowercase else pre_tokenizers.WhitespaceSplit()
    letters = sorted({letter for letter in pieces()[0] if not lowercase or letter == letter.lower()} - {"é"})
    tokenizer.train_from_iterator(sentences(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<unk>"], show_progress=False, initial_alphabet=letters,
        end_of_word_suffix="</w>"))
    model = json.loads(tokenizer.to_str())["model"]
    vocab = dict.fromkeys([*model["vocab"], *letters, *(f"{letter}</w>" for letter in letters)])
    return {piece: index for index, piece in enumerate(vocab)}, [tuple(pair) for pair in model["merges"]]


def ctrl_tokenizer() -> Any:
    """As CTRL is published: its files have "ros@@" where a word goes on and nothing at its end."""
    import tempfile

    import transformers

    vocab, merges = word_end_vocabulary(lowercase=False)
    names = [piece.removesuffix("</w>") if piece.endswith("</w>") or piece == "<unk>" else f"{piece}@@"
             for piece in vocab]
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        files[0].write_text(json.dumps({piece: index for index, piece in enumerate(dict.fromkeys(names))}),
                            encoding="utf-8")
        files[1].write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), encoding="utf-8")
        return transformers.CTRLTokenizer(*map(str, files), model_max_length=POSITIONS)


def transfo_xl_tokenizer() -> Any:
    """As Transformer-XL is published: whole words; the rarer ones come later."""
    import tempfile

    from headstart.models.transfo_xl.moses import Moses
    from headstart.models.transfo_xl.tokenizer import TransfoXLTokenizer

    counts = Counter(word for text in sentences() for word in Moses([]).words(text, lower=False))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vocab.txt")
        words = dict.fromkeys(["<eos>", "<unk>", *(word for word, _ in counts.most_common()), *pieces()[1],
                               *pieces()[0]])
        file.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        return TransfoXLTokenizer(str(file), model_max_length=POSITIONS)


def xlm_tokenizer() -> Any:
    """As XLM is published: "ros" goes on, "roses</w>" ends a word."""
    import tempfile

    import transformers

    vocab, merges = word_end_vocabulary()
    special = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{index}>" for index in range(10))]
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        names = dict.fromkeys([*special, *vocab])
        files[0].write_text(json.dumps({piece: index for index, piece in enumerate(names)}), encoding="utf-8")
        files[1].write_text("".join(f"{first} {second} 1\n" for first, second in merges), encoding="utf-8")
        return transformers.XLMTokenizer(*map(str, files), model_max_length=POSITIONS)


def llama_tokenizer() -> Any:
    """As Llama 2 is published: every text begins with <s>."""
    import transformers
    from tokenizers import processors

    vocab, merges = metaspace_vocabulary()
    tokenizer = transformers.LlamaTokenizer(vocab=dict(vocab), merges=list(merges), model_max_length=POSITIONS)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])])
    return tokenizer


def modernbert_tokenizer() -> Any:
    """Byte BPE with BERT's special tokens and no segment numbers, as ModernBERT has it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab, merges = byte_vocabulary()
    renamed = dict(zip(SENTENCES, ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"), strict=True))
    ids = {renamed.get(piece, piece): index for piece, index in vocab.items()}
    backend = Tokenizer(models.BPE(vocab=ids, merges=list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])])
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=POSITIONS,
                                   model_input_names=["input_ids", "attention_mask"], **WORDPIECE)


def config(family: str, tokenizer: Any, **changes: Any) -> Any:
    """A config of two (ModernBERT: three) layers of width 32 for this tokenizer."""
    import transformers

    shape = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if family in ("openai-gpt", "ctrl"):
        kind = transformers.OpenAIGPTConfig if family == "openai-gpt" else transformers.CTRLConfig
        family_settings = {"dff": 64} if family == "ctrl" else {}
        return kind(**shape | family_settings | {"n_embd": 32, "n_layer": 2, "n_head": 4,
                                                 "n_positions": POSITIONS} | changes)
    if family == "transfo-xl":
        from headstart.models.transfo_xl.config import TransfoXLConfig

        return TransfoXLConfig(**shape | {"cutoffs": [40, 90], "d_model": 32, "d_embed": 32, "n_head": 4, "d_head": 8,
                                          "d_inner": 64,
                                          "div_val": 2, "n_layer": 2, "mem_len": 20, "clamp_len": 30} | changes)
    if family == "xlnet":
        return transformers.XLNetConfig(**shape | {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64} | changes)
    if family == "xlm":
        return transformers.XLMConfig(
            **shape | {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": POSITIONS} | changes)
    if family == "gpt2":
        return transformers.GPT2Config(
            **shape | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS,
                       "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id} | changes)
    if family == "distilbert":
        return transformers.DistilBertConfig(
            **shape | {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
            | changes)
    shape |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if family == "modernbert":
        special = {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id,
                   "bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
        # A window of 8 tokens is shorter than most texts, so that local attention is seen to work.
        return transformers.ModernBertConfig(
            **shape | special | {"num_hidden_layers": 3, "max_position_embeddings": POSITIONS, "local_attention": 8}
            | changes)
    if family in ("roberta", "xlm-roberta"):
        special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        kind = transformers.RobertaConfig if family == "roberta" else transformers.XLMRobertaConfig
        # Position numbers begin at padding_idx + 1 = 2.
        return kind(**shape | special | {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1} | changes)
    if family == "llama":  # two heads share keys and values
        return transformers.LlamaConfig(
            **shape | {"num_key_value_heads": 2, "max_position_embeddings": POSITIONS} | changes)
    if family == "albert":
        return transformers.AlbertConfig(
            **shape | {"embedding_size": 16, "max_position_embeddings": POSITIONS} | changes)
    if family == "mpnet":
        return transformers.MPNetConfig(**shape | {"max_position_embeddings": POSITIONS + 2} | changes)
    if family == "deberta-v2":  # as version 3 is published, with the convolution of version 2
        return transformers.DebertaV2Config(
            **shape | {"max_position_embeddings": POSITIONS, "type_vocab_size": 0, "position_biased_input": False,
                       "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm",
                       "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "conv_kernel_size": 3,
                       "conv_act": "gelu"} | changes)
    if family == "electra":
        return transformers.ElectraConfig(
            **shape | {"embedding_size": 16, "max_position_embeddings": POSITIONS} | changes)
    return transformers.BertConfig(**shape | {"max_position_embeddings": POSITIONS} | changes)


BACKBONE_CLASSES = {"bert": "BertModel", "distilbert": "DistilBertModel", "roberta": "RobertaModel",
                    "xlm-roberta": "XLMRobertaModel", "electra": "ElectraModel", "modernbert": "ModernBertModel",
                    "albert": "AlbertModel",
                    "mpnet": "MPNetModel", "deberta-v2": "DebertaV2Model", "gpt2": "GPT2Model", "llama": "LlamaModel",
                    "openai-gpt": "OpenAIGPTModel", "ctrl": "CTRLModel", "xlnet": "XLNetModel", "xlm": "XLMModel",
                    "transfo-xl": "TransfoXLModel"}
HEAD_SUFFIXES = {"sequence-classification": "ForSequenceClassification",
                 "token-classification": "ForTokenClassification",
                 "question-answering": "ForQuestionAnswering", "multiple-choice": "ForMultipleChoice",
                 "masked-language-model": "ForMaskedLM", "next-sentence": "ForNextSentencePrediction",
                 "pre-training": "ForPreTraining", "embedding": "ForEmbedding", "replaced-token": "ForPreTraining",
                 "causal-language-model": "ForCausalLM"}
EXCEPTIONAL_CLASSES = {(family, "causal-language-model"): f"{name}LMHeadModel"  # classes that do not follow the rule
                       for family, name in (("gpt2", "GPT2"), ("openai-gpt", "OpenAIGPT"), ("ctrl", "CTRL"),
                                            ("transfo-xl", "TransfoXL"))}
EXCEPTIONAL_CLASSES |= {("xlnet", "question-answering-beams"): "XLNetForQuestionAnswering",
                        ("xlm", "question-answering-beams"): "XLMForQuestionAnswering",
                        ("gpt2", "multiple-choice"): "GPT2DoubleHeadsModel",
                        ("openai-gpt", "multiple-choice"): "OpenAIGPTDoubleHeadsModel",
                        ("xlnet", "question-answering"): "XLNetForQuestionAnsweringSimple",
                        ("xlm", "question-answering"): "XLMForQuestionAnsweringSimple",
                        ("xlm", "masked-language-model"): "XLMWithLMHeadModel",
                        ("xlm", "causal-language-model"): "XLMWithLMHeadModel",
                        ("xlnet", "causal-language-model"): "XLNetLMHeadModel",
                        ("bert", "causal-language-model"): "BertLMHeadModel"}
DECODER_SETTINGS = {"xlm": {"causal": True}} | {family: {"is_decoder": True}
                                                for family in ("bert", "roberta", "xlm-roberta", "electra")}


def class_name(family: str, head: str | None) -> str:
    """The class of transformers that has a head; of the bare backbone without one."""
    if head is None:
        return BACKBONE_CLASSES[family]
    return EXCEPTIONAL_CLASSES.get((family,
                                    head)) or BACKBONE_CLASSES[family].removesuffix("Model") + HEAD_SUFFIXES[head]


def model_folder(family: str, folder: Path, head: str | None = None, labels: Sequence[str] | None = None,
                 seed: int = 0, **changes: Any) -> Path:
    """A plain transformers folder (config, safetensors, tokenizer) of a tiny random model; returns the folder.

    Without `head` it is a pretrained backbone; with one it is a published fine-tuned model whose id2label holds
    `labels` (default: no, yes). Other keywords change its config (`num_hidden_layers=4`). Weights come from the seed;
    the global generator is left as it was.
    """
    import torch
    import transformers

    from headstart.models.heads.custom_heads import head_class

    transformers.utils.logging.disable_progress_bar()
    family_tokenizer = tokenizer(family)
    if head == "causal-language-model":
        changes = DECODER_SETTINGS.get(family, {}) | changes
    if head is not None:
        if family_tokenizer.pad_token_id is None:
            family_tokenizer.pad_token = family_tokenizer.eos_token or family_tokenizer.unk_token
        names = list(labels or ("no", "yes"))
        changes |= {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    model_config = config(family, family_tokenizer, **changes)
    model_class = head_class(class_name(family, head))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(model_config)
        for weight in model.parameters():
            # Ten times the usual spread: predictions of a random model then differ from text to text.
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.2)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    family_tokenizer.save_pretrained(folder)
    return folder
