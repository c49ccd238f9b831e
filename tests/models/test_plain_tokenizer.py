"""A tokenizer read without transformers gives the tokens of transformers, or is not given at all."""

import json
import shutil

import pytest
import tiny
import tiny_writers
import transformers

from headstart.errors import UserError
from headstart.models.loading.catalogue import FAMILIES
from headstart.models.loading.family_tokenizer import (
    load_exported_tokenizer,
    load_family_tokenizer,
    load_head_tokenizer,
)
from headstart.models.loading.model_info import model_info
from headstart.models.tokenizers import plain
from headstart.models.tokenizers.token_record import PROBE_TEXTS
from headstart.models.tokenizers.tokenizer import FamilyTokenizer

VERIFIED = ("bert", "distilbert", "roberta", "xlm-roberta", "electra", "modernbert", "albert", "mpnet", "deberta-v2",
            "gpt2", "llama")
FAST = (*VERIFIED, "openai-gpt", "xlnet")
TEXTS = (*PROBE_TEXTS, "", " ", "\n\t ", "\x00\x07\x1b[31m", "\ufffd\u202e\u200d\ufe0f", "a" * 300, "The gardener " * 400,
         "[CLS] [SEP] <s> </s> <mask> [MASK] <|endoftext|> <pad>", " [MASK] in the  middle<mask>.", "ÀÉÎÕÜ ǆ ß İ ı K",
         "``quoted'' text ''", "१२३ ٤٥٦ ½ ² Ⅷ", "👩🏽‍🚀🇨🇭 ok", "x\u0301\u0323y", "can't won't I'll", "ﬀﬁﬂ ㎏ ｶﾞ", "𝔘𝔫𝔦", "a\r\nb")
PAIRS = (("The captain", "counts seven apples."), ("", "x"), ("x", ""), ("[SEP]", "👍🏽"), ("a " * 90, "b " * 90))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a family's tiny tokenizer with a config.json beside it, made once."""
    made = {}

    def folder_of(family):
        if family not in made:
            folder = made[family] = tmp_path_factory.mktemp(family) / "model"
            source = tiny if family in tiny.FAMILIES else tiny_writers
            tokenizer = source.tokenizer(family)
            tokenizer.save_pretrained(folder)
            source.config(family, tokenizer).save_pretrained(folder)
        return made[family]

    return folder_of


def both(folder):
    """The tokenizer read alone, and that of transformers."""
    config = json.loads((folder / "config.json").read_text())
    return plain.read(folder, config), transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def assert_same_tokens(first, second, texts=TEXTS):
    """Two FamilyTokenizers read texts and pairs alike, and lay them out alike."""
    assert (first.single_template, first.pair_template) == (second.single_template, second.pair_template)
    assert first.segment_types == second.segment_types
    names = ("pad_id", "end_id", "start_id", "unknown_id", "mask_id", "closing_id")
    assert [getattr(first, name) for name in names] == [getattr(second, name) for name in names]
    for text in texts:
        assert first.tokenize(text) == second.tokenize(text), repr(text)
        ids = first.tokenize_with_special_tokens(text).ids
        assert first.pieces(ids) == second.pieces(ids)
        for options in ({}, {"skip_special_tokens": True}, {"clean_up_tokenization_spaces": True}):
            assert first.hf_tokenizer.decode(ids, **options) == second.hf_tokenizer.decode(ids, **options), repr(text)
    for pair in PAIRS:
        ids = [first.tokenize(text).ids for text in pair]
        assert first.with_special_tokens(*ids) == second.with_special_tokens(*ids)
        assert first.backend.encode(*pair).ids == second.backend.encode(*pair).ids
        assert first.backend.encode(*pair).type_ids == second.backend.encode(*pair).type_ids


