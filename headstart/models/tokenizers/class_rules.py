"""What transformers' class of a tokenizer makes of the settings beside tokenizer.json, for classes that are verified.

transformers 5 builds a tokenizer of tokenizer.json's vocabulary by the rules of its class, and the file's own steps
count for little. Where the file has just those steps, reading it alone gives the same tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

GENERIC = "TokenizersBackend"  # takes every step of tokenizer.json as it is
GENERIC_NAMES = (GENERIC, "PreTrainedTokenizerFast")
# The class that transformers registers for a model_type: that of a folder which names none, and GENERIC goes before
# whatever a folder names.
REGISTERED: Mapping[str, str | None] = {
    "albert": "AlbertTokenizer", "bart": "RobertaTokenizer", "bert": "BertTokenizer",
    "deberta-v2": "DebertaV2Tokenizer", "distilbert": "BertTokenizer", "electra": "BertTokenizer",
    "gpt2": "GPT2Tokenizer", "llama": None, "modernbert": GENERIC, "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer"}
SPACE = "▁"


@dataclass(frozen=True)
class Steps:
    """The steps of a class: of its model all but vocabulary and merges, as tokenizer.json writes it."""

    model: Mapping[str, Any]
    normalizer: Any
    pre_tokenizer: Any
    decoder: Any
    post_processor: Any  # None: tokenizer.json's own, which it must have


@dataclass(frozen=True)
class Tokenizing:
    """What a class is told: tokenizer_config.json with the special tokens, and the file's model and special ids."""

    config: Mapping[str, Any]
    special_tokens: Mapping[str, str]
    token_id: Callable[[str], int]
    normalizer: Mapping[str, Any] | None  # of tokenizer.json
    vocabulary: Any  # of tokenizer.json: ids by piece, or a list of pieces with scores

    def option(self, name: str, default: Any) -> Any:
        """A setting of the class."""
        return self.config.get(name, default)

    def with_id(self, role: str) -> tuple[str, int]:
        """A special token and its id."""
        return self.special_tokens[role], self.token_id(self.special_tokens[role])


@dataclass(frozen=True)
class ClassRule:
    """The special tokens and input names that a class has by itself, and its steps (None: those of tokenizer.json)."""

    special_tokens: Mapping[str, str]
    input_names: tuple[str, ...]
    steps: Callable[[Tokenizing], Steps] | None


def rule_of(model_type: str, declared: str | None) -> ClassRule | None:
    """The rule of the class that transformers chooses; None where it is none of the verified ones.

    `declared` is tokenizer_class of tokenizer_config.json, else of config.json.
    """
    registered = REGISTERED.get(model_type)
    if registered == GENERIC or declared in GENERIC_NAMES:
        return RULES[GENERIC]
    if model_type not in REGISTERED:
        return None
    return RULES.get((declared or registered or GENERIC).removesuffix("Fast"))


def word_pieces(settings: Tokenizing, post_processor: Any) -> Steps:
    """WordPiece as BERT has it, with a post-processor."""
    from tokenizers import decoders, normalizers, pre_tokenizers

    model = {"type": "WordPiece", "unk_token": settings.special_tokens["unk_token"], "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100}
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=settings.option("tokenize_chinese_chars", True),
        strip_accents=settings.option("strip_accents", None), lowercase=settings.option("do_lower_case", True))
    return Steps(model, normalizer, pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(prefix="##"), post_processor)


def bert_template(settings: Tokenizing) -> Any:
    """[CLS] text [SEP] pair [SEP]; the pair's tokens are of type 1."""
    from tokenizers import processors

    (start, _), (end, _) = tokens = settings.with_id("cls_token"), settings.with_id("sep_token")
    return processors.TemplateProcessing(single=f"{start}:0 $A:0 {end}:0", pair=f"{start}:0 $A:0 {end}:0 $B:1 {end}:1",
                                         special_tokens=list(tokens))


def bert(settings: Tokenizing) -> Steps:
    """BertTokenizer."""
    return word_pieces(settings, bert_template(settings))


def mpnet(settings: Tokenizing) -> Steps:
    """MPNetTokenizer: BERT's words in RoBERTa's special tokens."""
    from tokenizers import processors

    return word_pieces(settings, processors.RobertaProcessing(
        settings.with_id("sep_token"), settings.with_id("cls_token"), True, False))


def byte_pairs(settings: Tokenizing, post_processor: Any) -> Steps:
    """Byte BPE as GPT-2 has it, with a post-processor."""
    from tokenizers import decoders, pre_tokenizers

    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
             "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    return Steps(model, None, pre_tokenizers.ByteLevel(add_prefix_space=settings.option("add_prefix_space", False)),
                 decoders.ByteLevel(), post_processor)


def gpt2(settings: Tokenizing) -> Steps:
    """GPT2Tokenizer."""
    return byte_pairs(settings, None)


def roberta(settings: Tokenizing) -> Steps:
    """RobertaTokenizer."""
    from tokenizers import processors

    return byte_pairs(settings, processors.RobertaProcessing(
        settings.with_id("sep_token"), settings.with_id("cls_token"), settings.option("trim_offsets", True),
        settings.option("add_prefix_space", False)))


def llama(settings: Tokenizing) -> Steps:
    """LlamaTokenizer: BPE as SentencePiece makes it, bytes for what the vocabulary cannot spell."""
    from tokenizers import decoders, pre_tokenizers

    spaced = settings.option("add_prefix_space", None) in (None, True)
    scheme = "never" if not spaced else "always" if settings.option("legacy", False) else "first"
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False}
    parts: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    parts += [decoders.Strip(content=" ", left=1)] if spaced else []
    return Steps(model, None, pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False),
                 decoders.Sequence(parts), None)


