"""What each layer knows of a label: states are those of plain transformers, scores those of scikit-learn."""

import json
import re

import numpy as np
import pytest
import tiny
from conftest import review_rows, write_csv

from headstart.contract import Feature
from headstart.errors import UserError
from headstart.inspection.probe import layer_states, probe
from headstart.prediction.probe_file import load_for_inspection


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_each_layers_mean_state_is_that_of_plain_transformers(family, tmp_path):
    import torch
    import transformers

    folder, texts = tiny.model_folder(family, tmp_path / "m"), tiny.texts(9)
    model, _ = load_for_inspection(str(folder), device="cpu")
    features = [Feature(*model.tokenizer.with_special_tokens(model.tokenizer.tokenize(text).ids)) for text in texts]
    states = layer_states(model, features, batch_tokens=150)
    tokenizer, plain = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(
        folder).eval()
    assert states.shape == (model.info.layers + 1, 9, 32)
    for index, text in enumerate(texts):
        with torch.no_grad():
            # which it keeps to itself
            kinds = {"token_type_ids": torch.tensor([features[index].types])} if family == "xlnet" else {}
            expected_states = plain(**tokenizer(text, return_tensors="pt"), **kinds,
                                    output_hidden_states=True).hidden_states
        assert np.allclose([layer[0].mean(0).numpy() for layer in expected_states], states[:, index], atol=1e-5)


def layered_states(rows=160, layers=4, seed=0):
    """States in which layer n holds the label the more clearly the higher n is."""
    random = np.random.default_rng(seed)
    labels = [["no", "yes", "perhaps"][n % 3] for n in range(rows)]
    centres = random.standard_normal((3, 6))[np.arange(rows) % 3]
    noise = random.standard_normal((layers, rows, 6))
    return (noise + np.arange(layers)[:, None, None] * centres).astype(np.float32), labels


def test_scores_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score

    from headstart.baselines.linear import fit_logistic
    from headstart.data.splits import split_rows

    states, labels = layered_states()
    fitted = probe(states, labels, np.arange(160), seed=3, resamples=50)
    gold = np.unique(labels, return_inverse=True)[1]
    train, test = split_rows(np.arange(160), gold, (0.75, 0.25), 3)
    assert (fitted.train_rows, fitted.test_rows) == (len(train),
                                                     len(test)) and fitted.labels == ("no", "perhaps", "yes")
    values = []
    for layer, table in zip(fitted.layers, states, strict=True):
        table = (table - table[train].mean(0)) / table[train].std(0)
        predictions = fit_logistic(table[train], gold[train], 3, 3).probabilities(table[test]).argmax(1)
        values.append(f1_score(gold[test], predictions, average="macro"))
        assert layer.macro_f1.value == pytest.approx(values[-1], abs=1e-12)
        assert layer.accuracy.value == pytest.approx(accuracy_score(gold[test], predictions), abs=1e-12)
        assert (layer.macro_f1.low <= layer.macro_f1.value <= layer.macro_f1.high and layer.difference_from_last.low
                <= layer.difference_from_last.value <= layer.difference_from_last.high)
    for layer, value in zip(fitted.layers, values, strict=True):
        assert layer.difference_from_last.value == pytest.approx(value - values[-1]) and fitted.share(
            layer) == pytest.approx(value / values[-1])
    constant = np.full(len(test), np.bincount(gold[train]).argmax())
    assert fitted.majority == pytest.approx(f1_score(gold[test], constant, average="macro"), abs=1e-12)
    assert values[0] < 0.6 < values[-1] and "The best: layer" in fitted.sentence()


def test_equal_texts_are_in_one_split():
    states, labels = layered_states(60, 2)
    doubled = np.concatenate([states, states], axis=1)
    subjects = np.concatenate([np.arange(60), np.arange(60)])
    fitted = probe(doubled, labels * 2, subjects, seed=0, resamples=0)
    assert fitted.test_rows % 2 == 0 and fitted.layers[0].macro_f1.low is None


