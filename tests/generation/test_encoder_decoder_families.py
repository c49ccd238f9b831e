"""Marian, mBART, LED and pairs of encoders: loss, gradients and texts are those of plain transformers; languages."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
import transformers

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.data.features.batches import collate
from headstart.generation.encoder_decoder import generate_targets, new_cache
from headstart.models.loading.load import load
from headstart.models.loading.transformers_compat import with_cache
from headstart.settings import Generation, Training
from headstart.training.losses import build_loss
from headstart.training.objectives.objective import total_weight

# of pairs: labels are worked out inside
pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")
EACH_FAMILY = pytest.mark.parametrize("family", tiny_writers.MORE_ENCODER_DECODERS)
SPEC = HeadSpec("sequence-to-sequence", 0, loss=VocabularyCrossEntropy())
TEXTS = tiny.texts(6, seed=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder_decoders")
    return {family: tiny_writers.model_folder(family, folder / family, seed=2)
            for family in tiny_writers.MORE_ENCODER_DECODERS}


def load_both(folder, family):
    """Ours, and plain transformers' with what ours would save."""
    model = load(str(folder), None, seed=0, **tiny_writers.language_arguments(family))
    model.module.eval()
    reference = getattr(transformers, type(model.module).__name__).from_pretrained(folder,
                                                                                   attn_implementation="eager").eval()
    for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        setattr(reference.config, name, getattr(model.module.config, name))
    return model, reference


def plain_labels(family, folder, text):
    """Labels as the documentation of transformers makes them."""
    languages = {"src_lang": "en_XX", "tgt_lang": "ro_RO"} if family.startswith("mbart") else {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **languages)
    return tokenizer(text_target=text)["input_ids"], tokenizer(text)["input_ids"]


def features(model):
    examples = []
    for source, target in zip(TEXTS, reversed(TEXTS), strict=True):
        ids = model.tokenizer.with_special_tokens(model.tokenizer.tokenize(source).ids)[0]
        target_ids = model.tokenizer.target.with_special_tokens(model.tokenizer.target.tokenize(target[:30]).ids)[0]
        examples.append(Feature(ids, targets={"label": Target(target_ids, "position")},
                                label_positions=[0] * len(target_ids)))
    return examples


def family_arguments(family, ids):
    """LED wants to be told which token sees all."""
    return {"global_attention_mask": torch.zeros_like(ids).index_fill(1, torch.tensor([0]),
                                                                      1)} if family == "led" else {}


@EACH_FAMILY
def test_sources_and_targets_are_laid_out_as_plain_transformers_does(family, folders):
    model, _ = load_both(folders[family], family)
    labels, source = plain_labels(family, folders[family], TEXTS[1])
    tokenizer = model.tokenizer
    assert tokenizer.with_special_tokens(tokenizer.tokenize(TEXTS[1]).ids)[0] == source
    assert tokenizer.target.with_special_tokens(tokenizer.target.tokenize(TEXTS[1]).ids)[0] == labels
    assert tokenizer.with_special_tokens(tokenizer.tokenize(TEXTS[1]).ids)[0] == source  # and again, after a target