@pytest.mark.parametrize("family", VERIFIED)
def test_a_verified_class_is_read_as_transformers_reads_it(folders, family):
    alone, library = both(folders(family))
    assert alone is not None
    assert plain.is_same(alone, library)
    assert alone.model_input_names == library.model_input_names
    assert len(alone) == len(library)
    assert (alone.get_vocab(), alone.get_added_vocab()) == (library.get_vocab(), library.get_added_vocab())
    assert_same_tokens(FamilyTokenizer(alone, 99), FamilyTokenizer(library, 99))


@pytest.mark.parametrize("family", [*tiny.FAMILIES, *tiny_writers.MODEL_CLASSES])
def test_what_is_not_certain_is_left_to_transformers(folders, family):
    alone, library = both(folders(family))
    assert (alone is not None) == (family in VERIFIED or family == "bart")
    assert alone is None or plain.is_same(alone, library)


@pytest.mark.parametrize("family", FAST)
def test_a_saved_folder_of_any_fast_tokenizer_is_read_as_written(folders, family, tmp_path):
    library = transformers.AutoTokenizer.from_pretrained(folders(family))
    library.save_pretrained(tmp_path)
    alone = plain.read_as_written(tmp_path, "x")
    assert plain.is_same(alone, library)
    assert_same_tokens(FamilyTokenizer(alone, 99), FamilyTokenizer(library, 99))


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "deberta-v2", "llama"])
def test_a_fresh_head_has_the_same_layout_of_texts(folders, family, tmp_path):
    folder = tmp_path / "model"
    tiny.model_folder(family, folder)
    info = model_info(str(folder))
    kind = "sequence-classification"
    tokenizer = load_head_tokenizer(info, kind)
    assert isinstance(tokenizer.hf_tokenizer, plain.PlainTokenizer)
    library = load_family_tokenizer(info).with_token_types(FAMILIES[family].has_token_types)
    library = library.for_training(transformers.AutoConfig.from_pretrained(folder), add_end_token=True)
    assert_same_tokens(tokenizer, library)
    assert tokenizer.max_length == tiny.POSITIONS
    assert_same_tokens(load_exported_tokenizer(info).for_training(
        transformers.AutoConfig.from_pretrained(folder), add_end_token=True), library)


SETTINGS = [{"do_lower_case": True}, {"do_lower_case": False}, {"strip_accents": True}, {"strip_accents": False},
            {"tokenize_chinese_chars": False}, {"add_prefix_space": True}, {"add_prefix_space": False},
            {"keep_accents": True}, {"split_by_punct": True}, {"trim_offsets": False}, {"legacy": True}, {"unk_id": 4},
            {"unk_token": "the"}, {"mask_token": "[NEW]"}, {"pad_token": None}, {"cls_token": "[UNK]"},
            {"additional_special_tokens": ["<x>", "the"]}, {"extra_special_tokens": {"image_token": "<img>"}},
            {"image_token": "<img>"}, {"clean_up_tokenization_spaces": True}, {"model_max_length": 17},
            {"model_max_length": None}, {"max_len": 9}, {"split_special_tokens": True}, {"add_bos_token": True},
            {"tokenizer_class": "PreTrainedTokenizerFast"}, {"tokenizer_class": "TokenizersBackend"},
            {"tokenizer_class": "BertTokenizer"}, {"tokenizer_class": "BertTokenizerFast"}, {"tokenizer_class": None},
            {"tokenizer_class": "RobertaTokenizer"}, {"tokenizer_class": "GPT2Tokenizer"},
            {"model_input_names": ["input_ids"]}, {"chat_template": "{{ messages }}"},
            {"chat_template": [{"name": "default", "template": "a"}, {"name": "other", "template": "b"}]},
            {"sep_token": {"__type": "AddedToken", "content": "[SEP]", "lstrip": True, "rstrip": False,
                           "normalized": False, "single_word": False, "special": True}},
            {"added_tokens_decoder": {"0": {"content": "[PAD]", "lstrip": True, "rstrip": False, "normalized": False,
                                            "single_word": False, "special": True}}}]


def changed_file(name, change):
    """What changes a JSON file of a folder, or writes it."""
    def apply(folder):
        file = folder / name
        content = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(change(content) or content))

    return apply


