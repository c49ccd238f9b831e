"""Labels that a model was never trained on: as the field computes them, and every question that a user may have."""

import csv
import json
import pickle

import numpy as np
import pytest
import tiny
from conftest import write_csv
from scipy.special import softmax

import headstart as package
from headstart.errors import UserError
from headstart.models.loading import sentence_transformers_files
from headstart.prediction.zero_shot import predictor as zero_shot_predictor
from headstart.prediction.zero_shot.labels import read_labels

NLI = ["entailment", "neutral", "contradiction"]
LABELS = ["roses", "apples", "the broken bank card"]
NOT_MEASURED = "Nothing measured these predictions"


@pytest.fixture(scope="module")
def nli(tmp_path_factory):
    return tiny.model_folder("bert", tmp_path_factory.mktemp("nli") / "nli", "sequence-classification", NLI)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return sentence_encoder(tmp_path_factory.mktemp("encoder") / "encoder")


def sentence_encoder(folder, family="bert", **config):
    tiny.model_folder(family, folder)
    sentence_transformers_files.write(folder, 32, tiny.POSITIONS, "mean_tokens")
    for name, changes in config.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def entailment_logits(folder, texts, hypotheses):
    """(texts, labels, classes) by plain transformers: each pair alone, the text truncated, never the hypothesis."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return np.array([[model(**tokenizer(text, hypothesis, return_tensors="pt", truncation="only_first",
                                            max_length=tiny.POSITIONS)).logits[0].numpy()
                          for hypothesis in hypotheses] for text in texts])


@pytest.mark.parametrize(("family", "names"), [("bert", NLI), ("roberta", NLI[::-1]), ("deberta-v2", NLI),
                                               ("xlm-roberta", ["not_entailment", "entailment"])])
@pytest.mark.parametrize("multi_label", [False, True])
def test_entailment_is_what_plain_transformers_computes(family, names, multi_label, tmp_path):
    folder = tiny.model_folder(family, tmp_path / "nli", "sequence-classification", names)
    texts = [*tiny.texts(5), " ".join(tiny.texts(40))]
    settings = {"hypothesis_template": "The gardener {} now.", "multi_label": multi_label}
    predictions = package.load(folder, labels=LABELS, zero_shot=settings).predict(texts)
    logits = entailment_logits(folder, texts, [f"The gardener {label} now." for label in LABELS])
    entailed = names.index("entailment")
    against = names.index("contradiction" if "contradiction" in names else "not_entailment")
    expected = (softmax(logits[..., [against, entailed]], axis=-1)[..., 1] if multi_label else softmax(logits[..., entailed], axis=-1))
    assert np.abs(probabilities(predictions) - expected).max() < 1e-5
    for prediction, row in zip(predictions, expected, strict=True):
        assert prediction["prediction"] == ([label for label, share in zip(LABELS, row, strict=True) if share >= 0.5]
                                            if multi_label else LABELS[row.argmax()])


def probabilities(predictions):
    return np.array([list(prediction["probabilities"].values()) for prediction in predictions])


def unit_vectors(folder, texts, pool, max_length):
    """(texts, width) by plain transformers, each text alone."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in texts:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=max_length))[0][0].numpy()
        vector = {"mean": states.mean(0), "cls": states[0], "max": states.max(0)}[pool]
        vectors.append(vector / np.linalg.norm(vector))
    return np.array(vectors)


@pytest.mark.parametrize(("config", "pool", "max_length", "prompt"), [
    ({}, "mean", tiny.POSITIONS, ""),
    ({"1_Pooling__config_json": {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}}, "cls", 128, ""),
    ({"1_Pooling__config_json": {"pooling_mode": "max"}}, "max", 128, ""),
    ({"sentence_bert_config_json": {"max_seq_length": 9}}, "mean", 9, ""),
    ({"config_sentence_transformers_json": {"prompts": {"query": "query: "}, "default_prompt_name": "query"}},
     "mean", 128, "query: ")])
