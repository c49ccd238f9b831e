"""Early exit: each text is answered at the layer, and as, plain transformers with so many layers answers it."""

import copy
import json

import pytest
import tiny
import torch
from safetensors.torch import load_file

from headstart.artifacts import artifact
from headstart.contract import Learned, Row
from headstart.contract.losses import CrossEntropy, SquaredError
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.models.exits import early_exit, exit_heads
from headstart.models.exits.early_exit import ExitRule
from headstart.models.heads.pooling import last_linear
from headstart.models.loading.load import load
from headstart.prediction.torch_runtime import full_depth, torch_predictor
from headstart.settings import EarlyExit, Training
from headstart.tasks.regression import Regression
from headstart.tasks.text_classification import TextClassification
from headstart.training.losses import build_loss
from headstart.training.objectives.early_exit import EarlyExitLoss

LABELS = ("bad", "good", "mixed")
LAYERS = 5
LAYERS_KEY = {"distilbert": "n_layers"}
FAMILIES = ("bert", "albert", "distilbert", "roberta", "xlm-roberta", "electra", "mpnet")
TEXTS = tiny.texts(20)


def saved_model(family, folder, task, *, threshold=None, pooling="mean", **changes):
    """An artifact of a tiny model with random heads after every layer."""
    names = ["number"] if task.name == "regression" else LABELS
    plain = tiny.model_folder(family, folder / "plain", "sequence-classification", names,
                              **{LAYERS_KEY.get(family, "num_hidden_layers"): LAYERS} | changes)
    model = load(str(plain), None, seed=0)
    exit_heads.attach(model.module, LAYERS - 1)
    generator = torch.Generator().manual_seed(1)
    for weight in model.module.early_exits.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    model.early_exit = EarlyExit(1, pooling, threshold)
    artifact.save(folder / "model", model, task, "", {})
    return folder / "model"


def classification(**values):
    return TextClassification().with_learned(Learned(LABELS, (1, 1, 1), values))


def only_the_mean(_, inputs, output):
    """A hook of an encoder: every token has the mean state of its text, which stands alone."""
    output.last_hidden_state = output.last_hidden_state.mean(dim=1, keepdim=True).expand_as(output.last_hidden_state)
    return output