@EACH_FAMILY
def test_loss_and_gradients_are_those_of_plain_transformers(family, folders):
    model, reference = load_both(folders[family], family)
    examples = features(model)
    batch = collate(examples, Layout(False, model.tokenizer.pad_id))
    loss = build_loss(SPEC.loss, Training(), ())(model, batch) / total_weight([batch])
    loss.backward()
    ids, mask = torch.from_numpy(batch.ids), torch.zeros(batch.ids.shape, dtype=torch.int64)
    labels = torch.full((len(examples), int(batch.label_counts.max())), -100)
    for row, example in enumerate(examples):
        mask[row, :len(example)] = 1
        labels[row, :len(example.targets["label"].value)] = torch.tensor(example.targets["label"].value)
    reference_loss = reference(input_ids=ids, attention_mask=mask, labels=labels, **family_arguments(family, ids)).loss
    reference_loss.backward()
    assert abs(loss.item() - reference_loss.item()) < 1e-5 * max(1, reference_loss.item())
    gradients = {name: weight.grad for name, weight in reference.named_parameters() if weight.grad is not None}
    for name, weight in model.module.named_parameters():
        if name in gradients:
            assert torch.allclose(weight.grad, gradients[name],
                                  atol=1e-5 * float(gradients[name].abs().max().clamp(min=1))), name
        else:
            assert weight.grad is None or not weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("settings", [Generation(max_new_tokens=10), Generation(
    max_new_tokens=10, num_beams=3, length_penalty=0.8, no_repeat_ngram_size=2)],
                         ids=["greedy", "beams"])
@EACH_FAMILY
def test_texts_are_those_of_transformers_alone_and_side_by_side(family, settings, folders):
    model, reference = load_both(folders[family], family)
    sources = [list(feature.ids) for feature in features(model)]
    generations = generate_targets(model, sources, settings, seed=0)
    beams = {"num_beams": settings.num_beams, "length_penalty": settings.length_penalty,
             "early_stopping": False} if settings.num_beams > 1 else {}
    reference_config = reference.generation_config
    reference_config.decoder_start_token_id, reference_config.pad_token_id = (reference.config.decoder_start_token_id,
                                                                              model.tokenizer.pad_id)
    reference_config.eos_token_id, reference_config.bos_token_id = model.tokenizer.end_id, model.tokenizer.start_id
    if family == "mbart50":
        reference_config.forced_bos_token_id = model.tokenizer.hf_tokenizer.convert_tokens_to_ids("ro_RO")
    for source, (text,) in zip(sources, generations, strict=True):
        ids = torch.tensor([source])
        reference_ids = reference.generate(ids, attention_mask=torch.ones_like(ids),
                                           max_new_tokens=settings.max_new_tokens, do_sample=False,
                                no_repeat_ngram_size=settings.no_repeat_ngram_size, **with_cache(new_cache()), **beams,
                                **family_arguments(family, ids))[0, 1:].tolist()
        while reference_ids and reference_ids[-1] == model.tokenizer.pad_id and model.tokenizer.pad_id not in text.ids:
            reference_ids.pop()
        assert list(text.ids) == reference_ids
        labels = torch.tensor([reference_ids])
        decoder_ids = torch.cat([torch.tensor([[reference.config.decoder_start_token_id]]), labels[:, :-1]], dim=1)
        with torch.no_grad():
            scores = reference(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=decoder_ids,
                               **family_arguments(family, ids)).logits
        logs = scores.log_softmax(-1).gather(2, labels[..., None])
        assert sum(text.log_probabilities) == pytest.approx(float(logs.sum()), abs=1e-3)
        if settings.num_beams == 1 and family != "mbart50":  # the likeliest token at each step, read anew
            forced = {settings.max_new_tokens - 1} if getattr(reference_config, "forced_eos_token_id", None) else set()
            allowed_scores = scores[0] if family != "marian" else scores[0].index_fill(
                1, torch.tensor([model.tokenizer.pad_id]), -torch.inf)
            assert all(token == allowed_scores[position].argmax() for position, token in enumerate(reference_ids)
                       if position not in forced)


def rows(count):
    return [{"source": text, "target": text.split()[1]} for text in tiny.texts(count, seed=5)]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


QUICK = ["--epochs", "1", "--batch-size", "8", "--set", "evaluation.resamples=10"]


def language_options(family):
    """Languages on the command line."""
    return [word for key, value in tiny_writers.LANGUAGES.items()
            for word in ("--set", f"{key}={value}")] if "mbart" in family else []