def test_similarity_is_what_plain_transformers_computes(config, pool, max_length, prompt, tmp_path):
    folder = sentence_encoder(tmp_path / "encoder", **config)
    texts = tiny.texts(7)
    predictions = package.load(folder, labels=LABELS, zero_shot={"temperature": 0.1}).predict(texts)
    vectors, label_vectors = (unit_vectors(folder, [prompt + text for text in some], pool, max_length)
                              for some in (texts, LABELS))
    expected = softmax(vectors @ label_vectors.T / 0.1, axis=-1)
    assert np.abs(probabilities(predictions) - expected).max() < 1e-5
    assert [prediction["prediction"] for prediction in predictions] == [LABELS[row.argmax()] for row in expected]


@pytest.mark.parametrize(("file", "content", "exit_code", "words"), [
    ("modules.json", "[{", 69, "not JSON"), ("modules.json", '{"a": 1}', 69, "cannot be used"),
    ("modules.json", '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}, '
                     '{"type": "x.Dense", "path": "2"}]', 2, "by Dense"),
    ("1_Pooling/config.json", '{"pooling_mode": "lasttoken"}', 2, "pools by lasttoken"),
    ("sentence_bert_config.json", '{"max_seq_length": "many"}', 69, "max_seq_length")])
def test_an_encoder_that_makes_vectors_in_another_way_is_refused(file, content, exit_code, words, headstart, tmp_path):
    folder = sentence_encoder(tmp_path / "encoder")
    (folder / file).write_text(content)
    code, _, stderr = headstart("predict", folder, "roses", "--labels", "a,b")
    assert code == exit_code and words in stderr, stderr


@pytest.mark.parametrize("kind", ["nli", "encoder"])
def test_texts_alone_and_together_get_the_same_answers(kind, request, monkeypatch):
    model = package.load(request.getfixturevalue(kind), labels=LABELS)
    texts = tiny.texts(9)
    together = probabilities(model.predict(texts))
    monkeypatch.setattr(zero_shot_predictor, "FEATURES_AT_ONCE", 1)
    assert np.abs(together - probabilities([model.predict([text])[0] for text in texts])).max() < 1e-5
    assert np.abs(together - probabilities(model.predict(texts))).max() < 1e-5


def test_descriptions_are_read_in_the_place_of_names(encoder, headstart, tmp_path):
    texts = write_csv(tmp_path / "texts.csv", [(text,) for text in tiny.texts(4)], ["text"])
    with_file = write_csv(tmp_path / "labels.csv", [("a", "seven green apples, or two"), ("b", "an unpaid bill")],
                          ["label", "description"])
    rows = {}
    for name, labels in (("text", "a=seven green apples, or two; b = an unpaid bill"), ("file", with_file),
                         ("bare", "a,b")):
        code, stdout, stderr = headstart("predict", encoder, texts, "--labels", labels)
        assert code == 0 and NOT_MEASURED in stderr and "not calibrated" in stderr
        assert ("have no descriptions" in stderr) == (name == "bare")
        rows[name] = list(csv.DictReader(stdout.splitlines()))
    assert rows["text"] == rows["file"] != rows["bare"]
    assert list(rows["bare"][0]) == ["text", "prediction", "probability", "probabilities"]
    described = package.load(encoder, labels={"a": "seven green apples, or two", "b": "an unpaid bill"})
    assert [row["prediction"] for row in described.predict(tiny.texts(4))] == [row["prediction"]
                                                                               for row in rows["text"]]


@pytest.mark.parametrize(("labels", "words"), [
    ("billing=about an invoice, or a refund; delivery, praise", "'delivery, praise': read as one label, because"),
    ("billing; delivery=where a parcel is, praise=a word of thanks", "'delivery=where a parcel is, praise=a word of thanks'"),
    ("a, b; c, d", "'a, b', 'c, d': read as one label each"),
    ("billing=about an invoice, or a refund; delivery", ""), ("billing,delivery", ""), (["a, b; c", "d"], "")])
def test_a_comma_in_a_label_that_semicolons_separate_is_told(labels, words):
    notes = " ".join(read_labels(labels).notes)
    assert words in notes and ("semicolons separate" in notes) == bool(words)