def set_step(name, step):
    return changed_file("tokenizer.json", lambda content: content.update({name: step}))


FILES = {"no normalizer": set_step("normalizer", None), "lower": set_step("normalizer", {"type": "Lowercase"}),
         "words": set_step("pre_tokenizer", {"type": "Whitespace"}), "plain": set_step("post_processor", None),
         "decoder": set_step("decoder", None), "no added": set_step("added_tokens", []),
         "fewer added": changed_file("tokenizer.json", lambda content: content["added_tokens"].pop(0) and None),
         "strips": changed_file("tokenizer.json", lambda content: content["added_tokens"][0].update(lstrip=True)),
         "not special": changed_file("tokenizer.json", lambda content: content["added_tokens"][0].update(special=False)),
         "more added": changed_file("tokenizer.json", lambda content: content["added_tokens"].append(
             content["added_tokens"][0] | {"id": 5000, "content": "<more>"})),
         "model": changed_file("tokenizer.json", lambda content: content["model"].update(unk_token="a", unk_id=0)),
         "long words": changed_file("tokenizer.json", lambda content: content["model"].update(
             max_input_chars_per_word=3)),
         "dropout": changed_file("tokenizer.json", lambda content: content["model"].update(dropout=0.5)),
         "truncation": set_step("truncation", {"max_length": 5, "strategy": "LongestFirst", "stride": 0,
                                               "direction": "Right"}),
         "map": changed_file("special_tokens_map.json", lambda content: content.update(unk_token="the")),
         "map flags": changed_file("special_tokens_map.json", lambda content: content.update(
             mask_token={"content": "[MASK]", "lstrip": True, "rstrip": True, "normalized": True})),
         "added file": changed_file("added_tokens.json", lambda content: content.update({"<more>": 5000})),
         "no config": lambda folder: (folder / "tokenizer_config.json").unlink(),
         "cut off": lambda folder: (folder / "tokenizer.json").write_text('{"model": {"vocab": '),
         "a list": lambda folder: (folder / "tokenizer.json").write_text("[]"),
         "odd config": lambda folder: (folder / "tokenizer_config.json").write_text('{"unk_token": 7}'),
         "template": lambda folder: (folder / "chat_template.jinja").write_text("{{ messages[0] }}"),
         "type": changed_file("config.json", lambda content: {"model_type": "electra"})}


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "albert", "mpnet", "deberta-v2", "gpt2", "llama",
                                    "modernbert"])
def test_whatever_is_changed_in_a_folder_it_is_the_same_or_left_to_transformers(folders, family, tmp_path):
    changes = {str(settings): changed_file("tokenizer_config.json", lambda content, settings=settings: {
        name: value for name, value in (content | settings).items()
        if value is not None or name not in ("tokenizer_class", "model_max_length")}) for settings in SETTINGS}
    certain = 0
    for number, (name, change) in enumerate((changes | FILES).items()):
        folder = tmp_path / str(number)
        shutil.copytree(folders(family), folder)
        change(folder)
        try:
            alone, library = both(folder)
        except Exception:  # transformers refuses it
            assert plain.read(folder, json.loads((folder / "config.json").read_text())) is None, name
            continue
        assert alone is None or plain.is_same(alone, library), name
        if alone is not None and name != "dropout":  # which is drawn anew each time
            certain += 1
            if library.eos_token is library.sep_token is library.unk_token is None:
                continue  # refused, as no token could end a text
            assert_same_tokens(FamilyTokenizer(alone, 99), FamilyTokenizer(library, 99), TEXTS[::6])
    assert certain >= 10


def test_an_exported_folder_that_contradicts_itself_is_refused(folders, tmp_path):
    for change in ("not special", "plain", "cut off", "added file"):
        folder = tmp_path / change
        shutil.copytree(folders("bert"), folder)
        FILES[change](folder)
        with pytest.raises(UserError) as refusal:
            plain.read_as_written(folder, "the export")
        assert "the export" in refusal.value.message
