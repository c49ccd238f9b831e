"""What is peculiar to families that generate: prefixes, languages, control codes, positions, masks, memories."""

import json

import pytest
import tiny
import torch
import transformers

import headstart
from headstart.contract import HeadSpec, Row
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.errors import UserError
from headstart.models.loading.load import load
from headstart.prediction.torch_runtime import torch_predictor
from headstart.tasks.language_model import LanguageModel

CAUSAL_LM = "causal-language-model"
PROMPTS = ["The gardener waters", "My sister can't find seven green apples before", "Nobody here", "river bank"]
LANGUAGES = {"n_langs": 3, "lang2id": {"en": 0, "fr": 1, "de": 2}, "id2lang": {"0": "en", "1": "fr", "2": "de"},
             "use_lang_emb": True}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Folders of generating models by name."""
    folders = {}

    def build(name):
        if name not in folders:
            family, changes = {"clm": ("xlm", LANGUAGES | {"causal": True}),
                               "mlm": ("xlm", LANGUAGES | {"mask_token_id": 5}),
                               "bert": ("bert", {"is_decoder": True}), "roberta": ("roberta", {"is_decoder": True}),
                               "xlm-roberta": ("xlm-roberta", {"is_decoder": True})}.get(name, (name, {}))
            head = "masked-language-model" if name == "mlm" else CAUSAL_LM
            folders[name] = tiny.model_folder(family, tmp_path_factory.mktemp("families") / name, head, seed=4,
                                              **changes)
        return folders[name]

    return build


def pieces(row):
    return [token["token"] for token in row["tokens"]]


def ids_of(model, prompt):
    tokenizer = model.transformer.tokenizer
    return [*(token for token, _ in tokenizer.single_template[0]), *tokenizer.tokenize(prompt).ids]


def recomputed(model, ids, count, scores):
    """Greedy search without a cache."""
    ids, logs = list(ids), []
    for _ in range(count):
        with torch.inference_mode():
            values = scores(torch.tensor([ids])).float().log_softmax(-1)
        ids.append(int(values.argmax()))
        logs.append(float(values.max()))
    return ids[-count:], logs


def assert_generated(model, row, ids, logs):
    ends = {model.transformer.tokenizer.end_id, model.transformer.module.generation_config.eos_token_id}
    length = next((position for position, token in enumerate(ids) if token in ends), len(ids))
    assert pieces(row) == model.transformer.tokenizer.pieces(ids[:length])
    assert all(abs(row_token["log_probability"] - value) < 1e-4
               for row_token, value in zip(row["tokens"], logs, strict=False))


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta"])
def test_decoders_made_of_encoders_write_what_a_model_without_cache_says(name, folder_of):
    """The library's steps count positions from 0, which is wrong for RoBERTa."""
    model = headstart.load(folder_of(name))
    assert model.transformer.kind == "decoder"
    for prompt, row in zip(PROMPTS, model.generate(PROMPTS, max_new_tokens=10), strict=True):
        ids, logs = recomputed(model, ids_of(model, prompt), 10,
                               lambda ids: model.transformer.module(ids).logits[0, -1])
        assert_generated(model, row, ids, logs)
        (beams,) = model.generate([prompt], max_new_tokens=5, num_beams=2)
        assert beams["log_probability"] < 0


def test_transformer_xl_writes_with_memories_what_a_model_without_cache_says(folder_of):
    model = headstart.load(folder_of("transfo-xl"))
    for prompt, row in zip(PROMPTS, model.generate(PROMPTS, max_new_tokens=30, prefix="none"), strict=True):
        assert_generated(model, row, *recomputed(model, ids_of(model, prompt), 30,
                                                 lambda ids: model.transformer.module(ids).logits[0, -1]))


@pytest.mark.parametrize("beams", [1, 3])
def test_xlnet_writes_what_plain_transformers_writes(beams, folder_of):
    model, reference = headstart.load(folder_of("xlnet")), transformers.AutoModelForCausalLM.from_pretrained(
        folder_of("xlnet")).eval()
    for prompt, row in zip(PROMPTS, model.generate(PROMPTS, max_new_tokens=8, prefix="none", num_beams=beams),
                           strict=True):
        ids = torch.tensor([ids_of(model, prompt)])
        reference_ids = reference.generate(ids, max_new_tokens=8, do_sample=False,
                                           num_beams=beams)[0, ids.shape[1]:].tolist()
        assert_generated(model, row, reference_ids, [])
        assert row["log_probability"] < 0


def test_a_neutral_prefix_is_read_first_and_left_out_of_the_text(folder_of):
    for name in ("xlnet", "transfo-xl"):
        model = headstart.load(folder_of(name))
        bare, auto, own_prefix = (model.generate(["The gardener waters"], max_new_tokens=6, prefix=text)[0]
                                  for text in ("none", "auto", "The river bank."))
        assert len({tuple(pieces(row)) for row in (bare, auto, own_prefix)}) > 1 and not auto["cut_tokens"]
        assert "orchards" not in auto["prediction"] and "town lies" not in auto["prediction"]
    loaded = headstart.load(folder_of("transfo-xl")).transformer
    assert loaded.tokenizer.hf_tokenizer.tokenize("the roses, seven green apples!") == ["the", "roses", ",", "seven",
                                                                                        "green", "apples", "!"]


