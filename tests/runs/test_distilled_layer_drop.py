"""LayerDrop in distillation: a student trains with skipped layers, whose states are still compared, layer by layer."""

import json

import pytest
import tiny
import tiny_writers
import torch

from headstart.errors import UserError
from headstart.models import hidden_states, layer_pruning
from headstart.models.loading.load import load

FAMILIES = ("bart", "mbart", "led", "marian", "pegasus")


def student_of(family, folder, **options):
    teacher = load(str(tiny_writers.model_folder(family, folder / family)), None, seed=0,
                   **tiny_writers.language_arguments(family))
    kept_layers = {stack: tuple(range(count)) for stack, count in teacher.layer_counts.items()}
    return layer_pruning.prune(teacher, kept_layers, **options)


def recorded(student):
    ids = torch.tensor([[5, 6, 7, 8]])
    with hidden_states.recorded_hidden_states(student) as states_by_stack:
        student.run_layers(ids)
    return states_by_stack


@pytest.mark.parametrize("family", FAMILIES)
def test_a_skipped_layer_leaves_the_state_of_the_layer_before(family, tmp_path, monkeypatch):
    student = student_of(family, tmp_path, dropout=0.0, attention_dropout=0.0, layer_drop=0.5)
    assert student.module.config.encoder_layerdrop == student.module.config.decoder_layerdrop == 0.5
    student.module.eval()
    whole = recorded(student)
    student.module.train()
    draws = iter([0.9, 0.1, 0.9, 0.1, 0.9])  # of two encoder layers the second is skipped, of three decoder layers too
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(next(draws)))
    states = recorded(student)
    assert {stack: len(layers) for stack, layers in states.items()} == {"encoder": 3, "decoder": 4}
    torch.testing.assert_close(states["encoder"][0], whole["encoder"][0])
    torch.testing.assert_close(states["encoder"][1], whole["encoder"][1])
    if family in ("bart", "marian", "led"):  # the others end with a norm, of the state that is left as it was
        torch.testing.assert_close(states["encoder"][2], states["encoder"][1])
    torch.testing.assert_close(states["decoder"][2], states["decoder"][1])
    assert not torch.allclose(states["decoder"][3], states["decoder"][2])


def test_where_every_layer_is_skipped_the_last_state_is_that_of_all(tmp_path, monkeypatch):
    student = student_of("bart", tmp_path, dropout=0.0, layer_drop=0.5)
    student.module.train()
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(0.0))
    states = recorded(student)
    assert [len(states[stack]) for stack in ("encoder", "decoder")] == [3, 4]
    assert all(torch.equal(state, states["decoder"][-1]) for state in states["decoder"])


def test_a_family_without_layer_drop_is_told(tmp_path):
    with pytest.raises(UserError, match=r"has no LayerDrop \(training.layer_drop\)"):
        student_of("t5", tmp_path, layer_drop=0.1)


def test_a_teacher_that_was_trained_with_layer_drop_has_students(tmp_path, headstart):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"source": text, "target": text[:15]}) + "\n"
                            for text in tiny.texts(30, seed=2)))
    teacher = tiny_writers.model_folder("bart", tmp_path / "teacher", encoder_layerdrop=0.5, decoder_layerdrop=0.5)
    for name, options, share in (("kept", (), 0.5), ("set", ("--set", "training.layer_drop=0.25"), 0.25)):
        code, _, stderr = headstart("distil", teacher, rows, "--task", "text-to-text", "--to", tmp_path / name,
                                    "--epochs", 1, *options, "--set", "distil.decoder_layers=2", "--set",
                                    "evaluation.baselines=false", "--set", "generation.max_new_tokens=4")
        assert code == 0, stderr
        config = json.loads((tmp_path / name / "model" / "config.json").read_text(encoding="utf-8"))
        assert config["encoder_layerdrop"] == config["decoder_layerdrop"] == share