def test_rows_of_one_label_are_refused():
    states, _ = layered_states(20, 2)
    with pytest.raises(UserError, match="two labels or more"):
        probe(states, ["a"] * 20, np.arange(20), seed=0, resamples=0)


def test_the_command_prints_every_layer(tiny_bert, headstart, tmp_path):
    data = write_csv(tmp_path / "reviews.csv", review_rows(120))
    flags = ["--probe", data, "--set", "evaluation.resamples=20"]
    code, stdout, stderr = headstart("inspect", tiny_bert, *flags)
    assert code == 0 and len(stdout.splitlines()) == 6 and stdout.splitlines()[1].startswith(
        "embeddings") and "of the last layer's macro F1" in stderr
    code, second_stdout, _ = headstart("inspect", tiny_bert, *flags, "--text", "text", "--label", "label", "--json",
                                       "--quiet")
    output = json.loads(second_stdout)
    assert code == 0 and [layer["layer"] for layer in output["layers"]] == [0, 1, 2] and output[
        "learned_from"] + output["judged_on"] == 120
    assert f"{output['layers'][1]['macro_f1']['value']:.4f}" in stdout and output["layers"][2]["share_of_last"] == 1
    for options, exit_code in ((["a text"], 2), (["--page", "a.pdf"], 2), (["--to", "a.npz"], 2),
                               (["--label", "none"], 65), (["--seed", "-1"], 2)):
        assert headstart("inspect", tiny_bert, *flags, *options)[0] in (exit_code, 2)
    assert headstart("inspect", tiny_bert, "--probe", tmp_path / "none.csv")[0] == 66
    assert headstart("inspect", tiny_bert, "a text", "--label", "label")[0] == 2


def test_the_page_shows_the_layers_as_curve_and_table(tiny_bert, headstart, tmp_path):
    data, page = write_csv(tmp_path / "<b>reviews.csv", review_rows(120)), tmp_path / "layers.html"
    flags = ["--probe", data, "--set", "evaluation.resamples=20", "--json"]
    code, stdout, stderr = headstart("inspect", tiny_bert, *flags, "--page", page)
    assert code == 0 and "layers.html" in stderr
    text, output = page.read_text(encoding="utf-8"), json.loads(stdout)
    assert ("<polyline" in text and "of the last layer" in text and "&lt;b&gt;reviews" in text
            and "<b>reviews" not in text)
    addresses = re.findall(r"https?://[^\s\"')<]+", text)
    assert "<script src" not in text and "default-src 'none'" in text
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}, "a page fetches nothing"
    for layer in output["layers"]:
        name = "embeddings" if layer["layer"] == 0 else f"layer {layer['layer']}"
        row = text.split(f"<bdi>{name}</bdi></th>")[1].split("</tr>")[0]
        assert f"{layer['macro_f1']['value']:.4f}" in row and f"{layer['minus_last']['low']:.4f}" in row
    assert sorted(path.name for path in tmp_path.iterdir()) == ["<b>reviews.csv", "layers.html"]


def test_a_long_file_is_probed_in_part_and_a_long_text_is_cut_with_a_note(tiny_bert, headstart, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.prediction.probe_file.MAX_ROWS", 60)
    rows = [*review_rows(90), ("roses " * 300, "good")]
    code, stdout, stderr = headstart("inspect", tiny_bert, "--probe", write_csv(tmp_path / "a.csv", rows), "--set",
                                     "evaluation.resamples=0")
    assert code == 0 and "probing with 60 of them" in stderr and "fitted on 4" in stdout
    monkeypatch.setattr("headstart.prediction.probe_file.MAX_ROWS", 500)
    code, stdout, stderr = headstart("inspect", tiny_bert, "--probe", tmp_path / "a.csv", "--set",
                                     "evaluation.resamples=0")
    assert code == 0 and "longer than 128 tokens, whose end is not read: 1" in stderr
