"""What each layer knows of a label: states are those of plain transformers, scores those of scikit-learn."""

import json

import numpy as np
import pytest
import tiny
from conftest import made_rows, write_csv

from headstart.contract import Feature
from headstart.errors import UserError
from headstart.inspection.probe import layer_states, probe
from headstart.prediction.probe_file import opened


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_each_layers_mean_state_is_that_of_plain_transformers(family, tmp_path):
    import torch
    import transformers

    folder, texts = tiny.model_folder(family, tmp_path / "m"), tiny.texts(9)
    model, _ = opened(str(folder), device="cpu")
    features = [Feature(*model.tokenizer.lay_out(model.tokenizer.tokenize(text).ids)) for text in texts]
    ours = layer_states(model, features, batch_tokens=150)
    tokenizer, plain = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()
    assert ours.shape == (model.facts.layers + 1, 9, 32)
    for place, text in enumerate(texts):
        with torch.no_grad():
            kinds = {"token_type_ids": torch.tensor([features[place].types])} if family == "xlnet" else {}  # which it keeps to itself
            states = plain(**tokenizer(text, return_tensors="pt"), **kinds, output_hidden_states=True).hidden_states
        assert np.allclose([layer[0].mean(0).numpy() for layer in states], ours[:, place], atol=1e-5)


def made(rows=160, layers=4, seed=0):
    """States in which layer n holds the label the more clearly the higher n is."""
    draw = np.random.default_rng(seed)
    labels = [["no", "yes", "perhaps"][n % 3] for n in range(rows)]
    centres = draw.standard_normal((3, 6))[np.arange(rows) % 3]
    noise = draw.standard_normal((layers, rows, 6))
    return (noise + np.arange(layers)[:, None, None] * centres).astype(np.float32), labels


def test_scores_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score

    from headstart.baselines.linear import fit_logistic
    from headstart.data.splits import split

    states, labels = made()
    found = probe(states, labels, np.arange(160), seed=3, resamples=50)
    gold = np.unique(labels, return_inverse=True)[1]
    learn, judge = split(np.arange(160), gold, (0.75, 0.25), 3)
    assert (found.learned_from, found.judged_on) == (len(learn), len(judge)) and found.labels == ("no", "perhaps", "yes")
    values = []
    for layer, table in zip(found.layers, states, strict=True):
        table = (table - table[learn].mean(0)) / table[learn].std(0)
        answers = fit_logistic(table[learn], gold[learn], 3, 3).probabilities(table[judge]).argmax(1)
        values.append(f1_score(gold[judge], answers, average="macro"))
        assert layer.macro_f1.value == pytest.approx(values[-1], abs=1e-12)
        assert layer.accuracy.value == pytest.approx(accuracy_score(gold[judge], answers), abs=1e-12)
        assert layer.macro_f1.low <= layer.macro_f1.value <= layer.macro_f1.high and layer.gap.low <= layer.gap.value <= layer.gap.high
    for layer, value in zip(found.layers, values, strict=True):
        assert layer.gap.value == pytest.approx(value - values[-1]) and found.share(layer) == pytest.approx(value / values[-1])
    constant = np.full(len(judge), np.bincount(gold[learn]).argmax())
    assert found.majority == pytest.approx(f1_score(gold[judge], constant, average="macro"), abs=1e-12)
    assert values[0] < 0.6 < values[-1] and "The best: layer" in found.sentence()


def test_equal_texts_stand_on_one_side():
    states, labels = made(60, 2)
    doubled = np.concatenate([states, states], axis=1)
    subjects = np.concatenate([np.arange(60), np.arange(60)])
    found = probe(doubled, labels * 2, subjects, seed=0, resamples=0)
    assert found.judged_on % 2 == 0 and found.layers[0].macro_f1.low is None


def test_rows_of_one_label_teach_nothing():
    states, _ = made(20, 2)
    with pytest.raises(UserError, match="two labels or more"):
        probe(states, ["a"] * 20, np.arange(20), seed=0, resamples=0)


def test_the_command_tells_every_layer(tiny_bert, headstart, tmp_path):
    data = write_csv(tmp_path / "reviews.csv", made_rows(120))
    flags = ["--probe", data, "--set", "evaluation.resamples=20"]
    code, out, err = headstart("inspect", tiny_bert, *flags)
    assert code == 0 and len(out.splitlines()) == 6 and out.splitlines()[1].startswith("embeddings") and "of the last layer's macro F1" in err
    code, again, _ = headstart("inspect", tiny_bert, *flags, "--text", "text", "--label", "label", "--json", "--quiet")
    held = json.loads(again)
    assert code == 0 and [layer["layer"] for layer in held["layers"]] == [0, 1, 2] and held["learned_from"] + held["judged_on"] == 120
    assert f"{held['layers'][1]['macro_f1']['value']:.4f}" in out and held["layers"][2]["share_of_last"] == 1
    for words, exit_code in ((["a text"], 2), (["--page", "a.pdf"], 2), (["--to", "a.npz"], 2), (["--label", "none"], 65), (["--seed", "-1"], 2)):
        assert headstart("inspect", tiny_bert, *flags, *words)[0] in (exit_code, 2)
    assert headstart("inspect", tiny_bert, "--probe", tmp_path / "none.csv")[0] == 66
    assert headstart("inspect", tiny_bert, "a text", "--label", "label")[0] == 2


def test_the_page_draws_the_layers_and_tells_them_in_numbers(tiny_bert, headstart, tmp_path):
    data, page = write_csv(tmp_path / "<b>reviews.csv", made_rows(120)), tmp_path / "layers.html"
    flags = ["--probe", data, "--set", "evaluation.resamples=20", "--json"]
    code, out, err = headstart("inspect", tiny_bert, *flags, "--page", page)
    assert code == 0 and "layers.html" in err
    text, held = page.read_text(encoding="utf-8"), json.loads(out)
    assert "<polyline" in text and "of the last layer" in text and "&lt;b&gt;reviews" in text and "<b>reviews" not in text
    assert "<script" not in text and "http" not in text.replace('http-equiv', "")
    for layer in held["layers"]:
        row = text.split("embeddings</th>" if layer["layer"] == 0 else f"layer {layer['layer']}</th>")[1].split("</tr>")[0]
        assert f"{layer['macro_f1']['value']:.4f}" in row and f"{layer['minus_last']['low']:.4f}" in row
    assert sorted(path.name for path in tmp_path.iterdir()) == ["<b>reviews.csv", "layers.html"]


def test_a_long_file_is_probed_in_part_and_a_long_text_is_cut_and_told(tiny_bert, headstart, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.prediction.probe_file.MOST_ROWS", 60)
    rows = [*made_rows(90), ("roses " * 300, "good")]
    code, out, err = headstart("inspect", tiny_bert, "--probe", write_csv(tmp_path / "a.csv", rows), "--set", "evaluation.resamples=0")
    assert code == 0 and "probing with 60 of them" in err and "learned from 4" in out
    monkeypatch.setattr("headstart.prediction.probe_file.MOST_ROWS", 500)
    code, out, err = headstart("inspect", tiny_bert, "--probe", tmp_path / "a.csv", "--set", "evaluation.resamples=0")
    assert code == 0 and "longer than 128 tokens, whose rest is not read: 1" in err
