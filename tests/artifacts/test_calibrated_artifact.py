"""A temperature is in the saved weights where that is exact, else beside them, and the card says which."""

import pytest
import tiny

from headstart.api.model import load
from headstart.artifacts import artifact, model_card
from headstart.contract import Abstention

TEXTS = tiny.texts(8)


@pytest.mark.parametrize(("family", "dtype", "is_folded"), [("bert", "fp32", True), ("gpt2", "fp32", False),
                                                            ("bert", "bf16", False)])
def test_a_saved_model_keeps_its_temperature(tmp_path, family, dtype, is_folded):
    folder = tiny.model_folder(family, tmp_path / "plain", "sequence-classification", labels=["bad", "good", "mixed"])
    model = load(folder, device="cpu")
    task = model.task.with_learned(model.task.learned.with_value("temperature", 0.4))
    card = model_card.render(model_card.card_of(task, model.transformer, "base", dtype=dtype))
    assert ("calibrated through headstart only" in card) is not is_folded
    artifact.save(tmp_path / "saved", model.transformer, task, card, {}, dtype=dtype)
    saved, plain = load(tmp_path / "saved", device="cpu"), model.predict(TEXTS)
    assert saved.task.temperature == (1.0 if is_folded else 0.4)
    model.task = task
    for before, expected, row in zip(plain, model.predict(TEXTS), saved.predict(TEXTS), strict=True):
        assert row["probability"] == pytest.approx(expected["probability"], abs=1e-5 if dtype == "fp32" else 0.02)
        assert expected["prediction"] == before["prediction"] and row["probability"] > before["probability"]


def test_the_card_says_that_it_abstains(tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "plain", "sequence-classification", labels=["bad", "good", "mixed"])
    model = load(folder, device="cpu")
    for threshold, words in ((0.91, "Below a confidence of 0.9100 it abstains"), (None, "abstains on every row")):
        learned = Abstention(0.05, 0.95, threshold, rows=100)
        task = model.task.with_learned(model.task.learned.with_value("abstention", learned.json()))
        card = model_card.render(model_card.card_of(task, model.transformer, "base"))
        assert words in card and "always gives one of its labels" not in card
