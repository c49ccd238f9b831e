"""Marian, mBART, LED and pairs of encoders: loss, gradients and texts are those of plain transformers; languages."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
import transformers

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.data.features.batches import collate
from headstart.generation.encoder_decoder import cache, rewrite
from headstart.models.loading.cache_name import with_cache
from headstart.models.loading.load import load
from headstart.settings import Generation, Training
from headstart.training.losses.losses import objective, total_weight

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")  # of pairs: labels are worked out inside
EVERY = pytest.mark.parametrize("family", tiny_writers.MORE)
SPEC = HeadSpec("sequence-to-sequence", 0, loss="vocabulary")
TEXTS = tiny.texts(6, seed=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("writers")
    return {family: tiny_writers.folder(family, place / family, seed=2) for family in tiny_writers.MORE}


def opened(folder, family):
    """Ours, and plain transformers' with what ours would save."""
    held = load(str(folder), None, seed=0, **tiny_writers.languages(family))
    held.module.eval()
    plain = getattr(transformers, type(held.module).__name__).from_pretrained(folder, attn_implementation="eager").eval()
    for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        setattr(plain.config, name, getattr(held.module.config, name))
    return held, plain


def plain_labels(family, folder, text):
    """Labels as the documentation of transformers makes them."""
    more = {"src_lang": "en_XX", "tgt_lang": "ro_RO"} if family.startswith("mbart") else {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **more)
    return tokenizer(text_target=text)["input_ids"], tokenizer(text)["input_ids"]


def features(held):
    made = []
    for source, target in zip(TEXTS, reversed(TEXTS), strict=True):
        ids = held.tokenizer.lay_out(held.tokenizer.tokenize(source).ids)[0]
        wanted = held.tokenizer.target.lay_out(held.tokenizer.target.tokenize(target[:30]).ids)[0]
        made.append(Feature(ids, targets={"label": Target(wanted, "asked")}, asks=[0] * len(wanted)))
    return made


def beside(family, ids):
    """LED wants to be told which token sees all."""
    return {"global_attention_mask": torch.zeros_like(ids).index_fill(1, torch.tensor([0]), 1)} if family == "led" else {}


@EVERY
def test_sources_and_targets_are_laid_out_as_plain_transformers_does(family, folders):
    held, _ = opened(folders[family], family)
    labels, source = plain_labels(family, folders[family], TEXTS[1])
    tokenizer = held.tokenizer
    assert tokenizer.lay_out(tokenizer.tokenize(TEXTS[1]).ids)[0] == source
    assert tokenizer.target.lay_out(tokenizer.target.tokenize(TEXTS[1]).ids)[0] == labels
    assert tokenizer.lay_out(tokenizer.tokenize(TEXTS[1]).ids)[0] == source  # and again, after a target


@EVERY
def test_loss_and_gradients_are_those_of_plain_transformers(family, folders):
    held, plain = opened(folders[family], family)
    made = features(held)
    batch = collate(made, Layout(False, held.tokenizer.pad_id))
    ours = objective(SPEC, Training(), ())(held, batch) / total_weight([batch])
    ours.backward()
    ids, mask = torch.from_numpy(batch.ids), torch.zeros(batch.ids.shape, dtype=torch.int64)
    labels = torch.full((len(made), int(batch.asked.max())), -100)
    for row, one in enumerate(made):
        mask[row, :len(one)] = 1
        labels[row, :len(one.targets["label"].value)] = torch.tensor(one.targets["label"].value)
    theirs = plain(input_ids=ids, attention_mask=mask, labels=labels, **beside(family, ids)).loss
    theirs.backward()
    assert abs(ours.item() - theirs.item()) < 1e-5 * max(1, theirs.item())
    wanted = {name: weight.grad for name, weight in plain.named_parameters() if weight.grad is not None}
    for name, weight in held.module.named_parameters():
        if name in wanted:
            assert torch.allclose(weight.grad, wanted[name], atol=1e-5 * float(wanted[name].abs().max().clamp(min=1))), name
        else:
            assert weight.grad is None or not weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("settings", [Generation(new_tokens=10), Generation(new_tokens=10, beams=3, length_penalty=0.8, no_repeat_ngram=2)],
                         ids=["greedy", "beams"])