@pytest.mark.parametrize("name", ["clm", "mlm"])
def test_xlm_writes_in_the_language_that_was_asked_for(name, folder_of):
    """A causal one reads the next word at the last; one that hides words writes a mask at a time, as the library does.
    """
    model = headstart.load(folder_of(name))
    module, texts = model.transformer.module, {}
    for language, language_id in (("en", 0), ("fr", 1)):
        rows = model.generate(PROMPTS, max_new_tokens=6, language=language)
        texts[language] = [pieces(row) for row in rows]
        for prompt, row in zip(PROMPTS, rows, strict=True):
            ids = ids_of(model, prompt)
            if name == "mlm":
                module.config.lang_id = language_id
                # transformers 5.24 hands this model a cache in which every step's mask stays, and so writes something
                # else with one.
                reference_ids = module.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False,
                                                use_cache=False)[0, len(ids):].tolist()
                assert_generated(model, row, reference_ids, [])
            else:
                assert_generated(model, row, *recomputed(model, ids, 6, lambda ids, language_number=language_id: module(
                    ids, langs=torch.full_like(ids, language_number)).logits[0, -1]))
        (beams,) = model.generate(PROMPTS[:1], max_new_tokens=4, num_beams=2, language=language)
        assert beams["log_probability"] < 0
    assert texts["en"] != texts["fr"]


def test_a_language_is_asked_for_and_an_unknown_one_refused_before_weights_are_read(folder_of, headstart):
    folder = folder_of("clm")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-400] + b"\xff" * 400)
    try:
        code, _, stderr = headstart("generate", folder, "Hello")
        assert code == 2 and "en, fr, de" in stderr and "generation.language" in stderr
        code, _, stderr = headstart("generate", folder, "Hello", "--set", "generation.language=frr")
        assert code == 78 and "did you mean fr?" in stderr
    finally:
        weights.write_bytes(content)
    code, stdout, _ = headstart("generate", folder, "Hello", "--set", "generation.language=fr", "--max-new-tokens", 3)
    assert code == 0 and stdout
    code, _, stderr = headstart("generate", folder_of("xlnet"), "Hello", "--set", "generation.language=fr")
    assert code == 78 and "Leave the language out" in stderr


def folder_with_codes(folder, target):
    """CTRL with three of its codes in the vocabulary."""
    import shutil

    copy = shutil.copytree(folder, target)
    vocab = json.loads((copy / "vocab.json").read_text(encoding="utf-8"))
    words = sorted(vocab, key=vocab.get)[-3:]
    renamed = dict(zip(words, ("Links", "Books", "Wikipedia"), strict=True))
    (copy / "vocab.json").write_text(json.dumps({renamed.get(word, word): index for word, index in vocab.items()}),
                                     encoding="utf-8")
    return copy


def test_ctrl_asks_for_a_control_code_and_advises_on_drawing(folder_of, tmp_path, headstart):
    folder = folder_with_codes(folder_of("ctrl"), tmp_path / "ctrl")
    code, stdout, _ = headstart("generate", folder, "Books the roses", "--max-new-tokens", 4)
    assert code == 0 and stdout.startswith("Books the roses")
    code, _, stderr = headstart("generate", folder, "Book the roses", "--max-new-tokens", 4)
    assert code == 2 and "did you mean Books?" in stderr and "Wikipedia" in stderr
    code, _, stderr = headstart("generate", folder, "the roses", "--max-new-tokens", 4, "--sample", "--set",
                                "generation.control_code=Links")
    assert code == 0 and "low temperature" in stderr
    code, _, stderr = headstart("generate", folder, "the roses", "--max-new-tokens", 4, "--set",
                                "generation.control_code=none")
    assert code == 0, stderr
    code, _, stderr = headstart("generate", folder_of("xlnet"), "the roses", "--set", "generation.control_code=Links")
    assert code == 78 and "no control codes" in stderr


def test_an_encoder_is_refused_although_its_family_can_be_fine_tuned(folder_of, tiny_bert, headstart):
    code, _, stderr = headstart("generate", tiny_bert, "Hello")
    assert code == 2 and "cannot generate text" in stderr and "--task language-model" in stderr
    with pytest.raises(UserError, match="cannot generate text"):
        load_masked(folder_of)


def load_masked(folder_of):
    from headstart.api.generator import load_generator

    load_generator(tiny.model_folder("bert", folder_of("bert").parent / "masked", "masked-language-model"),
                   prompts=["x"])