@EACH_FAMILY
def test_a_run_is_saved_as_plain_transformers_reads_it(family, folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(24))
    code, _, stderr = headstart("finetune", file, "--task", "text-to-text", "--model", folders[family], "--to",
                                tmp_path / "run", *QUICK,
                             *language_options(family))
    assert code == 0, stderr
    code, stdout, stderr = headstart("predict", tmp_path / "run", "--value", f"source={TEXTS[0]}")
    assert code == 0, stderr
    folder = tmp_path / "run" / "model"
    reference = getattr(transformers, tiny_writers.MODEL_CLASSES[family]).from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    max_new_tokens = json.loads((folder
                                 / "headstart.json").read_text())["learned"]["values"]["generation"]["max_new_tokens"]
    inputs = tokenizer(TEXTS[0], return_tensors="pt")
    inputs.pop("token_type_ids", None)
    reference_ids = reference.generate(**inputs, max_new_tokens=max_new_tokens, num_beams=1, do_sample=False,
                                       **with_cache(new_cache()), **family_arguments(family, inputs["input_ids"]))
    assert json.loads(stdout)["prediction"] == tokenizer.decode(reference_ids[0, 1:], skip_special_tokens=True,
                                                                clean_up_tokenization_spaces=False).strip()
    code, stdout, stderr = headstart("generate", tmp_path / "run", TEXTS[0])
    assert code == 0, stderr


@pytest.mark.parametrize("freeze", ["encoder", "embeddings"])
@pytest.mark.parametrize("family", ["mbart", "led", "bert2bert"])
def test_frozen_weights_stay(family, freeze, folders, tmp_path, headstart):
    code, _, stderr = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text",
                                "--model", folders[family],
                             "--to", tmp_path / "run", *QUICK, *language_options(family), "--set",
                             f"training.freeze={freeze}")
    assert code == 0, stderr
    model_class = getattr(transformers, tiny_writers.MODEL_CLASSES[family])
    before, after = (dict(model_class.from_pretrained(folder).named_parameters())
                     for folder in (folders[family], tmp_path / "run" / "model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    encoder_layers = {name for name in before if ".layer" in name and "decoder" not in name}
    embeddings = {name for name in before if "shared" in name or "word_embeddings" in name}
    assert changed and bool(changed & encoder_layers) == (freeze == "embeddings") and bool(changed & embeddings) == (
        freeze == "encoder")


@pytest.mark.parametrize("family", ["t5", "mbart", "led", "bert2bert"])
def test_an_adapter_is_added_to_encoder_and_decoder(family, folders, tmp_path, headstart):
    pytest.importorskip("peft")
    folder = folders.get(family) or tiny_writers.model_folder(family, tmp_path / family)
    code, _, stderr = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text",
                                "--model", folder,
                             "--to", tmp_path / "run", *QUICK, *language_options(family), "--set",
                             "training.adapter=lora")
    assert code == 0, stderr
    model_class = getattr(transformers, tiny_writers.MODEL_CLASSES[family])
    before, after = (dict(model_class.from_pretrained(model_folder).named_parameters())
                     for model_folder in (folder, tmp_path / "run" / "model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("decoder" in name for name in changed) and any("decoder" not in name for name in changed)


@pytest.mark.parametrize(("settings", "code", "message"), [
    ([], 2, "no source language was chosen"), (["data.language=en_XX"], 2, "no target language was chosen"),
    (["data.language=en_XX", "data.target_language=ro_R"], 78, "did you mean ro_RO?"),
    (["data.language=english", "data.target_language=ro_RO"], 78, "did you mean en_XX?")])
def test_an_unknown_or_missing_language_is_refused_before_weights_are_read(settings, code, message, tmp_path,
                                                                           headstart):
    folder = tiny_writers.model_folder("mbart", tmp_path / "mbart")
    tokenizer_config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({name: value for name, value in tokenizer_config.items()
                                                              if name not in ("src_lang", "tgt_lang")}))
    weights = (folder / "model.safetensors").read_bytes()
    # numbers that are none: reading them would be told
    (folder / "model.safetensors").write_bytes(weights[:-400] + b"\xff" * 400)
    exit_code, _, stderr = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "translation",
                                     "--model", folder,
                              "--to", tmp_path / "run", *(word for setting in settings for word in ("--set", setting)))
    assert exit_code == code and message in stderr, stderr


def test_a_model_of_one_language_refuses_a_target_language(folders, tmp_path, headstart):
    code, _, stderr = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text",
                                "--model", folders["led"],
                             "--to", tmp_path / "run", "--set", "data.target_language=ro_RO")
    assert code == 78 and "takes no target language" in stderr