@EVERY
def test_texts_are_those_of_transformers_alone_and_side_by_side(family, settings, folders):
    held, plain = opened(folders[family], family)
    sources = [list(one.ids) for one in features(held)]
    ours = rewrite(held, sources, settings, seed=0)
    beams = {"num_beams": settings.beams, "length_penalty": settings.length_penalty, "early_stopping": False} if settings.beams > 1 else {}
    said = plain.generation_config
    said.decoder_start_token_id, said.pad_token_id = plain.config.decoder_start_token_id, held.tokenizer.pad_id
    said.eos_token_id, said.bos_token_id = held.tokenizer.end_id, held.tokenizer.start_id
    if family == "mbart50":
        said.forced_bos_token_id = held.tokenizer.held.convert_tokens_to_ids("ro_RO")
    for source, (text,) in zip(sources, ours, strict=True):
        ids = torch.tensor([source])
        theirs = plain.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=settings.new_tokens, do_sample=False,
                                no_repeat_ngram_size=settings.no_repeat_ngram, **with_cache(cache()), **beams, **beside(family, ids))[0, 1:].tolist()
        while theirs and theirs[-1] == held.tokenizer.pad_id and held.tokenizer.pad_id not in text.ids:
            theirs.pop()
        assert list(text.ids) == theirs
        labels = torch.tensor([theirs])
        starts = torch.cat([torch.tensor([[plain.config.decoder_start_token_id]]), labels[:, :-1]], dim=1)
        with torch.no_grad():
            scores = plain(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=starts, **beside(family, ids)).logits
        logs = scores.log_softmax(-1).gather(2, labels[..., None])
        assert sum(text.log_probabilities) == pytest.approx(float(logs.sum()), abs=1e-3)
        if settings.beams == 1 and family != "mbart50":  # the likeliest token at each step, read anew
            forced = {settings.new_tokens - 1} if getattr(said, "forced_eos_token_id", None) else set()
            banned = scores[0] if family != "marian" else scores[0].index_fill(1, torch.tensor([held.tokenizer.pad_id]), -torch.inf)
            assert all(token == banned[at].argmax() for at, token in enumerate(theirs) if at not in forced)


def rows(count):
    return [{"source": text, "target": text.split()[1]} for text in tiny.texts(count, seed=5)]


def jsonl(place, held):
    place.write_text("".join(json.dumps(row) + "\n" for row in held), encoding="utf-8")
    return place


QUICK = ["--epochs", "1", "--batch-size", "8", "--set", "evaluation.resamples=10"]


def told(family):
    """Languages on the command line."""
    return [word for key, value in tiny_writers.LANGUAGES.items() for word in ("--set", f"{key}={value}")] if "mbart" in family else []


@EVERY
def test_a_run_is_saved_as_plain_transformers_reads_it(family, folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(24))
    code, _, err = headstart("finetune", file, "--task", "text-to-text", "--model", folders[family], "--to", tmp_path / "run", *QUICK,
                             *told(family))
    assert code == 0, err
    code, out, err = headstart("predict", tmp_path / "run", "--value", f"source={TEXTS[0]}")
    assert code == 0, err
    place = tmp_path / "run" / "model"
    plain = getattr(transformers, tiny_writers.CLASSES[family]).from_pretrained(place).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    most = json.loads((place / "headstart.json").read_text())["learned"]["values"]["generation"]["new_tokens"]
    given = tokenizer(TEXTS[0], return_tensors="pt")
    given.pop("token_type_ids", None)
    theirs = plain.generate(**given, max_new_tokens=most, num_beams=1, do_sample=False, **with_cache(cache()), **beside(family, given["input_ids"]))
    assert json.loads(out)["prediction"] == tokenizer.decode(theirs[0, 1:], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
    code, out, err = headstart("generate", tmp_path / "run", TEXTS[0])
    assert code == 0, err


@pytest.mark.parametrize("freeze", ["encoder", "embeddings"])
@pytest.mark.parametrize("family", ["mbart", "led", "bert2bert"])
def test_parts_stay_as_they_are_when_frozen(family, freeze, folders, tmp_path, headstart):
    code, _, err = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text", "--model", folders[family],
                             "--to", tmp_path / "run", *QUICK, *told(family), "--set", f"training.freeze={freeze}")
    assert code == 0, err
    kind = getattr(transformers, tiny_writers.CLASSES[family])
    before, after = (dict(kind.from_pretrained(place).named_parameters()) for place in (folders[family], tmp_path / "run" / "model"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    layers = {name for name in before if ".layer" in name and "decoder" not in name}
    words = {name for name in before if "shared" in name or "word_embeddings" in name}
    assert moved and bool(moved & layers) == (freeze == "embeddings") and bool(moved & words) == (freeze == "encoder")


@pytest.mark.parametrize("family", ["t5", "mbart", "led", "bert2bert"])
def test_an_adapter_stands_beside_the_layers_of_both_parts(family, folders, tmp_path, headstart):
    pytest.importorskip("peft")
    place = folders.get(family) or tiny_writers.folder(family, tmp_path / family)
    code, _, err = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text", "--model", place,
                             "--to", tmp_path / "run", *QUICK, *told(family), "--set", "training.adapter=lora")
    assert code == 0, err
    kind = getattr(transformers, tiny_writers.CLASSES[family])
    before, after = (dict(kind.from_pretrained(one).named_parameters()) for one in (place, tmp_path / "run" / "model"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("decoder" in name for name in moved) and any("decoder" not in name for name in moved)


@pytest.mark.parametrize(("more", "code", "words"), [
    ([], 2, "language of the sources was not said"), (["data.language=en_XX"], 2, "none was chosen to write"),
    (["data.language=en_XX", "data.target_language=ro_R"], 78, "did you mean ro_RO?"),
    (["data.language=english", "data.target_language=ro_RO"], 78, "did you mean en_XX?")])
def test_an_unknown_or_missing_language_is_refused_before_weights_are_read(more, code, words, tmp_path, headstart):
    place = tiny_writers.folder("mbart", tmp_path / "mbart")
    said = json.loads((place / "tokenizer_config.json").read_text())
    (place / "tokenizer_config.json").write_text(json.dumps({name: value for name, value in said.items() if name not in ("src_lang", "tgt_lang")}))
    held = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(held[:-400] + b"\xff" * 400)  # numbers that are none: reading them would be told
    found, _, err = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "translation", "--model", place,
                              "--to", tmp_path / "run", *(word for one in more for word in ("--set", one)))
    assert found == code and words in err, err


def test_a_model_of_one_language_refuses_a_target_language(folders, tmp_path, headstart):
    code, _, err = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text", "--model", folders["led"],
                             "--to", tmp_path / "run", "--set", "data.target_language=ro_RO")
    assert code == 78 and "not told which language to write" in err


def test_a_family_that_is_known_and_not_supported_is_refused_with_the_reason(tmp_path, headstart):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "fsmt"}))
    code, _, err = headstart("predict", tmp_path, "--value", "source=x")
    assert code == 69 and "two vocabularies" in err