def unigram_model(unk_id: int) -> dict[str, Any]:
    """The model of a Unigram tokenizer."""
    return {"type": "Unigram", "unk_id": unk_id, "byte_fallback": False}


def spaced_words(scheme: str) -> tuple[Any, Any]:
    """The pre-tokenizer that cuts at space and marks where a word begins, and its decoder."""
    from tokenizers import decoders, pre_tokenizers

    metaspace = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme)
    return (pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace]),
            decoders.Metaspace(replacement=SPACE, prepend_scheme=scheme))


def precompiled(normalizer: Mapping[str, Any] | None) -> list[Any]:
    """The table of characters that a SentencePiece model brings; none where the file has none."""
    import base64

    from tokenizers import normalizers

    if normalizer is None:
        return []
    members = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    return [normalizers.Precompiled(base64.b64decode(member["precompiled_charsmap"]))
            for member in members if member["type"] == "Precompiled"][:1]


def xlm_roberta(settings: Tokenizing) -> Steps:
    """XLMRobertaTokenizer."""
    from tokenizers import processors

    pre_tokenizer, decoder = spaced_words("always" if settings.option("add_prefix_space", True) else "never")
    (start, _), (end, _) = tokens = settings.with_id("bos_token"), settings.with_id("eos_token")
    template = processors.TemplateProcessing(single=[start, "$A", end], pair=[start, "$A", end, end, "$B", end],
                                             special_tokens=list(tokens))
    normalizer = next(iter(precompiled(settings.normalizer)), None)
    return Steps(unigram_model(3), normalizer, pre_tokenizer, decoder, template)


def albert(settings: Tokenizing) -> Steps:
    """AlbertTokenizer."""
    from tokenizers import normalizers

    parts: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    parts += [] if settings.option("keep_accents", False) else [normalizers.NFKD(), normalizers.StripAccents()]
    parts += [normalizers.Lowercase()] if settings.option("do_lower_case", True) else []
    pre_tokenizer, decoder = spaced_words("always" if settings.option("add_prefix_space", True) else "never")
    return Steps(unigram_model(1), normalizers.Sequence(parts + precompiled(settings.normalizer)), pre_tokenizer,
                 decoder, bert_template(settings))


def deberta(settings: Tokenizing) -> Steps:
    """DebertaV2Tokenizer."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    parts: list[Any] = [normalizers.Lowercase()] if settings.option("do_lower_case", False) else []
    parts += [normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), normalizers.NFC(),
              normalizers.Strip(left=False, right=True)]
    scheme = "always" if settings.option("add_prefix_space", True) else "first"
    words = [pre_tokenizers.Punctuation(behavior="isolated")] if settings.option("split_by_punct", False) else []
    metaspace = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme)
    unknown = [settings.special_tokens["unk_token"], 0.0]
    unk_id = settings.vocabulary.index(unknown) if unknown in settings.vocabulary else settings.option("unk_id", 1)
    return Steps(unigram_model(unk_id), normalizers.Sequence(parts), pre_tokenizers.Sequence([*words, metaspace]),
                 decoders.Metaspace(replacement=SPACE, prepend_scheme=scheme), bert_template(settings))


def roles(**tokens: str) -> dict[str, str]:
    """Special tokens by their full role: {"cls_token": "[CLS]"}."""
    return {f"{role}_token": token for role, token in tokens.items()}


BRACKETS = roles(unk="[UNK]", sep="[SEP]", pad="[PAD]", cls="[CLS]", mask="[MASK]")
ANGLES = roles(bos="<s>", eos="</s>", sep="</s>", cls="<s>", unk="<unk>", pad="<pad>", mask="<mask>")
END_OF_TEXT = "<|endoftext|>"
PLAIN_INPUTS = ("input_ids", "attention_mask")
RULES: dict[str, ClassRule] = {
    GENERIC: ClassRule({}, PLAIN_INPUTS, None),
    "AlbertTokenizer": ClassRule(BRACKETS | roles(bos="[CLS]", eos="[SEP]", unk="<unk>", pad="<pad>"), PLAIN_INPUTS,
                                 albert),
    "BertTokenizer": ClassRule(BRACKETS, ("input_ids", "token_type_ids", "attention_mask"), bert),
    "DebertaV2Tokenizer": ClassRule(BRACKETS | roles(bos="[CLS]", eos="[SEP]"),
                                    ("input_ids", "attention_mask", "token_type_ids"), deberta),
    "DistilBertTokenizer": ClassRule(BRACKETS, PLAIN_INPUTS, bert),
    "GPT2Tokenizer": ClassRule(roles(unk=END_OF_TEXT, bos=END_OF_TEXT, eos=END_OF_TEXT), PLAIN_INPUTS, gpt2),
    "LlamaTokenizer": ClassRule(roles(unk="<unk>", bos="<s>", eos="</s>"), PLAIN_INPUTS, llama),
    "MPNetTokenizer": ClassRule(ANGLES | roles(unk="[UNK]"), PLAIN_INPUTS, mpnet),
    "RobertaTokenizer": ClassRule(ANGLES, PLAIN_INPUTS, roberta),
    "XLMRobertaTokenizer": ClassRule(ANGLES, PLAIN_INPUTS, xlm_roberta),
}

RULES |= {"BartTokenizer": RULES["RobertaTokenizer"], "ElectraTokenizer": RULES["BertTokenizer"]}


def state(step: Any) -> Any:
    """A step as tokenizer.json writes it; None for none."""
    return None if step is None else json.loads(step.__getstate__())