def plain_logits(folder, texts, pooling="mean"):
    """Per layer the logits of plain transformers with so many layers alone and that layer's head: [(M, C)]."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, exits = AutoTokenizer.from_pretrained(folder), load_file(folder / exit_heads.EXITS_FILE)
    logits_by_layer = []
    for layers in range(1, LAYERS + 1):
        config = AutoConfig.from_pretrained(folder)
        config.num_hidden_layers = layers
        plain = AutoModelForSequenceClassification.from_pretrained(folder, config=config).eval()
        if layers < LAYERS:
            prefix = f"{layers - 1}."
            plain.classifier.load_state_dict({name.removeprefix(prefix): weight for name, weight in exits.items()
                                              if name.startswith(prefix)})
            encoder = getattr(plain.base_model, "encoder", None) or plain.base_model.transformer
            if pooling == "mean":
                encoder.register_forward_hook(only_the_mean)
        with torch.no_grad():
            logits_by_layer.append(torch.cat([
                plain(**tokenizer(text, return_tensors="pt", truncation=True, max_length=tiny.POSITIONS)).logits
                for text in texts]))
    return logits_by_layer


def slow_answer(logits_by_layer, text, patience, agree):
    """The loop of the paper for one text: its logits, and the layer where it is answered."""
    counter = 0
    for layer in range(1, LAYERS + 1):
        logits = logits_by_layer[layer - 1][text]
        if layer > 1:
            counter = counter + 1 if agree(logits, logits_by_layer[layer - 2][text]) else 0
        if counter == patience or layer == LAYERS:
            return logits, layer
    raise AssertionError


def same_class(logits, earlier_logits):
    return int(logits.argmax()) == int(earlier_logits.argmax())


@pytest.mark.parametrize(("family", "pooling"), [*((family, "mean") for family in FAMILIES), ("bert", "first"),
                                                 ("mpnet", "first")])
def test_each_text_is_answered_where_and_as_plain_transformers_answers_it(family, pooling, tmp_path):
    folder = saved_model(family, tmp_path, classification(), pooling=pooling)
    task, model = artifact.load(str(folder))
    examples = [task.read(Row(index, {"text": text})) for index, text in enumerate(TEXTS)]
    logits_by_layer = plain_logits(folder, TEXTS, pooling)
    layers_seen = set()
    for patience in (1, 2, 3):
        model.early_exit = EarlyExit(patience, pooling)
        predictor = torch_predictor(task, model, batch_tokens=512)
        predictions = list(predictor.predict(examples))
        singly = [next(iter(predictor.predict([example]))) for example in examples]
        for index, (prediction, alone) in enumerate(zip(predictions, singly, strict=True)):
            logits, layer = slow_answer(logits_by_layer, index, patience, same_class)
            expected = dict(zip(LABELS, torch.softmax(logits, 0).tolist(), strict=True))
            assert prediction.values["layers_used"] == alone.values["layers_used"] == layer
            assert prediction.values["probabilities"] == pytest.approx(expected, abs=1e-5)
            assert alone.values["probabilities"] == pytest.approx(expected, abs=1e-5)
            layers_seen.add(layer)
    assert {LAYERS} < layers_seen


@pytest.mark.parametrize("family", ["bert", "albert", "mpnet"])
def test_patience_of_all_layers_is_full_depth(family, tmp_path):
    task, model = artifact.load(str(saved_model(family, tmp_path, classification())))
    examples = [task.read(Row(index, {"text": text})) for index, text in enumerate(TEXTS)]
    model.early_exit = EarlyExit(LAYERS)
    patient = torch_predictor(task, model, batch_tokens=512)
    for prediction, full in zip(patient.predict(examples), full_depth(patient).predict(examples), strict=True):
        assert prediction.values == {**full.values, "layers_used": LAYERS}
    features = [feature for example in examples for feature in task.encode(example, model.tokenizer)]
    for is_packed in {False, model.can_pack}:  # layer by layer, whatever the layout
        batch = collate(features, model.layout(packed=is_packed))
        with torch.no_grad():
            outputs = early_exit.read_until_answered(model, batch, ExitRule(LAYERS))
            torch.testing.assert_close(outputs["logits"], model.forward(batch)["logits"], rtol=0, atol=1e-5)
        assert outputs["layers"].tolist() == [LAYERS] * len(examples)


def test_numbers_agree_within_the_threshold_in_the_units_of_the_file(tmp_path):
    learned = Learned(values={"mean": 50.0, "scale": 20.0})
    task = Regression().with_learned(learned)
    folder = saved_model("bert", tmp_path, task, threshold=8.0)
    loaded_task, model = artifact.load(str(folder))
    assert model.early_exit == EarlyExit(1, "mean", 8.0) and loaded_task.learned.values["scale"] == 1.0
    examples = [loaded_task.read(Row(index, {"text": text})) for index, text in enumerate(TEXTS)]
    logits_by_layer = plain_logits(folder, TEXTS)  # in the file's units: the scale is folded into every head
    predictions = list(torch_predictor(loaded_task, model, batch_tokens=512).predict(examples))
    for index, prediction in enumerate(predictions):
        logits, layer = slow_answer(logits_by_layer, index, 1, lambda now, before: abs(float(now - before)) < 8.0)
        assert prediction.values["layers_used"] == layer
        assert prediction.values["prediction"] == pytest.approx(float(logits), abs=1e-3)
    assert {LAYERS} < {prediction.values["layers_used"] for prediction in predictions}
    unfolded = load(str(tmp_path / "plain"), None, seed=0)  # as in the run that trained it
    unfolded.module.early_exits = copy.deepcopy(model.module.early_exits)
    with torch.no_grad():
        for head in unfolded.module.early_exits:
            head.weight.div_(20.0)
            head.bias.sub_(50.0).div_(20.0)
    unfolded.early_exit = model.early_exit
    in_run = list(torch_predictor(task, unfolded, batch_tokens=512).predict(examples))
    assert [prediction.values["layers_used"] for prediction in in_run] == [
        prediction.values["layers_used"] for prediction in predictions]


def test_windows_of_a_long_text_are_answered_one_by_one(tmp_path):
    folder = saved_model("bert", tmp_path, classification())
    task, model = artifact.load(str(folder))
    task = type(task)(type(task.settings)(long_texts="windows", overlap=4), task.state)
    model.tokenizer = model.tokenizer.with_max_length(24)
    example = task.read(Row(0, {"text": " ".join(TEXTS[:6])}))
    predictor = torch_predictor(task, model, batch_tokens=512)
    prediction = next(iter(predictor.predict([example])))
    features = task.encode(example, model.tokenizer)
    layers = [int(output["layers"]) for _, output in sorted(predictor.runtime.outputs(features), key=lambda pair: pair[0])]
    assert len(layers) > 3 and len(set(layers)) > 1
    assert prediction.values["layers_used"] == pytest.approx(sum(layers) / len(layers))


@pytest.mark.parametrize("family", ["bert", "albert", "distilbert", "mpnet"])
@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredError()])
def test_the_loss_weighs_each_layer_by_its_number(family, loss, tmp_path):
    task = classification() if isinstance(loss, CrossEntropy) else Regression().with_learned(
        Learned(values={"mean": 0.0, "scale": 1.0}))
    folder = saved_model(family, tmp_path, task)
    task, model = artifact.load(str(folder))
    values = LABELS if isinstance(loss, CrossEntropy) else (0.5, -1.0, 2.0)
    name = "label" if isinstance(loss, CrossEntropy) else "target"
    features = [task.encode(task.read(Row(index, {"text": text, name: values[index % 3]})), model.tokenizer)[0]
                for index, text in enumerate(TEXTS[:6])]
    targets = torch.tensor([feature.targets["label"].value for feature in features])
    expected = 0.0
    for layer, logits in enumerate(plain_logits(folder, TEXTS[:6]), start=1):
        layer_loss = (torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
                      if isinstance(loss, CrossEntropy) else ((logits[:, 0] - targets) ** 2).sum())
        expected += layer * float(layer_loss) / (LAYERS * (LAYERS + 1) / 2)
    objective = EarlyExitLoss(build_loss(loss, Training(), ()))
    for is_packed in {False, model.can_pack}:
        total = objective(model, collate(features, model.layout(packed=is_packed)))
        assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    total.backward()
    gradients = {name: weight.grad for name, weight in model.module.named_parameters() if "early_exits" in name}
    assert gradients and all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())


def test_a_folder_with_other_missing_or_changed_heads_is_refused(tmp_path):
    folder = saved_model("bert", tmp_path, classification())
    file = folder / exit_heads.EXITS_FILE
    whole = file.read_bytes()
    assert exit_heads.EXITS_FILE in json.loads((folder / "headstart.json").read_text())["sha256"]
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="early_exits") as error:
        artifact.load(str(folder))
    assert error.value.exit == Exit.UNAVAILABLE
    file.unlink()
    with pytest.raises(UserError, match="early_exits") as error:
        artifact.load(str(folder))
    assert error.value.exit == Exit.UNAVAILABLE
    other = saved_model("bert", tmp_path / "wide", classification(), hidden_size=16)
    file.write_bytes((other / exit_heads.EXITS_FILE).read_bytes())
    model = load(str(tmp_path / "plain"), None, seed=0)
    with pytest.raises(UserError, match="does not fit"):
        exit_heads.load(model.module, LAYERS - 1, folder, {})


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_scale_of_numbers_is_folded_into_the_head_and_nothing_else(family, tmp_path):
    """XLM-RoBERTa makes its head before its backbone: its last linear layer of all is not the head's."""
    folder = tiny.model_folder(family, tmp_path / family, "sequence-classification", ["number"])
    model = load(str(folder), None, seed=0)
    head = getattr(model.module, exit_heads.head_name(model.module))
    assert head is not model.module.base_model
    assert any(layer is last_linear(model.module) for layer in head.modules())
    assert last_linear(model.module).out_features == 1


def test_plain_transformers_finds_an_ordinary_folder(tmp_path):
    from transformers import AutoModelForSequenceClassification

    folder = saved_model("roberta", tmp_path, classification())
    _, loading = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
