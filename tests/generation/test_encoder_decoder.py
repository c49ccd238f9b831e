"""Models that write a text for a text: loss, gradients and texts are those of plain transformers; runs, files, scores."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
import transformers

import headstart as product
from headstart.contract import Feature, HeadSpec, Layout, Row, Target
from headstart.data.features.batches import collate
from headstart.generation.encoder_decoder import cache, rewrite
from headstart.models.loading.cache_name import with_cache
from headstart.models.loading.load import load
from headstart.settings import Generation, Training
from headstart.tasks.summarization import Summarization
from headstart.tasks.text_to_text import TextToText
from headstart.training.losses.losses import objective, total_weight

EVERY = pytest.mark.parametrize("family", tiny_writers.WRITERS)
SPEC = HeadSpec("sequence-to-sequence", 0, loss="vocabulary")
TEXTS = tiny.texts(8, seed=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("writers")
    return {family: tiny_writers.folder(family, place / family, seed=2) for family in tiny_writers.WRITERS}


def opened(folder):
    held = load(str(folder), None, seed=0)
    held.module.eval()
    plain = getattr(transformers, type(held.module).__name__).from_pretrained(folder, attn_implementation="eager").eval()
    return held, plain


def features(held):
    made = []
    for source, target in zip(TEXTS, reversed(TEXTS), strict=True):
        ids = held.tokenizer.lay_out(held.tokenizer.tokenize(source).ids)[0]
        wanted = held.tokenizer.lay_out(held.tokenizer.tokenize(target).ids[:20])[0]
        made.append(Feature(ids, targets={"label": Target(wanted, "asked")}, asks=[0] * len(wanted)))
    return made


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@EVERY
def test_loss_and_gradients_are_those_of_plain_transformers(family, smoothing, folders):
    held, plain = opened(folders[family])
    made = features(held)
    batch = collate(made, Layout(False, held.tokenizer.pad_id))
    ours = objective(SPEC, Training(label_smoothing=smoothing), ())(held, batch) / total_weight([batch])
    ours.backward()
    ids, mask = torch.from_numpy(batch.ids), torch.from_numpy((batch.ids != held.tokenizer.pad_id).astype(np.int64))
    for row, one in enumerate(made):
        mask[row] = 0
        mask[row, :len(one)] = 1
    labels = torch.full((len(made), int(batch.asked.max())), -100)
    for row, one in enumerate(made):
        labels[row, :len(one.targets["label"].value)] = torch.tensor(one.targets["label"].value)
    logits = plain(input_ids=ids, attention_mask=mask, labels=labels).logits
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing)
    theirs.backward()
    assert abs(ours.item() - theirs.item()) < 1e-5 * max(1, theirs.item())
    wanted = {name: weight.grad for name, weight in plain.named_parameters() if weight.grad is not None}
    for name, weight in held.module.named_parameters():
        if weight.grad is None and name not in wanted:  # Pegasus counts positions by sines
            continue
        assert torch.allclose(weight.grad, wanted[name], atol=1e-5 * float(wanted[name].abs().max().clamp(min=1))), name


@pytest.mark.parametrize("said", [{"tie_word_embeddings": False}, {"scale_decoder_outputs": False}], ids=["2021", "today"])
def test_a_t5_1_1_does_not_scale_its_states(said, tmp_path):
    """T5 1.1 and FLAN: untied output words on unscaled states, said in one of two ways by their config."""
    folder = tiny_writers.folder("t5", tmp_path / "t5", seed=2, feed_forward_proj="gated-gelu")
    plain = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    plain.lm_head.weight = torch.nn.Parameter(torch.randn_like(plain.lm_head.weight))
    plain.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["scale_decoder_outputs"], config["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(config | said))
    held, plain = opened(folder)
    assert plain.config.scale_decoder_outputs is False
    made = features(held)
    batch = collate(made[:1], Layout(False, held.tokenizer.pad_id))
    ours = objective(SPEC, Training(), ())(held, batch) / total_weight([batch])
    theirs = plain(input_ids=torch.from_numpy(batch.ids), labels=torch.tensor([made[0].targets["label"].value])).loss
    assert abs(ours.item() - theirs.item()) < 1e-4


@EVERY
def test_parts_of_a_batch_add_up_to_the_whole(family, folders):
    held, _ = opened(folders[family])
    goal, made = objective(SPEC, Training(), ()), features(held)
    found = []
    for size in (8, 3, 1):
        batches = [collate(made[at:at + size], Layout(False, held.tokenizer.pad_id)) for at in range(0, 8, size)]
        found.append(sum(goal(held, batch) for batch in batches).item() / total_weight(batches))
    assert found[0] == pytest.approx(found[1], abs=1e-5) == pytest.approx(found[2], abs=1e-5)


@pytest.mark.parametrize("settings", [Generation(new_tokens=12), Generation(new_tokens=12, beams=3, length_penalty=0.8, no_repeat_ngram=2),
                                      Generation(new_tokens=9, least_tokens=5, beams=2)])
@EVERY
def test_texts_are_those_of_transformers_alone_and_side_by_side(family, settings, folders):
    held, plain = opened(folders[family])
    sources = [list(one.ids) for one in features(held)]
    ours = rewrite(held, sources, settings, seed=0)
    beams = {"num_beams": settings.beams, "length_penalty": settings.length_penalty, "early_stopping": False} if settings.beams > 1 else {}
    for source, (text,) in zip(sources, ours, strict=True):
        theirs = plain.generate(torch.tensor([source]), max_new_tokens=settings.new_tokens, min_new_tokens=settings.least_tokens or None,
                                no_repeat_ngram_size=settings.no_repeat_ngram, do_sample=False, **with_cache(cache()), **beams)[0, 1:].tolist()
        while theirs and theirs[-1] == held.tokenizer.pad_id and held.tokenizer.pad_id not in text.ids:
            theirs.pop()
        assert list(text.ids) == theirs
        labels = torch.tensor([theirs])
        with torch.no_grad():
            logs = plain(input_ids=torch.tensor([source]), labels=labels).logits.log_softmax(-1).gather(2, labels[..., None])
        assert sum(text.log_probabilities) == pytest.approx(float(logs.sum()), abs=1e-3)


def test_a_draw_comes_again_with_its_seed(folders):
    held, _ = opened(folders["t5"])
    sources = [list(one.ids) for one in features(held)]
    drawn = [[text.text for (text,) in rewrite(held, sources, Generation(new_tokens=8, sample=True), seed=seed)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def rows(count, target="target"):
    """The second word of the source is what is to be written."""
    return [{"source": text, target: text.split()[1]} for text in tiny.texts(count, seed=5)]


def jsonl(place, held):
    place.write_text("".join(json.dumps(row) + "\n" for row in held), encoding="utf-8")
    return place


QUICK = ["--epochs", "1", "--batch-size", "8", "--set", "evaluation.resamples=10"]


@pytest.mark.parametrize(("task", "family", "first"), [("text-to-text", "t5", "exact_match"), ("summarization", "bart", "rouge2"),
                                                       ("translation", "t5", "bleu"), ("summarization", "pegasus", "rouge2")])
def test_a_run_trains_writes_scores_and_is_asked(task, family, first, folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(40))
    code, _, err = headstart("finetune", file, "--task", task, "--model", folders[family], "--to", tmp_path / "run", *QUICK)
    assert code == 0, err
    assert "texts are written up to" in err
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert next(iter(scores["dev"])) == first and {"rouge1", "rouge2", "rougeL", "rougeLsum", "exact_match", "copied"} <= set(scores["dev"])
    assert scores["baselines"] and scores["best"]["score"] == first
    out = tmp_path / "out.jsonl"
    assert headstart("predict", tmp_path / "run", file, "--to", out)[0] == 0
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(answers) == 40 and all(isinstance(one["prediction"], str) and one["log_probability"] <= 0 for one in answers)
    held = product.load(tmp_path / "run")
    plain = getattr(transformers, tiny_writers.CLASSES[family]).from_pretrained(tmp_path / "run" / "model").eval()
    feature, = held.task.encode(held.example(0, rows(1)[0]), held.loaded.tokenizer)
    most = held.task.known.values["generation"]["new_tokens"]
    theirs = plain.generate(torch.tensor([list(feature.ids)]), max_new_tokens=most, do_sample=False, num_beams=1, **with_cache(cache()))[0, 1:]
    text = held.loaded.tokenizer.held.decode(theirs, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
    assert text == answers[0]["prediction"]


def test_training_teaches_it_to_write(folders, tmp_path, headstart):
    """Sixty updates on one word: it must be written."""
    held = [{"source": text, "target": "roses"} for text in tiny.texts(64, seed=5)]
    code, _, err = headstart("finetune", jsonl(tmp_path / "rows.jsonl", held), "--task", "text-to-text", "--model", folders["t5"], "--to",
                             tmp_path / "run", "--set", "training.updates=60", "--batch-size", "8", "--learning-rate", "1e-2",
                             "--set", "evaluation.resamples=10")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["test"]["exact_match"]["value"] == 1.0


def test_a_run_that_was_interrupted_writes_the_same(folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(40))
    words = ["--task", "text-to-text", "--model", folders["t5"], *QUICK, "--set", "training.save_every=1"]
    assert headstart("finetune", file, "--to", tmp_path / "one", *words)[0] == 0
    assert headstart("finetune", file, "--to", tmp_path / "two", *words)[0] == 0
    assert (tmp_path / "one/model/model.safetensors").read_bytes() == (tmp_path / "two/model/model.safetensors").read_bytes()
    assert (tmp_path / "one/predictions.jsonl").read_bytes() == (tmp_path / "two/predictions.jsonl").read_bytes()


@pytest.mark.parametrize("freeze", ["encoder", "embeddings", "layers:2"])
def test_parts_stay_as_they_are_when_frozen(freeze, folders, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(24))
    code, _, err = headstart("finetune", file, "--task", "text-to-text", "--model", folders["bart"], "--to", tmp_path / "run", *QUICK,
                             "--set", f"training.freeze={freeze}")
    assert code == 0, err
    before, after = (dict(transformers.BartForConditionalGeneration.from_pretrained(place).named_parameters())
                     for place in (folders["bart"], tmp_path / "run" / "model"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    encoder = {name for name in before if name.startswith("model.encoder.layers")}
    assert moved and (not moved & encoder) == (freeze in ("encoder", "layers:2"))
    assert ("model.shared.weight" in moved) == (freeze == "encoder")


def test_targets_may_be_lists_and_the_best_counts():
    task = Summarization()
    task = task.knowing(task.learn([]))
    one = task.read(Row(0, {"source": ["The cat sat.", "It slept."], "target": ["a cat slept", "the cat sat down"]}))
    assert one.source == "The cat sat. It slept." and one.targets == ("a cat slept", "the cat sat down")
    (said,) = [task.decode(one, [{"text": "the cat sat down", "log_probability": -1.0, "ended": "end", "cut": 0, "tokens": 5}])]
    measured = task.measure(one, said)
    assert measured["rouge2"] == 100 and measured["exact_match"] == 1
    whole = Summarization(Summarization.Settings(join_target=True)).read(Row(0, {"source": "x", "target": ["a", "b"]}))
    assert whole.targets == ("a\nb",)


@pytest.mark.parametrize(("row", "told"), [({"source": "", "target": "a"}, "[E201]"), ({"source": "a b", "target": ""}, "[E202]"),
                                           ({"source": "a b", "target": []}, "[E20"), ({"source": "a b", "target": "a b"}, "[W230]"),
                                           ({"source": "a b", "target": None}, "[E202]"), ({"source": [], "target": "a"}, "[E201]")])
def test_bad_rows_are_told(row, told, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", [*rows(3), row])
    code, out, err = headstart("check", file, "--task", "summarization")
    assert told in out + err and code == (0 if "W" in told else 65), out + err


def test_columns_say_which_task_it_is():
    from headstart.contract import Column
    from headstart.tasks import detect

    assert detect([Column("source", ["a"]), Column("target", ["b"])], "f")[0] is TextToText
    assert detect([Column("article", ["a"]), Column("highlights", ["b"])], "f")[0] is Summarization


def test_an_encoder_is_refused_with_families_that_write(tiny_bert, tmp_path, headstart):
    file = jsonl(tmp_path / "rows.jsonl", rows(12))
    code, _, err = headstart("finetune", file, "--task", "summarization", "--model", tiny_bert, "--to", tmp_path / "run")
    assert code == 2 and "t5" in err and "bart" in err


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    """A small run that writes, and its rows."""
    from headstart.cli.main import guarded

    place = tmp_path_factory.mktemp("run")
    file = jsonl(place / "rows.jsonl", rows(40))
    assert guarded([str(word) for word in ("finetune", file, "--task", "summarization", "--model", folders["t5"], "--to", place / "run", *QUICK)]) == 0
    return place / "run", file


def test_a_grid_is_measured_resumed_sorted_and_its_best_is_kept(run, tmp_path, headstart, monkeypatch):
    import shutil

    from headstart.prediction import generation_search

    mine, file = tmp_path / "run", run[1]
    shutil.copytree(run[0], mine)
    words = ["evaluate", mine, file, "--search", "num_beams=1,2;length_penalty=0.8,1.2", "--to", tmp_path / "grid", "--set", "evaluation.resamples=0"]
    code, out, err = headstart(*words)
    assert code == 0, err
    rows_ = json.loads((tmp_path / "grid" / "search.json").read_text())["rows"]
    assert [row["settings"] for row in rows_] == [{"beams": beams, "length_penalty": penalty} for beams in (1, 2) for penalty in (0.8, 1.2)]
    values = [float(line.split()[2]) for line in out.splitlines()[1:]]
    assert len(values) == 4 and values == sorted(values, reverse=True)
    assert (tmp_path / "grid" / "search.md").read_text().splitlines()[1].startswith("| ")
    kept = json.loads((mine / "model" / "headstart.json").read_text())["learned"]["values"]["generation"]
    best = max(rows_, key=lambda row: row["scores"]["rouge2"]["value"])["settings"]
    assert kept.get("beams", 1) == best["beams"] and kept.get("length_penalty", 1.0) == best["length_penalty"]
    monkeypatch.setattr(generation_search, "evaluate_file", lambda *_, **__: pytest.fail("it was measured again"))
    assert headstart(*words)[0] == 0


@pytest.mark.parametrize(("search", "told", "exit_code"), [("beems=2", "did you mean", 78), ("beams", "NAME=VALUE", 2), ("beams=two", "beams", 78),
                                                           ("", "combinations", 2)])
def test_a_grid_that_cannot_be_is_refused(search, told, exit_code, run, headstart):
    code, _, err = headstart("evaluate", *run, "--search", search)
    assert code == exit_code and told.lower() in err.lower(), err


def test_settings_of_writing_change_what_is_predicted(run, headstart, tmp_path):
    texts = []
    for extra in ([], ["--set", "generation.new_tokens=1"], ["--set", "generation.beams=4"]):
        code, out, err = headstart("predict", run[0], "--value", f"source={TEXTS[0]}", *extra)
        assert code == 0, err
        texts.append(json.loads(out))
    assert len(texts[1]["prediction"]) <= len(texts[0]["prediction"]) and texts[2] != texts[0]  # beams may miss what greed finds


def test_generate_writes_for_a_text(run, headstart):
    code, out, err = headstart("generate", run[0], TEXTS[0], "--json")
    assert code == 0, err
    row = json.loads(out)
    predicted = json.loads(headstart("predict", run[0], "--value", f"source={TEXTS[0]}")[1])
    assert row["prediction"] == predicted["prediction"] and row["log_probability"] == pytest.approx(predicted["log_probability"], abs=1e-4)
    code, out, err = headstart("generate", run[0], TEXTS[0])
    assert code == 0 and out.strip() == row["prediction"].strip()


def test_a_published_model_writes_without_training_by_its_own_settings(tmp_path, headstart):
    folder = tiny_writers.folder("bart", tmp_path / "bart", seed=2)
    held = json.loads((folder / "generation_config.json").read_text()) | {"num_beams": 2, "max_length": 9, "min_length": 4}
    (folder / "generation_config.json").write_text(json.dumps(held))
    code, out, err = headstart("predict", folder, "--task", "summarization", "--value", f"source={TEXTS[0]}")
    assert code == 0, err
    plain = transformers.BartForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = plain.generate(**tokenizer(TEXTS[0], return_tensors="pt"), num_beams=2, max_length=9, min_length=4, **with_cache(cache()))
    assert json.loads(out)["prediction"] == tokenizer.decode(theirs[0], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()


def test_line_files_are_pairs_line_by_line(folders, tmp_path, headstart):
    for split, begin, count in (("train", 0, 12), ("val", 12, 4)):
        made = tiny.texts(count, seed=begin + 5)
        (tmp_path / f"{split}.source").write_text("".join(f"{text}\n" for text in made), encoding="utf-8")
        (tmp_path / f"{split}.target").write_text("\r\n".join(text.split()[0] + ' "a, b' for text in made), encoding="utf-8")
    code, out, err = headstart("finetune", str(tmp_path), "--task", "summarization", "--model", str(folders["t5"]), "--to",
                               str(tmp_path / "run"), "--epochs", "1", "--set", "evaluation.resamples=5", "--set", "generation.new_tokens=5")
    assert code == 0, err
    assert "train: 12 rows" in err and "dev: 4 rows" in err and "with train.target line by line" in err
    rows = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert [row["gold"][0] if isinstance(row["gold"], list) else row["gold"] for row in rows] == [
        text.split()[0] + ' "a, b' for text in tiny.texts(4, seed=17)]
    (tmp_path / "new.source").write_text("One line.\n", encoding="utf-8")
    code, out, err = headstart("predict", str(tmp_path / "run"), str(tmp_path / "new.source"))
    assert code == 0 and json.loads(out)["source"] == "One line.", err


@pytest.mark.parametrize(("sources", "targets", "words"), [
    (5, 3, "val.target ends after line 3, {0}val.source has 2 more"), (2, 3, "{0}val.source ends after line 2, val.target has 1 more")])
def test_unequal_line_files_tell_the_line(sources, targets, words, tmp_path, headstart, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("source", sources), ("target", targets)):
        (tmp_path / f"val.{name}").write_text("A line.\n" * count, encoding="utf-8")
    code, _, err = headstart("check", "val.source", "--task", "summarization")
    assert code == 65 and "E118" in err and words.format("") in err and f"val.source:{min(sources, targets) + 1}" in err


def test_a_teachers_predictions_are_a_file_to_train_on(folders, tmp_path, headstart):
    rows = [{"document": text, "summary": text.split()[0], "more": number} for number, text in enumerate(tiny.texts(12, seed=4))]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    quick = ("--epochs", "1", "--set", "evaluation.resamples=5", "--set", "generation.new_tokens=5")
    code, _, err = headstart("finetune", str(tmp_path / "rows.jsonl"), "--model", str(folders["t5"]), "--to", str(tmp_path / "run"), *quick)
    assert code == 0, err
    made = tmp_path / "pairs.jsonl"
    code, _, err = headstart("predict", str(tmp_path / "run"), str(tmp_path / "rows.jsonl"), "--as-training-data", "--to", str(made))
    assert code == 0, err
    pairs = [json.loads(line) for line in made.read_text(encoding="utf-8").splitlines()]
    assert [set(pair) for pair in pairs] == [{"document", "summary"}] * 12
    assert [pair["document"] for pair in pairs] == [row["document"] for row in rows]
    told = [row["prediction"] for row in product.load(str(tmp_path / "run")).predict([{"source": row["document"]} for row in rows])]
    assert [pair["summary"] for pair in pairs] == told
    code, _, err = headstart("predict", str(tmp_path / "run"), "--value", "source=x", "--as-training-data")
    assert code == 2 and "--as-training-data" in err


def test_pseudo_labels_of_a_classifier_train_another_and_tags_are_refused(tmp_path, headstart, tiny_bert):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(
        text.replace(",", "") for text in tiny.texts(40, seed=6))), encoding="utf-8")
    (tmp_path / "new.csv").write_text("id,text\n" + "".join(f"{n},{text.replace(',', '')}\n" for n, text in enumerate(tiny.texts(5, seed=7))),
                                      encoding="utf-8")
    quick = ("--model", str(tiny_bert), "--epochs", "1", "--set", "evaluation.resamples=5")
    assert headstart("finetune", str(tmp_path / "rows.csv"), "--to", str(tmp_path / "run"), *quick)[0] == 0
    code, _, err = headstart("predict", str(tmp_path / "run"), str(tmp_path / "new.csv"), "--as-training-data", "--to", str(tmp_path / "p.csv"))
    assert code == 0, err
    lines = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text,label" and len(lines) == 6 and {line[-2:] for line in lines[1:]} <= {",a", ",b"}
    tags = tiny.model_folder("bert", tmp_path / "tags", "token-classification", ["O", "B-X", "I-X"])
    code, _, err = headstart("predict", str(tags), str(tmp_path / "new.csv"), "--as-training-data", "--to", str(tmp_path / "q.csv"))
    assert code == 2 and "no training data" in err and not (tmp_path / "q.csv").exists()
