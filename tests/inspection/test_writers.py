"""A look inside encoder-decoders: encoder, decoder and what is between them are those of plain transformers."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers

import headstart
from headstart.cli.main import run_guarded
from headstart.errors import Exit, UserError
from headstart.inspection.attribution import attribute
from headstart.inspection.export import save
from headstart.inspection.inspect import inspect
from headstart.prediction.probe_file import load_for_inspection

FAMILIES = tiny_writers.ENCODER_DECODERS + tiny_writers.MORE_ENCODER_DECODERS
SOURCE, TARGET = "The gardener can't find seven green apples.", "A young doctor forgets"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writers")
    return {family: tiny_writers.model_folder(family, folder / family) for family in FAMILIES}


@pytest.fixture(scope="module")
def models(folders):
    return {family: load_for_inspection(str(folder), device="cpu", **tiny_writers.language_arguments(family))[0]
            for family, folder in folders.items()}


def plain_output(family, folder, source_ids, target_ids, start_id):
    """The whole model's output in plain transformers, with eager attention."""
    import torch
    import transformers

    model_class = getattr(transformers, tiny_writers.MODEL_CLASSES[family])
    reference = model_class.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = {"input_ids": torch.tensor([source_ids]), "attention_mask": torch.ones((1, len(source_ids)),
                                                                                    dtype=torch.long),
              "decoder_input_ids": torch.tensor([[start_id, *target_ids[:-1]]])}
    if family == "led":
        inputs["global_attention_mask"] = torch.tensor([[1] + [0] * (len(source_ids) - 1)])
    with torch.no_grad():
        return reference(**inputs, output_hidden_states=True, output_attentions=True, use_cache=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_both_sides_are_those_of_plain_transformers(family, models, folders):
    import torch

    model = models[family]
    inspection = inspect(model, SOURCE, target=TARGET)
    target = inspection.target
    source_ids, target_ids = ([token.id for token in inspection.tokens], [token.next_id for token in target.tokens])
    output = plain_output(family, folders[family], source_ids, target_ids, model.start_id)
    pairs = [(inspection.hidden_states, output.encoder_hidden_states),
             (target.hidden_states, output.decoder_hidden_states), (target.attentions, output.decoder_attentions),
             (target.cross_attentions, output.cross_attentions)]
    if family != "led":  # whose encoder's weights are windows there
        pairs.append((inspection.attentions, output.encoder_attentions))
    for actual, expected in pairs:
        assert len(actual) == len(expected)
        for layer, expected_layer in zip(actual, expected, strict=True):
            np.testing.assert_allclose(layer, expected_layer[0].numpy(), atol=1e-5)
    log_probabilities = torch.log_softmax(output.logits[0], -1).gather(1, torch.tensor(target_ids)[:, None])[:, 0]
    assert [token.log_probability for token in target.tokens] == pytest.approx(log_probabilities.tolist(), abs=1e-4)
    for weights in (inspection.attentions, target.attentions, target.cross_attentions):
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


def test_the_windows_of_led_are_squares_of_the_same_weights(models, folders):
    model = models["led"]
    text = " ".join(tiny.sentences()[:2])  # longer than its window of 4 tokens on each side
    inspection = inspect(model, text, target=TARGET)
    ids = [token.id for token in inspection.tokens]
    output = plain_output("led", folders["led"], ids, [token.next_id for token in inspection.target.tokens],
                          model.start_id)
    count = len(ids)
    assert count > 16
    for layer, windows, global_weights in zip(inspection.attentions, output.encoder_attentions,
                                              output.encoder_global_attentions, strict=True):
        for row in range(count):
            expected = np.zeros((layer.shape[0], count))
            if row == 0:
                expected = global_weights[0, :, :count, 0].numpy()
            else:
                for offset in range(-4, 5):
                    if 0 <= row + offset < count:
                        expected[:, row + offset] = windows[0, :, row, offset + 5].numpy()
                expected[:, 0] += windows[0, :, row, 0].numpy()
            np.testing.assert_allclose(layer[:, row], expected, atol=1e-6)


@pytest.mark.parametrize("family", ["t5", "bart", "bert2bert"])
def test_without_a_target_the_model_writes_one_and_is_as_it_was(family, models, folders):
    from headstart.generation.encoder_decoder import generate_targets, published_settings

    model = models[family]
    attention = [config._attn_implementation for config in (model.module.config, model.decoder_config)]
    inspection = inspect(model, SOURCE)
    ((written,),) = generate_targets(model, [list(inspection.encoded.feature.ids)], published_settings(model), seed=0)
    target = inspection.target
    assert target.written_by_model and target.text == written.text
    assert tuple(token.next_id for token in target.tokens) == written.ids
    assert [token.log_probability for token in target.tokens] == pytest.approx(written.log_probabilities, abs=1e-4)
    assert [token.id for token in target.tokens[1:]] == [token.next_id for token in target.tokens[:-1]]
    assert [config._attn_implementation for config in (model.module.config, model.decoder_config)] == attention
    assert not model.module.base_model.encoder._forward_pre_hooks
    assert np.array_equal(inspect(model, SOURCE).hidden_states, inspection.hidden_states)


def test_layers_and_heads_are_chosen_on_both_sides(models):
    full, part = (inspect(models["bart"], SOURCE, target=TARGET, **options)
                  for options in ({}, {"layers": [0, 1, 3], "heads": [2]}))
    assert (part.layers, part.target.layers, part.attention_layers, part.target.attention_layers) == (
        (0, 1), (0, 1, 3), (1,), (1, 3))
    assert np.array_equal(part.attentions, full.attentions[[0]][:, [1]])
    assert np.array_equal(part.target.cross_attentions, full.target.cross_attentions[[0, 2]][:, [1]])
    without = inspect(models["bart"], SOURCE, target=TARGET, attentions=False)
    assert not without.attentions.size and not without.target.cross_attentions.size
    with pytest.raises(UserError, match=r"The encoder of .* has layers 0 to 2, and none of them was asked for"):
        inspect(models["bart"], SOURCE, target=TARGET, layers=[3])
    with pytest.raises(UserError, match=r"layers 0 to 2 .*, but layer 4 was asked for"):
        inspect(models["bart"], SOURCE, target=TARGET, layers=[4])


@pytest.mark.parametrize("text, message", [("", "it is empty"), ("  ", "only space"),
                                           ("a " * 300, "at most 128 tokens")])
def test_a_target_that_cannot_be_is_told(text, message, models):
    with pytest.raises(UserError, match=message) as error:
        inspect(models["bart"], SOURCE, target=text)
    assert error.value.exit == Exit.DATA


def test_files_hold_both_sides(models, tmp_path):
    import pyarrow.parquet
    from safetensors import safe_open

    inspection = inspect(models["t5"], SOURCE, target=TARGET)
    target = inspection.target
    archive = np.load(save(inspection, tmp_path / "a.npz"), allow_pickle=False)
    expected = {"hidden_states": inspection.hidden_states, "attentions": inspection.attentions,
                "decoder_hidden_states": target.hidden_states, "decoder_attentions": target.attentions,
                "cross_attentions": target.cross_attentions,
                "target_log_probabilities": [token.log_probability for token in target.tokens]}
    for name, values in expected.items():
        assert np.array_equal(archive[name], values), name
    assert str(archive["target"]) == TARGET and archive["decoder_pieces"].tolist() == [
        token.piece for token in target.tokens]
    with safe_open(save(inspection, tmp_path / "a.safetensors"), "numpy") as file:
        for name in file.keys():  # noqa: SIM118  # no mapping
            assert np.array_equal(file.get_tensor(name), archive[name])
        assert json.loads(file.metadata()["target_pieces"])[-1] == "</s>"
    table = pyarrow.parquet.read_table(save(inspection, tmp_path / "a.parquet"))
    shapes = json.loads(table.schema.metadata[b"shapes"])
    assert shapes["cross_attentions"] == list(target.cross_attentions.shape) and len(table) == sum(
        int(np.prod(shape)) for shape in shapes.values())
    for row in table.to_pylist()[::53]:
        if row["what"] == "cross_attention":
            place = row["layer"] - 1, row["head"] - 1, row["token"], row["other"]
            assert row["value"] == target.cross_attentions[place]
            assert (row["piece"], row["other_piece"]) == (target.tokens[row["token"]].piece,
                                                          inspection.tokens[row["other"]].piece)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_words_of_a_source_are_scored_for_the_text_and_add_up(family, models):
    model = models[family]
    attribution = attribute(model, SOURCE, target=TARGET)
    assert attribution.kind == "text" and attribution.label == TARGET and attribution.predicted == ""
    assert attribution.value == pytest.approx(inspect(model, SOURCE, target=TARGET).target.log_probability, abs=1e-3)
    difference = attribution.value - attribution.baseline_value
    assert abs(attribution.error) <= max(0.02 * abs(difference), 0.005), (attribution.error, difference)
    special = [token.special for token in attribution.encoded.tokens]
    assert not attribution.token_scores[special].any()


def test_the_command_shows_both_sides(folders, headstart, tmp_path):
    code, stdout, stderr = headstart("inspect", folders["bart"], SOURCE, "--target", TARGET, "--to",
                                     tmp_path / "a.npz", "--page", tmp_path / "a.html", "--attribute", "gradient-x-input")
    assert code == 0 and "for A young doctor forgets" in stdout and "target as given" in stderr, stderr
    assert "cross-attentions 3 x 4 x" in stderr and (tmp_path / "a.npz").exists() and (tmp_path / "a.html").exists()
    code, stdout, stderr = headstart("inspect", folders["t5"], SOURCE)
    assert code == 0 and "log p" in stdout and "the model's own text" in stderr
    code, stdout, _ = headstart("inspect", folders["t5"], SOURCE, "--target", TARGET, "--json", "--quiet")
    target = json.loads(stdout)["target"]
    assert code == 0 and target["text"] == TARGET and not target["written_by_model"] and target["tokens"][0]["piece"] == "<pad>"
    languages = [part for key, value in tiny_writers.LANGUAGES.items() for part in ("--set", f"{key}={value}")]
    assert headstart("inspect", folders["mbart"], SOURCE, *languages, "--target", TARGET)[0] == 0
    code, _, stderr = headstart("inspect", folders["bart"], SOURCE, "--target", " ")
    assert code == Exit.DATA and "--target" not in stderr.splitlines()[0] and "only space" in stderr


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    """A short run with a prefix, which writes four tokens."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"source": text, "target": text[:15]}) + "\n"
                            for text in tiny.texts(30, seed=2)))
    settings = ("evaluation.baselines=false", "evaluation.resamples=0", "generation.max_new_tokens=4",
                "task.prefix=write:")
    assert run_guarded(["finetune", str(path), "--task", "text-to-text", "--model", str(folders["t5"]), "--to",
                        str(folder / "run"), "--epochs", "1", "--quiet",
                        *(part for setting in settings for part in ("--set", setting))]) == 0
    return folder / "run"


def test_a_run_reads_its_prefix_and_writes_by_its_own_settings(run):
    inspection, model = headstart.inspect(run, "seven apples"), headstart.load(run)
    assert inspection.encoded.text == "write:seven apples"
    (row,) = model.predict([{"source": "seven apples"}])
    assert inspection.target.text == row["prediction"] and len(inspection.target.tokens) <= 5
    assert np.array_equal(model.inspect("seven apples").target.cross_attentions, inspection.target.cross_attentions)
    assert model.attribute("seven apples", method="occlusion").predicted == row["prediction"]


def test_the_command_tells_the_prefix(run, headstart):
    code, _, stderr = headstart("inspect", run, "seven apples")
    assert code == 0 and "prefix of each source: 'write:'" in stderr


@pytest.mark.parametrize("family", ["t5", "led", "bert2bert"])
def test_the_layers_of_an_encoder_are_probed(family, folders, headstart, tmp_path):
    texts = [f"{text} {label}" for text, label in zip(tiny.texts(60), ["roses", "card"] * 30, strict=True)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f'"{text}",{text.split()[-1]}\n' for text in texts))
    code, stdout, stderr = headstart("inspect", folders[family], "--probe", tmp_path / "rows.csv", "--set",
                                     "evaluation.resamples=20")
    assert code == 0 and stdout.splitlines()[1].startswith("embeddings") and stdout.splitlines()[3][0] == "2", stderr


def test_a_target_belongs_to_a_model_that_writes(tmp_path):
    model, _ = load_for_inspection(str(tiny.model_folder("bert", tmp_path / "bert")), device="cpu")
    with pytest.raises(UserError, match="A target is for models that write one for a source"):
        inspect(model, SOURCE, target=TARGET)
