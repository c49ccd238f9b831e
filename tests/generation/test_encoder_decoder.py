"""Encoder-decoders: loss, gradients and texts are those of plain transformers; runs, files, scores."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
import transformers

import headstart as product
from headstart.contract import Feature, HeadSpec, Layout, Row, Target
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.data.features.batches import collate
from headstart.generation.encoder_decoder import generate_targets, new_cache
from headstart.models.loading.load import load
from headstart.models.loading.transformers_compat import with_cache
from headstart.settings import Generation, Training
from headstart.tasks.summarization import Summarization
from headstart.tasks.text_to_text import TextToText
from headstart.training.losses import build_loss
from headstart.training.objectives.objective import total_weight

EACH_FAMILY = pytest.mark.parametrize("family", tiny_writers.ENCODER_DECODERS)
SPEC = HeadSpec("sequence-to-sequence", 0, loss=VocabularyCrossEntropy())
TEXTS = tiny.texts(8, seed=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder_decoders")
    return {family: tiny_writers.model_folder(family, folder / family, seed=2)
            for family in tiny_writers.ENCODER_DECODERS}


def load_both(folder):
    model = load(str(folder), None, seed=0)
    model.module.eval()
    reference = getattr(transformers, type(model.module).__name__).from_pretrained(folder,
                                                                                   attn_implementation="eager").eval()
    return model, reference


def features(model):
    examples = []
    for source, target in zip(TEXTS, reversed(TEXTS), strict=True):
        ids = model.tokenizer.with_special_tokens(model.tokenizer.tokenize(source).ids)[0]
        target_ids = model.tokenizer.with_special_tokens(model.tokenizer.tokenize(target).ids[:20])[0]
        examples.append(Feature(ids, targets={"label": Target(target_ids, "position")},
                                label_positions=[0] * len(target_ids)))
    return examples


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@EACH_FAMILY
def test_loss_and_gradients_are_those_of_plain_transformers(family, smoothing, folders):
    model, reference = load_both(folders[family])
    examples = features(model)
    batch = collate(examples, Layout(False, model.tokenizer.pad_id))
    loss = build_loss(SPEC.loss, Training(label_smoothing=smoothing), ())(model, batch) / total_weight([batch])
    loss.backward()
    ids, mask = torch.from_numpy(batch.ids), torch.from_numpy((batch.ids != model.tokenizer.pad_id).astype(np.int64))
    for row, example in enumerate(examples):
        mask[row] = 0
        mask[row, :len(example)] = 1
    labels = torch.full((len(examples), int(batch.label_counts.max())), -100)
    for row, example in enumerate(examples):
        labels[row, :len(example.targets["label"].value)] = torch.tensor(example.targets["label"].value)
    logits = reference(input_ids=ids, attention_mask=mask, labels=labels).logits
    reference_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(),
                                                       label_smoothing=smoothing)
    reference_loss.backward()
    assert abs(loss.item() - reference_loss.item()) < 1e-5 * max(1, reference_loss.item())
    gradients = {name: weight.grad for name, weight in reference.named_parameters() if weight.grad is not None}
    for name, weight in model.module.named_parameters():
        if weight.grad is None and name not in gradients:  # Pegasus counts positions by sines
            continue
        assert torch.allclose(weight.grad, gradients[name],
                              atol=1e-5 * float(gradients[name].abs().max().clamp(min=1))), name


@pytest.mark.parametrize("keys", [{"tie_word_embeddings": False}, {"scale_decoder_outputs": False}],
                         ids=["2021", "today"])
def test_a_t5_1_1_does_not_scale_its_states(keys, tmp_path):
    """T5 1.1 and FLAN: untied output words on unscaled states, said in one of two ways by their config."""
    folder = tiny_writers.model_folder("t5", tmp_path / "t5", seed=2, feed_forward_proj="gated-gelu")
    reference = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    reference.lm_head.weight = torch.nn.Parameter(torch.randn_like(reference.lm_head.weight))
    reference.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["scale_decoder_outputs"], config["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(config | keys))
    model, reference = load_both(folder)
    assert reference.config.scale_decoder_outputs is False
    examples = features(model)
    batch = collate(examples[:1], Layout(False, model.tokenizer.pad_id))
    loss = build_loss(SPEC.loss, Training(), ())(model, batch) / total_weight([batch])
    reference_loss = reference(input_ids=torch.from_numpy(batch.ids),
                               labels=torch.tensor([examples[0].targets["label"].value])).loss
    assert abs(loss.item() - reference_loss.item()) < 1e-4


@EACH_FAMILY
def test_losses_of_micro_batches_add_up(family, folders):
    model, _ = load_both(folders[family])
    loss_of, examples = build_loss(SPEC.loss, Training(), ()), features(model)
    losses = []
    for size in (8, 3, 1):
        batches = [collate(examples[start:start + size], Layout(False, model.tokenizer.pad_id))
                   for start in range(0, 8, size)]
        losses.append(sum(loss_of(model, batch) for batch in batches).item() / total_weight(batches))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) == pytest.approx(losses[2], abs=1e-5)


@pytest.mark.parametrize("settings", [Generation(max_new_tokens=12), Generation(
    max_new_tokens=12, num_beams=3, length_penalty=0.8, no_repeat_ngram_size=2),
                                      Generation(max_new_tokens=9, min_new_tokens=5, num_beams=2)])
@EACH_FAMILY
def test_texts_are_those_of_transformers_alone_and_side_by_side(family, settings, folders):
    model, reference = load_both(folders[family])
    sources = [list(feature.ids) for feature in features(model)]
    generations = generate_targets(model, sources, settings, seed=0)
    beams = {"num_beams": settings.num_beams, "length_penalty": settings.length_penalty,
             "early_stopping": False} if settings.num_beams > 1 else {}
    for source, (text,) in zip(sources, generations, strict=True):
        reference_ids = reference.generate(torch.tensor([source]), max_new_tokens=settings.max_new_tokens,
                                           min_new_tokens=settings.min_new_tokens or None,
                                no_repeat_ngram_size=settings.no_repeat_ngram_size, do_sample=False,
                                **with_cache(new_cache()), **beams)[0, 1:].tolist()
        while reference_ids and reference_ids[-1] == model.tokenizer.pad_id and model.tokenizer.pad_id not in text.ids:
            reference_ids.pop()
        assert list(text.ids) == reference_ids
        labels = torch.tensor([reference_ids])
        with torch.no_grad():
            logs = reference(input_ids=torch.tensor([source]),
                             labels=labels).logits.log_softmax(-1).gather(2, labels[..., None])
        assert sum(text.log_probabilities) == pytest.approx(float(logs.sum()), abs=1e-3)


def test_a_draw_comes_again_with_its_seed(folders):
    model, _ = load_both(folders["t5"])
    sources = [list(feature.ids) for feature in features(model)]
    samples = [[text.text for (text,) in generate_targets(model, sources, Generation(max_new_tokens=8, do_sample=True),
                                                          seed=seed)] for seed in (1, 1, 2)]
    assert samples[0] == samples[1] != samples[2]


def rows(count, target="target"):
    """The second word of the source is what is to be written."""
    return [{"source": text, target: text.split()[1]} for text in tiny.texts(count, seed=5)]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


QUICK = ["--epochs", "1", "--batch-size", "8", "--set", "evaluation.resamples=10"]


@pytest.mark.parametrize(("task", "family", "first_score"),
                         [("text-to-text", "t5", "exact_match"), ("summarization", "bart", "rouge2"),
                                                       ("translation", "t5", "bleu"),
                                                       ("summarization", "pegasus", "rouge2")])
def test_a_run_trains_writes_scores_and_is_asked(task, family, first_score, folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(40))
    code, _, stderr = headstart("finetune", file, "--task", task, "--model", folders[family], "--to", tmp_path / "run",
                                *QUICK)
    assert code == 0, stderr
    assert "texts are generated up to" in stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert next(iter(scores["dev"])) == first_score and {"rouge1", "rouge2", "rougeL", "rougeLsum", "exact_match",
                                                         "copied"} <= set(scores["dev"])
    assert scores["baselines"] and scores["best"]["score"] == first_score
    output = tmp_path / "out.jsonl"
    assert headstart("predict", tmp_path / "run", file, "--to", output)[0] == 0
    predictions = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(predictions) == 40 and all(isinstance(prediction["prediction"], str)
                                          and prediction["log_probability"] <= 0 for prediction in predictions)
    model = product.load(tmp_path / "run")
    reference = getattr(transformers, tiny_writers.MODEL_CLASSES[family]).from_pretrained(tmp_path / "run"
                                                                                          / "model").eval()
    feature, = model.task.encode(model.task.read(Row(0, rows(1)[0])), model.transformer.tokenizer)
    max_new_tokens = model.task.learned.values["generation"]["max_new_tokens"]
    reference_ids = reference.generate(torch.tensor([list(feature.ids)]), max_new_tokens=max_new_tokens,
                                       do_sample=False, num_beams=1, **with_cache(new_cache()))[0, 1:]
    text = model.transformer.tokenizer.hf_tokenizer.decode(reference_ids, skip_special_tokens=True,
                                                           clean_up_tokenization_spaces=False).strip()
    assert text == predictions[0]["prediction"]


def test_training_teaches_it_to_write(folders, tmp_path, headstart):
    """Sixty steps on one word: it must be written."""
    same_targets = [{"source": text, "target": "roses"} for text in tiny.texts(64, seed=5)]
    code, _, stderr = headstart("finetune", jsonl(tmp_path / "rows.jsonl", same_targets), "--task", "text-to-text",
                                "--model", folders["t5"], "--to",
                             tmp_path / "run", "--set", "training.max_steps=60", "--batch-size", "8", "--learning-rate",
                             "1e-2", "--set", "evaluation.resamples=10")
    assert code == 0, stderr
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["test"]["exact_match"]["value"] == 1.0


def test_a_run_that_was_interrupted_writes_the_same(folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(40))
    options = ["--task", "text-to-text", "--model", folders["t5"], *QUICK, "--set", "training.save_every=1"]
    assert headstart("finetune", file, "--to", tmp_path / "one", *options)[0] == 0
    assert headstart("finetune", file, "--to", tmp_path / "two", *options)[0] == 0
    assert (tmp_path / "one/model/model.safetensors").read_bytes() == (tmp_path
                                                                       / "two/model/model.safetensors").read_bytes()
    assert (tmp_path / "one/predictions.jsonl").read_bytes() == (tmp_path / "two/predictions.jsonl").read_bytes()


@pytest.mark.parametrize("freeze", ["encoder", "embeddings", "layers:2"])
def test_frozen_weights_stay(freeze, folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(24))
    code, _, stderr = headstart("finetune", file, "--task", "text-to-text", "--model", folders["bart"], "--to",
                                tmp_path / "run", *QUICK,
                             "--set", f"training.freeze={freeze}")
    assert code == 0, stderr
    before, after = (dict(transformers.BartForConditionalGeneration.from_pretrained(folder).named_parameters())
                     for folder in (folders["bart"], tmp_path / "run" / "model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    encoder = {name for name in before if name.startswith("model.encoder.layers")}
    assert changed and (not changed & encoder) == (freeze in ("encoder", "layers:2"))
    assert ("model.shared.weight" in changed) == (freeze == "encoder")


def test_targets_may_be_lists_and_the_best_counts():
    task = Summarization()
    task = task.with_learned(task.learn([]))
    example = task.read(Row(0, {"source": ["The cat sat.", "It slept."],
                                "target": ["a cat slept", "the cat sat down"]}))
    assert example.source == "The cat sat. It slept." and example.targets == ("a cat slept", "the cat sat down")
    (prediction,) = [task.decode(example, [{"text": "the cat sat down", "log_probability": -1.0, "ended": "end",
                                            "cut": 0, "tokens": 5}])]
    measures = task.measure(example, prediction)
    assert measures["rouge2"] == 100 and measures["exact_match"] == 1
    joined_example = Summarization(Summarization.Settings(join_targets=True)).read(
        Row(0, {"source": "x", "target": ["a", "b"]}))
    assert joined_example.targets == ("a\nb",)


@pytest.mark.parametrize(("row", "finding"), [({"source": "", "target": "a"}, "[E201]"),
                                              ({"source": "a b", "target": ""}, "[E202]"),
                                           ({"source": "a b", "target": []}, "[E20"),
                                           ({"source": "a b", "target": "a b"}, "[W230]"),
                                           ({"source": "a b", "target": None}, "[E202]"),
                                           ({"source": [], "target": "a"}, "[E201]")])
def test_bad_rows_are_reported(row, finding, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", [*rows(3), row])
    code, stdout, stderr = headstart("check", file, "--task", "summarization")
    assert finding in stdout + stderr and code == (0 if "W" in finding else 65), stdout + stderr


def test_columns_say_which_task_it_is():
    from headstart.contract import Column
    from headstart.tasks import detect

    assert detect([Column("source", ["a"]), Column("target", ["b"])], "f")[0] is TextToText
    assert detect([Column("article", ["a"]), Column("highlights", ["b"])], "f")[0] is Summarization


def test_an_encoder_is_refused_with_families_that_write(tiny_bert, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(12))
    code, _, stderr = headstart("finetune", file, "--task", "summarization", "--model", tiny_bert, "--to",
                                tmp_path / "run")
    assert code == 2 and "t5" in stderr and "bart" in stderr


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    """A small run of an encoder-decoder, and its rows."""
    from headstart.cli.main import run_guarded

    folder = tmp_path_factory.mktemp("run")
    file = jsonl(folder / "rows.jsonl", rows(40))
    assert run_guarded([str(word) for word in ("finetune", file, "--task", "summarization", "--model", folders["t5"],
                                               "--to", folder / "run", *QUICK)]) == 0
    return folder / "run", file


def test_a_grid_is_measured_resumed_sorted_and_its_best_is_kept(run, tmp_path, headstart, monkeypatch):
    import shutil

    from headstart.tuning import generation_search

    run_folder, file = tmp_path / "run", run[1]
    shutil.copytree(run[0], run_folder)
    command = ["evaluate", run_folder, file, "--search", "num_beams=1,2;length_penalty=0.8,1.2", "--to",
               tmp_path / "grid", "--set", "evaluation.resamples=0"]
    code, stdout, stderr = headstart(*command)
    assert code == 0, stderr
    search_rows = json.loads((tmp_path / "grid" / "search.json").read_text())["rows"]
    assert [row["settings"] for row in search_rows] == [{"num_beams": beams, "length_penalty": penalty}
                                                        for beams in (1, 2) for penalty in (0.8, 1.2)]
    values = [float(line.split()[2]) for line in stdout.splitlines()[1:]]
    assert len(values) == 4 and values == sorted(values, reverse=True)
    assert (tmp_path / "grid" / "search.md").read_text().splitlines()[1].startswith("| ")
    saved_settings = json.loads((run_folder / "model"
                                 / "headstart.json").read_text())["learned"]["values"]["generation"]
    best = max(search_rows, key=lambda row: row["scores"]["rouge2"]["value"])["settings"]
    assert saved_settings.get("num_beams", 1) == best["num_beams"] and saved_settings.get("length_penalty",
                                                                                          1.0) == best["length_penalty"]
    monkeypatch.setattr(generation_search, "evaluate_file", lambda *_, **__: pytest.fail("it was measured again"))
    assert headstart(*command)[0] == 0


def test_a_search_is_not_written_over_nor_mixed_with_another(run, tmp_path, headstart):
    import shutil

    folder, file = shutil.copytree(run[0], tmp_path / "run"), run[1]
    other_file = jsonl(tmp_path / "other.jsonl", rows(4))
    command = ["--search", "num_beams=1", "--set", "evaluation.resamples=0", "--to", tmp_path / "grid"]
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "search.md").write_text("mine")
    code, _, stderr = headstart("evaluate", folder, other_file, *command)
    assert code == 73 and "search.md exists already" in stderr
    assert (tmp_path / "grid" / "search.md").read_text() == "mine"
    (tmp_path / "grid" / "search.md").unlink()
    assert headstart("evaluate", folder, other_file, *command)[0] == 0
    before = (tmp_path / "grid" / "search.json").read_bytes()
    code, _, stderr = headstart("evaluate", folder, file, *command)
    assert code == 73 and "another model, file or settings" in stderr
    assert (tmp_path / "grid" / "search.json").read_bytes() == before


@pytest.mark.parametrize(("search", "message", "exit_code"), [
    ("num_beems=2", "did you mean", 78), ("num_beams", "NAME=VALUE", 2), ("num_beams=two", "num_beams", 78),
                                                           ("", "combinations", 2)])
def test_an_invalid_grid_is_refused(search, message, exit_code, run, headstart):
    code, _, stderr = headstart("evaluate", *run, "--search", search)
    assert code == exit_code and message.lower() in stderr.lower(), stderr


def test_settings_of_writing_change_what_is_predicted(run, headstart, tmp_path):
    predictions = []
    for options in ([], ["--set", "generation.max_new_tokens=1"], ["--set", "generation.num_beams=4"]):
        code, stdout, stderr = headstart("predict", run[0], "--value", f"source={TEXTS[0]}", *options)
        assert code == 0, stderr
        predictions.append(json.loads(stdout))
    # beams may miss what greed finds
    assert len(predictions[1]["prediction"]) <= len(predictions[0]["prediction"]) and predictions[2] != predictions[0]


def test_generate_takes_a_source(run, headstart):
    code, stdout, stderr = headstart("generate", run[0], TEXTS[0], "--json")
    assert code == 0, stderr
    row = json.loads(stdout)
    predicted = json.loads(headstart("predict", run[0], "--value", f"source={TEXTS[0]}")[1])
    assert row["prediction"] == predicted["prediction"] and row["log_probability"] == pytest.approx(
        predicted["log_probability"], abs=1e-4)
    code, stdout, stderr = headstart("generate", run[0], TEXTS[0])
    assert code == 0 and stdout.strip() == row["prediction"].strip()


def test_a_published_model_writes_without_training_by_its_own_settings(tmp_path, headstart):
    folder = tiny_writers.model_folder("bart", tmp_path / "bart", seed=2)
    config = json.loads((folder / "generation_config.json").read_text()) | {"num_beams": 2, "max_length": 9,
                                                                            "min_length": 4}
    (folder / "generation_config.json").write_text(json.dumps(config))
    code, stdout, stderr = headstart("predict", folder, "--task", "summarization", "--value", f"source={TEXTS[0]}")
    assert code == 0, stderr
    reference = transformers.BartForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference_ids = reference.generate(**tokenizer(TEXTS[0], return_tensors="pt"), num_beams=2, max_length=9,
                                       min_length=4, **with_cache(new_cache()))
    assert json.loads(stdout)["prediction"] == tokenizer.decode(reference_ids[0], skip_special_tokens=True,
                                                                clean_up_tokenization_spaces=False).strip()


def test_line_files_are_pairs_line_by_line(folders, tmp_path, headstart):
    for split, seed, count in (("train", 0, 12), ("val", 12, 4)):
        texts = tiny.texts(count, seed=seed + 5)
        (tmp_path / f"{split}.source").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        (tmp_path / f"{split}.target").write_text("\r\n".join(text.split()[0] + ' "a, b' for text in texts),
                                                  encoding="utf-8")
    code, stdout, stderr = headstart("finetune", str(tmp_path), "--task", "summarization", "--model",
                                     str(folders["t5"]), "--to",
                               str(tmp_path / "run"), "--epochs", "1", "--set", "evaluation.resamples=5", "--set",
                               "generation.max_new_tokens=5")
    assert code == 0, stderr
    assert "train: 12 rows" in stderr and "dev: 4 rows" in stderr and "with train.target line by line" in stderr
    predictions = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert [row["gold"][0] if isinstance(row["gold"], list) else row["gold"] for row in predictions] == [
        text.split()[0] + ' "a, b' for text in tiny.texts(4, seed=17)]
    (tmp_path / "new.source").write_text("One line.\n", encoding="utf-8")
    code, stdout, stderr = headstart("predict", str(tmp_path / "run"), str(tmp_path / "new.source"))
    assert code == 0 and json.loads(stdout)["source"] == "One line.", stderr


@pytest.mark.parametrize(("sources", "targets", "message"), [
    (5, 3, "val.target ends after line 3, {0}val.source has 2 more"),
    (2, 3, "{0}val.source ends after line 2, val.target has 1 more")])
def test_unequal_line_files_tell_the_line(sources, targets, message, tmp_path, headstart, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("source", sources), ("target", targets)):
        (tmp_path / f"val.{name}").write_text("A line.\n" * count, encoding="utf-8")
    code, _, stderr = headstart("check", "val.source", "--task", "summarization")
    assert code == 65 and "E118" in stderr and message.format(
        "") in stderr and f"val.source:{min(sources, targets) + 1}" in stderr


def test_a_teachers_predictions_are_a_file_to_train_on(folders, tmp_path, headstart):
    rows = [{"document": text, "summary": text.split()[0], "more": number}
            for number, text in enumerate(tiny.texts(12, seed=4))]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = ("--epochs", "1", "--set", "evaluation.resamples=5", "--set", "generation.max_new_tokens=5")
    code, _, stderr = headstart("finetune", str(tmp_path / "rows.jsonl"), "--model", str(folders["t5"]), "--to",
                                str(tmp_path / "run"), *options)
    assert code == 0, stderr
    pairs_file = tmp_path / "pairs.jsonl"
    code, _, stderr = headstart("predict", str(tmp_path / "run"), str(tmp_path / "rows.jsonl"), "--as-training-data",
                                "--to", str(pairs_file))
    assert code == 0, stderr
    pairs = [json.loads(line) for line in pairs_file.read_text(encoding="utf-8").splitlines()]
    assert [set(pair) for pair in pairs] == [{"document", "summary"}] * 12
    assert [pair["document"] for pair in pairs] == [row["document"] for row in rows]
    predictions = [row["prediction"] for row in product.load(str(tmp_path / "run")).predict(
        [{"source": row["document"]} for row in rows])]
    assert [pair["summary"] for pair in pairs] == predictions
    code, _, stderr = headstart("predict", str(tmp_path / "run"), "--value", "source=x", "--as-training-data")
    assert code == 2 and "--as-training-data" in stderr


def test_pseudo_labels_of_a_classifier_train_another_and_tags_are_refused(tmp_path, headstart, tiny_bert):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(
        text.replace(",", "") for text in tiny.texts(40, seed=6))), encoding="utf-8")
    (tmp_path / "new.csv").write_text("id,text\n" + "".join(f"{n},{text.replace(',', '')}\n"
                                                            for n, text in enumerate(tiny.texts(5, seed=7))),
                                      encoding="utf-8")
    options = ("--model", str(tiny_bert), "--epochs", "1", "--set", "evaluation.resamples=5")
    assert headstart("finetune", str(tmp_path / "rows.csv"), "--to", str(tmp_path / "run"), *options)[0] == 0
    code, _, stderr = headstart("predict", str(tmp_path / "run"), str(tmp_path / "new.csv"), "--as-training-data",
                                "--to", str(tmp_path / "p.csv"))
    assert code == 0, stderr
    lines = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text,label" and len(lines) == 6 and {line[-2:] for line in lines[1:]} <= {",a", ",b"}
    tags = tiny.model_folder("bert", tmp_path / "tags", "token-classification", ["O", "B-X", "I-X"])
    code, _, stderr = headstart("predict", str(tags), str(tmp_path / "new.csv"), "--as-training-data", "--to",
                                str(tmp_path / "q.csv"))
    assert code == 2 and "not training data" in stderr and not (tmp_path / "q.csv").exists()