def test_json_and_one_text_say_that_nothing_measured_it(nli, headstart, tmp_path):
    texts = write_csv(tmp_path / "texts.csv", [("roses",), ("apples",)], ["text"])
    code, stdout, _ = headstart("predict", nli, texts, "--labels", "roses,apples", "--to", tmp_path / "out.csv",
                                "--json")
    assert code == 0 and json.loads(stdout) == {"rows": 2, "to": str(tmp_path / "out.csv"), "measured": False}
    code, stdout, stderr = headstart("predict", nli, "the roses are late", "--labels", "roses,card_arrival")
    assert code == 0 and NOT_MEASURED in stderr and "card_arrival as 'card arrival'" in stderr
    assert list(json.loads(stdout)["probabilities"]) == ["roses", "card_arrival"]
    _, stdout, _ = headstart("predict", nli, "the roses are late", "--labels", "roses,apples", "--json")
    assert json.loads(stdout)["measured"] is False


@pytest.mark.parametrize("kind", ["encoder", "nli"])
def test_a_text_that_is_longer_than_the_model_reads_is_told(kind, request, headstart):
    folder = request.getfixturevalue(kind)
    code, stdout, stderr = headstart("predict", folder, "roses " * 200, "--labels", "roses,apples")
    assert code == 0 and json.loads(stdout)["prediction"] and "1 text is longer than the model reads" in stderr
    assert "longer than" not in headstart("predict", folder, "roses", "--labels", "roses,apples")[2]


def test_confident_answers_are_training_data(encoder, headstart, tmp_path):
    texts = write_csv(tmp_path / "texts.csv", enumerate(tiny.texts(60, seed=1)), ["id", "body"])
    model = package.load(encoder, labels=["roses", "apples"])
    predicted = model.predict(texts, text="body")
    limit = sorted(row["probability"] for row in predicted)[20]
    silver = tmp_path / "silver.csv"
    code, _, stderr = headstart("predict", encoder, texts, "--text", "body", "--labels", "roses,apples",
                                "--min-probability", limit, "--to", silver)
    rows = list(csv.reader(silver.read_text(encoding="utf-8").splitlines()))
    assert code == 0 and rows[0] == ["body", "label"] and len(rows) == 41
    assert "40 of 60 rows have a probability of" in stderr
    sure = [[text, row["prediction"]] for text, row in zip(tiny.texts(60, seed=1), predicted, strict=True)
            if row["probability"] >= limit]
    assert rows[1:] == sure
    code, _, stderr = headstart("finetune", silver, "--model", encoder, "--to", tmp_path / "run", "--epochs", "1",
                                "--method", "plain", "--set", "evaluation.resamples=0", "--set",
                                "evaluation.baselines=false")
    assert code == 0, stderr
    code, _, stderr = headstart("predict", encoder, texts, "--text", "body", "--labels", "roses,apples",
                                "--min-probability", 1, "--to", tmp_path / "none.csv")
    assert code == 65 and "the highest is" in stderr and not (tmp_path / "none.csv").exists()


def test_labels_of_which_no_confident_row_is_left_are_named(encoder, headstart, tmp_path):
    texts = write_csv(tmp_path / "texts.csv", enumerate(tiny.texts(20, seed=1)), ["id", "body"])
    highest = max(row["probability"] for row in package.load(encoder, labels=["roses", "apples"]).predict(
        texts, text="body"))
    code, _, stderr = headstart("predict", encoder, texts, "--text", "body", "--labels", "roses,apples",
                                "--min-probability", highest, "--to", tmp_path / "silver.csv")
    assert code == 0 and "no row is left of 1 of 2 labels" in stderr