def test_weights_that_the_folder_lacks_are_told_in_training_too(folders, tmp_path, headstart):
    from safetensors.torch import load_file, save_file

    place = tiny_writers.folder("bert2bert", tmp_path / "pair")
    held = load_file(place / "model.safetensors")
    held = {name: value for name, value in held.items() if "crossattention" not in name}
    save_file(held, place / "model.safetensors", metadata={"format": "pt"})
    code, _, err = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text", "--model", place,
                             "--to", tmp_path / "run", *QUICK)
    assert code == 69 and "would be random" in err


def marian_folder(place):
    """Marian as it is published: two sentencepiece models over one vocabulary."""
    spm = pytest.importorskip("sentencepiece")
    pytest.importorskip("sacremoses")
    place.mkdir()
    for side, texts in (("source", tiny.sentences()), ("target", [text[::-1] for text in tiny.sentences()])):
        (place / f"{side}.txt").write_text("\n".join(texts))
        spm.SentencePieceTrainer.train(input=str(place / f"{side}.txt"), model_prefix=str(place / side), vocab_size=120, minloglevel=2,
                                       hard_vocab_limit=False)
        (place / f"{side}.model").rename(place / f"{side}.spm")
    pieces = [line.split("\t")[0] for side in ("source", "target") for line in (place / f"{side}.vocab").read_text().splitlines()]
    names = dict.fromkeys(["</s>", "<unk>", *(one for one in pieces if one not in ("<s>", "</s>", "<unk>")), "<pad>"])
    (place / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    held = transformers.MarianTokenizer(str(place / "source.spm"), str(place / "target.spm"), str(place / "vocab.json"),
                                        model_max_length=tiny_writers.POSITIONS)
    model = transformers.MarianMTModel(tiny_writers.config("marian", held))
    model.save_pretrained(place)
    held.save_pretrained(place)
    return place


def test_marians_own_tokenizer_reads_sources_and_targets_by_two_models(tmp_path, headstart):
    place = marian_folder(tmp_path / "marian")
    held = load(str(place), None, seed=0)
    plain = transformers.AutoTokenizer.from_pretrained(place)
    text = TEXTS[0]
    target = held.tokenizer.target
    assert held.tokenizer.lay_out(held.tokenizer.tokenize(text).ids)[0] == plain(text)["input_ids"]
    assert target.lay_out(target.tokenize(text).ids)[0] == plain(text_target=text)["input_ids"] != plain(text)["input_ids"]
    file = jsonl(tmp_path / "rows.jsonl", rows(16))
    code, _, err = headstart("finetune", file, "--task", "translation", "--model", place, "--to", tmp_path / "run", *QUICK)
    assert code == 0, err
    code, _, err = headstart("predict", tmp_path / "run", file, "--to", tmp_path / "out.jsonl")
    assert code == 0, err
    assert np.isfinite([json.loads(line)["log_probability"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]).all()