@pytest.mark.parametrize("name", ["xlnet", "clm", "bert", "roberta"])
def test_the_loss_of_a_language_model_is_read_from_left_to_right(name, folder_of):
    """XLNet: the question at each place sees what stands before it, and neither itself nor what follows."""
    model, task = load(str(folder_of(name)), None, seed=0), LanguageModel()
    model.module.eval()
    rows = [task.read(Row(number, {"text": text})) for number, text in enumerate(tiny.texts(4, seed=3))]
    for example, prediction in zip(rows, torch_predictor(task, model, batch_tokens=512).predict(rows), strict=True):
        ids = [model.tokenizer.start_id, *model.tokenizer.tokenize(example.text).ids, model.tokenizer.end_id]
        loss = 0.0
        for end in range(1, len(ids)):
            prefix_ids = torch.tensor([ids[:end]])
            arguments = {}
            if name == "xlnet":
                prefix_ids = torch.nn.functional.pad(prefix_ids, (0, 1))
                arguments = {"perm_mask": torch.ones(1, end + 1, end + 1).triu(),
                             "target_mapping": torch.eye(end + 1)[None, -1:]}
            with torch.inference_mode():
                logits = model.module(prefix_ids, **arguments).logits[0, -1]
            loss -= float(logits.log_softmax(-1)[ids[end]])
        assert abs(loss - prediction.detail["loss"]) < 1e-4 * loss


@pytest.mark.parametrize("family", ["roberta", "xlnet", "xlm", "bert"])
def test_a_pretrained_encoder_learns_to_write(family, tmp_path, headstart):
    base = tiny.model_folder(family, tmp_path / "base", None if family == "xlnet" else "masked-language-model", seed=2)
    (tmp_path / "texts.txt").write_text("\n".join(tiny.texts(100, seed=7)))
    code, _, stderr = headstart("finetune", tmp_path / "texts.txt", "--task", "language-model", "--model", base, "--to",
                                tmp_path / "run", "--epochs", 3,
                               "--learning-rate", "5e-3", "--batch-size", 16, "--set", "evaluation.resamples=20",
                               "--set", "evaluation.baselines=false")
    assert code == 0, stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())["test"]
    assert scores["perplexity"]["value"] < 120
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config.get("is_decoder") or config.get("causal") or family == "xlnet"
    code, stdout, _ = headstart("generate", tmp_path / "run", "The gardener", "--max-new-tokens", 5)
    assert code == 0 and stdout.startswith("The gardener")


def test_a_head_for_labels_on_a_decoder_of_bert_reads_both_sides_again(folder_of):
    model = load(str(folder_of("bert")), HeadSpec("sequence-classification", 2), seed=0)
    assert model.kind == "encoder" and not model.module.config.is_decoder


def test_inspecting_a_decoder_made_of_an_encoder_shows_one_side_alone(folder_of):
    import numpy as np

    inspection = headstart.inspect(folder_of("bert"), "The gardener waters the roses.")
    attentions = inspection.attentions
    assert np.allclose(np.triu(attentions[0, 0], 1), 0) and attentions.shape[-1] > 4


def test_xlnet_trains_on_random_orders_when_asked_to(folder_of, tmp_path, headstart):
    from headstart.contract import Feature, Target
    from headstart.data.features.batches import collate

    model = load(str(folder_of("xlnet")), HeadSpec(CAUSAL_LM, 0, loss=VocabularyCrossEntropy(), permutation_order=True), seed=0,
                 dropout=0.0)
    ids = model.tokenizer.tokenize("The gardener waters the roses.").ids
    batch = collate([Feature(ids, [0] * len(ids), {"label": Target(ids[1:], "position")},
                             label_positions=range(len(ids) - 1))], model.layout(packed=False))
    logits = {}
    for mode in ("eval", "train"):
        getattr(model.module, mode)()
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(5)
            logits[mode] = model.forward(batch)["logits"]
            torch.manual_seed(5)
            assert torch.equal(logits[mode], model.forward(batch)["logits"])
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(5)
        ranks = torch.rand(1, len(ids) + 1).argsort(1)[0]
        mask = (ranks[None, :] >= ranks[:, None]).float()[None]
        expected_logits = model.module(torch.tensor([[*ids, 0]]),
                                       attention_mask=torch.tensor([[1.0] * len(ids) + [0.0]]), perm_mask=mask,
                             target_mapping=torch.eye(len(ids) + 1)[None, 1:]).logits[0, :-1]
    assert torch.allclose(logits["train"], expected_logits,
                          atol=1e-5) and not torch.allclose(logits["train"], logits["eval"], atol=1e-2)
    (tmp_path / "texts.txt").write_text("\n".join(tiny.texts(60, seed=7)))
    options = ["--task", "language-model", "--epochs", 1, "--set", "task.order=drawn", "--set",
               "evaluation.baselines=false", "--set", "evaluation.generated_samples=0"]
    code, _, stderr = headstart("finetune", tmp_path / "texts.txt", "--model", folder_of("xlnet"), "--to",
                                tmp_path / "run", *options)
    assert code == 0, stderr
    code, _, stderr = headstart("finetune", tmp_path / "texts.txt", "--model", folder_of("roberta"), "--to",
                                tmp_path / "other", *options)
    assert code == 2 and "not in permuted orders" in stderr