def test_labelled_rows_measure_it_beside_the_majority(encoder, headstart, tmp_path):
    gold = ["roses", "apples", "roses", "Bill"]
    rows = write_csv(tmp_path / "few.csv", zip(tiny.texts(4), gold, strict=True))
    code, stdout, stderr = headstart("evaluate", encoder, rows, "--labels", "roses,apples,bill,cards", "--json",
                                     "--to", tmp_path / "scores")
    scores = json.loads(stdout)["scores"]
    assert code == 0 and NOT_MEASURED not in stderr
    assert "'Bill' of the file (1 row) is not among --labels" in stderr and "--labels has 'bill'" in stderr
    assert "2 of 4 labels have no row in the file, so nothing measures them: bill, cards" in stderr
    predictions = [json.loads(line)["prediction"]
                   for line in (tmp_path / "scores/predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    accuracy = scores["test"]["accuracy"]
    assert accuracy["value"] == np.mean([answer == label for answer, label in zip(predictions, gold, strict=True)])
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert scores["baselines"]["majority"]["scores"]["accuracy"]["value"] == 0.5
    code, _, stderr = headstart("evaluate", encoder, rows, "--labels", "yes,no")
    assert code == 65 and "it has roses, apples, Bill" in stderr


def test_several_labels_a_text_are_measured_too(nli, headstart, tmp_path):
    rows = write_csv(tmp_path / "few.csv", zip(tiny.texts(6), [
        "roses;apples", "roses", "apples", "roses;bill", "bill", "roses;apples"], strict=True), ["text", "tags"])
    code, stdout, stderr = headstart("evaluate", nli, rows, "--labels", "roses,apples,bill", "--label", "tags",
                                     "--set", "zero_shot.multi_label=true", "--json")
    assert code == 0, stderr
    scores = json.loads(stdout)["scores"]
    assert {"macro_f1", "subset_accuracy"} <= set(scores["test"]) and scores["baselines"]


BAD_LABELS = [
    ("roses", 2, "'roses' alone came"), ("roses,apples,Roses", 2, "differs in case"), ("a,b,a", 2, "named twice"),
    ("a,,b", 2, "label 2 of 3 is empty"), ("=x;b", 2, "label 1 of 2 is empty"), ("labels.csv", 66, "labels.csv"),
    ("./there/is/none", 66, "none")]


@pytest.mark.parametrize(("labels", "exit_code", "words"), BAD_LABELS)
def test_labels_that_cannot_be_told_apart_are_refused_in_words(labels, exit_code, words, encoder, headstart, tmp_path,
                                                              monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = headstart("predict", encoder, "roses", "--labels", labels)
    assert (code, stdout) == (exit_code, "") and words in stderr


@pytest.mark.parametrize(("text", "words"), [
    ("name\nroses\napples\n", "there is no column 'label'"), ("label\nroses\n", "'roses' alone"),
    ("label,description\nroses,a\n,b\n", "label 2 of 2 is empty"), ("label\n", "no rows")])
def test_odd_files_of_labels_are_refused_in_words(text, words, encoder, headstart, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    code, _, stderr = headstart("predict", encoder, "roses", "--labels", path)
    assert code == 65 and words in stderr, stderr


def test_what_is_read_of_a_file_of_labels_is_told(encoder, headstart, tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"label": "a", "description": "roses", "owner": "x"}\n{"label": "b"}\n')
    code, _, stderr = headstart("predict", encoder, "roses", "--labels", path)
    assert code == 0 and "columns that are not read: owner" in stderr and "1 of 2 labels has no description" in stderr
    lines = tmp_path / "labels.txt"
    lines.write_text("roses\napples, green\n")
    assert package.load(encoder, labels=lines).task.learned.labels == ("roses", "apples, green")


def test_a_thousand_labels_say_what_they_cost(nli, headstart):
    labels = ",".join(f"label {number}" for number in range(1000))
    code, stdout, stderr = headstart("predict", nli, "roses", "--labels", labels)
    assert code == 0 and "each text is read 1,000 times" in stderr and len(json.loads(stdout)["probabilities"]) == 1000


@pytest.fixture
def own_model(tmp_path):
    """A model folder of headstart with labels of its own."""
    published = tiny.model_folder("bert", tmp_path / "published", "sequence-classification", ["bad", "good", "mixed"])
    return package.load(published).save(tmp_path / "own")


def test_a_model_that_is_neither_is_refused_with_the_ways_out(tiny_bert, headstart, own_model, tmp_path):
    for folder, words in ((tiny_bert, "neither to compare sentences nor for entailment"),
                          (own_model, "trained on labels of its own: bad, good, mixed"),
                          (tiny.model_folder("bert", tmp_path / "unnamed", "sequence-classification",
                                             ["LABEL_0", "LABEL_1", "LABEL_2"]), "have no names"),
                          (tiny.model_folder("bert", tmp_path / "mlm", "masked-language-model"), "neither")):
        code, stdout, stderr = headstart("predict", folder, "roses", "--labels", "a,b")
        assert (code, stdout) == (2, "") and words in stderr
        assert "sentence encoder" in stderr or "id2label" in stderr


@pytest.mark.parametrize(("kind", "setting", "words"), [
    ("encoder", "zero_shot.multi_label=true", "read by a model of entailment"),
    ("encoder", "zero_shot.hypothesis_template=About {}.", "read by a model of entailment"),
    ("nli", "zero_shot.temperature=0.1", "read by a sentence encoder"),
    ("nli", "zero_shot.hypothesis_template=About it.", "{} was expected in it once"),
    ("nli", "task.long_texts=windows", "always truncated"), ("encoder", "zero_shot.temperature=0", "at least 0.001")])
def test_settings_that_nothing_reads_are_refused(kind, setting, words, request, headstart):
    code, _, stderr = headstart("predict", request.getfixturevalue(kind), "roses", "--labels", "a,b", "--set", setting)
    assert code == 78 and words in stderr


def test_settings_of_zero_shot_without_labels_are_refused(own_model, headstart):
    code, _, stderr = headstart("predict", own_model, "roses", "--set", "zero_shot.multi_label=true")
    assert code == 78 and "only together with --labels" in stderr
    with pytest.raises(UserError, match="without labels"):
        package.load(own_model, zero_shot={"temperature": 0.1})


def test_labels_stays_a_column_of_models_of_several_labels(headstart, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = tiny.model_folder("bert", tmp_path / "source", "sequence-classification", ["a", "b"])
    model = AutoModelForSequenceClassification.from_pretrained(source)
    model.config.problem_type = "multi_label_classification"
    with torch.no_grad():
        model.save_pretrained(tmp_path / "multi")
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path / "multi")
    rows = write_csv(tmp_path / "rows.csv", [("roses", "a;b"), ("apples", "b"), ("cards", "a;b")], ["text", "tags"])
    code, stdout, stderr = headstart("evaluate", tmp_path / "multi", rows, "--labels", "tags", "--json")
    assert code == 0 and "subset_accuracy" in json.loads(stdout)["scores"]["test"], stderr


def test_a_pair_of_texts_is_refused(encoder, headstart, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", [("roses", "apples")], ["text", "pair"])
    code, _, stderr = headstart("predict", encoder, rows, "--labels", "a,b")
    assert code == 2 and "two texts" in stderr and "give it another name" in stderr


def test_what_needs_a_head_of_its_own_is_refused(encoder, tmp_path):
    model = package.load(encoder, labels=["a", "b"])
    for call in (lambda: model.save(tmp_path / "saved"), lambda: model.attribute("roses")):
        with pytest.raises(UserError, match="no weights of its own"):
            call()
    assert not (tmp_path / "saved").exists()


def test_predictors_of_other_labels_have_other_fingerprints(encoder, nli):
    for folder in (encoder, nli):
        fingerprints = {package.load(folder, labels=labels).predictor().fingerprint()
                        for labels in (["a", "b"], {"a": "roses", "b": "apples"}, ["a", "b"])}
        assert len(fingerprints) == 2


def test_another_process_makes_the_same_predictor(encoder, nli):
    for folder in (encoder, nli):
        model = package.load(folder, labels={"a": "roses", "b": "apples"})
        work = pickle.loads(pickle.dumps(model.shared_work(4096, "fp32")))
        assert work.predictor().fingerprint() == model.predictor().fingerprint()


def test_a_model_with_labels_is_served_like_any_other(nli, encoder):
    from headstart.serving.body import Bounds
    from headstart.serving.engine import Limits
    from headstart.serving.served_model import ServedModel

    rows = [{"text": text} for text in tiny.texts(3)]
    for folder in (nli, encoder):
        model = package.load(folder, labels=["roses", "apples"])
        served = ServedModel("labels", model, Limits(), Bounds())
        prepared = served.prepare(rows)
        values = served.values(prepared, served.predict(prepared).result(30))
        served.engine.close()
        expected = model.predict(rows)
        assert [row["prediction"] for row in values] == [row["prediction"] for row in expected]
        assert np.abs(probabilities(values) - probabilities(expected)).max() < 1e-5