def test_a_family_that_is_known_and_not_supported_is_refused_with_the_reason(tmp_path, headstart):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "fsmt"}))
    code, _, stderr = headstart("predict", tmp_path, "--value", "source=x")
    assert code == 69 and "two vocabularies" in stderr


def test_weights_that_the_folder_lacks_are_reported_in_training_too(folders, tmp_path, headstart):
    from safetensors.torch import load_file, save_file

    folder = tiny_writers.model_folder("bert2bert", tmp_path / "pair")
    weights = load_file(folder / "model.safetensors")
    weights = {name: value for name, value in weights.items() if "crossattention" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    code, _, stderr = headstart("finetune", jsonl(tmp_path / "rows.jsonl", rows(16)), "--task", "text-to-text",
                                "--model", folder,
                             "--to", tmp_path / "run", *QUICK)
    assert code == 69 and "would be random" in stderr


def marian_folder(folder):
    """Marian as it is published: two sentencepiece models over one vocabulary."""
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("sacremoses")
    folder.mkdir()
    for side, texts in (("source", tiny.sentences()), ("target", [text[::-1] for text in tiny.sentences()])):
        (folder / f"{side}.txt").write_text("\n".join(texts))
        sentencepiece.SentencePieceTrainer.train(input=str(folder / f"{side}.txt"), model_prefix=str(folder / side),
                                                 vocab_size=120, minloglevel=2,
                                       hard_vocab_limit=False)
        (folder / f"{side}.model").rename(folder / f"{side}.spm")
    pieces = [line.split("\t")[0] for side in ("source", "target")
              for line in (folder / f"{side}.vocab").read_text().splitlines()]
    vocab = dict.fromkeys(["</s>", "<unk>", *(piece for piece in pieces if piece not in ("<s>", "</s>", "<unk>")),
                           "<pad>"])
    (folder / "vocab.json").write_text(json.dumps({name: index for index, name in enumerate(vocab)}))
    tokenizer = transformers.MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"),
                                             str(folder / "vocab.json"),
                                        model_max_length=tiny_writers.POSITIONS)
    model = transformers.MarianMTModel(tiny_writers.config("marian", tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_marians_own_tokenizer_reads_sources_and_targets_by_two_models(tmp_path, headstart):
    folder = marian_folder(tmp_path / "marian")
    model = load(str(folder), None, seed=0)
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    text = TEXTS[0]
    target = model.tokenizer.target
    assert model.tokenizer.with_special_tokens(model.tokenizer.tokenize(text).ids)[0] == reference(text)["input_ids"]
    assert target.with_special_tokens(target.tokenize(text).ids)[0] == reference(text_target=text)[
        "input_ids"] != reference(text)["input_ids"]
    file = jsonl(tmp_path / "rows.jsonl", rows(16))
    code, _, stderr = headstart("finetune", file, "--task", "translation", "--model", folder, "--to", tmp_path / "run",
                                *QUICK)
    assert code == 0, stderr
    code, _, stderr = headstart("predict", tmp_path / "run", file, "--to", tmp_path / "out.jsonl")
    assert code == 0, stderr
    assert np.isfinite([json.loads(line)["log_probability"]
                        for line in (tmp_path / "out.jsonl").read_text().splitlines()]).all()
