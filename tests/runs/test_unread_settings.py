"""A changed setting that a run never reads is refused with the reason; settings.toml holds what it reads, and repeats it."""

import json
import tomllib

import pytest
import tiny
import tiny_writers
from conftest import QUICK_FLAGS

from headstart.artifacts import artifact
from headstart.errors import Exit, UserError
from headstart.runs.unread import refuse_unread, unread_settings
from headstart.settings import GROUPS, list_settings
from headstart.settings.run_settings import run_settings

MODELS = {"text-classification": ("bert", "sequence-classification"), "regression": ("bert", "sequence-classification"),
          "language-model": ("gpt2", "causal-language-model"), "summarization": ("t5", None), "translation": ("mbart", None)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """{task: (task, a tiny model for it)}."""
    folder, models = tmp_path_factory.mktemp("models"), {}
    for name, (family, head) in MODELS.items():
        path = folder / name
        if head is None:
            tiny_writers.model_folder(family, path)
        else:
            labels = ["no", "yes"] if name == "text-classification" else ["score"] if name == "regression" else None
            tiny.model_folder(family, path, head, labels)
        languages = tiny_writers.language_arguments(family) if head is None else {}
        models[name] = artifact.load(str(path), task_name=name, **languages)
    return models


def settings_of(values):
    run_values = {key.removeprefix("run."): value for key, value in values.items() if key.startswith("run.")}
    return run_settings({"train": "rows.csv", **run_values}, {},
                        {key: value for key, value in values.items() if not key.startswith("run.")})


LANGUAGE = "language-model"
RULES = [  # key, a changed value, (task, settings) that never read it, (task, settings) that do
    ("adapter.rank", 4, (LANGUAGE, {}), (LANGUAGE, {"training.adapter": "lora"})),
    ("adapter.target_modules", "q", ("regression", {}), ("regression", {"training.adapter": "lora"})),
    ("distil.temperature", 4.0, ("regression", {}), ("regression", {"run.teacher": "t"})),
    ("distil.temperature", 4.0, ("regression", {"run.teacher": "t", "distil.with_teacher": False}),
     ("regression", {"run.teacher": "t"})),
    ("distil.layer_map", "1:1", ("regression", {"run.teacher": "t", "distil.with_teacher": False}),
     ("regression", {"run.teacher": "t"})),
    ("distil.freeze_encoder", False, ("regression", {"run.teacher": "t"}), ("summarization", {"run.teacher": "t"})),
    ("mining.negatives", 4, ("text-classification", {}), ("text-classification", {"run.index": "i"})),
    ("mining.negatives", 4, ("summarization", {"run.index": "i"}), ("text-classification", {"run.index": "i"})),
    ("mining.passages", 4, ("text-classification", {"run.index": "i"}), ("summarization", {"run.index": "i"})),
    ("training.batch_size", 4, (LANGUAGE, {"training.batch_tokens": 512}), (LANGUAGE, {})),
    ("training.warmup_ratio", 0.5, (LANGUAGE, {"training.warmup_steps": 3}), (LANGUAGE, {})),
    ("training.restarts", 4, (LANGUAGE, {}), (LANGUAGE, {"training.schedule": "cosine-restarts"})),
    ("training.power", 3.0, (LANGUAGE, {}), (LANGUAGE, {"training.schedule": "polynomial"})),
    *[(f"training.{name}", value, (LANGUAGE, {"training.optimizer": "adafactor"}), (LANGUAGE, {}))
      for name, value in (("beta1", 0.5), ("beta2", 0.5), ("epsilon", 1e-4))],
    ("training.class_weights", "balanced", ("regression", {}), ("text-classification", {})),
    ("training.label_smoothing", 0.1, ("regression", {}), ("text-classification", {})),
    ("training.focal_gamma", 2.0, ("regression", {}), ("text-classification", {})),
    ("data.split", "70/20/10", ("regression", {"run.dev": "d"}), ("regression", {})),
    ("data.select_slice", "de", ("regression", {}), ("regression", {"data.slice_by": "language"})),
    ("data.language", "en_XX", ("summarization", {}), ("translation", {})),
    ("data.target_language", "ro_RO", ("summarization", {}), ("translation", {})),
    ("generation.max_new_tokens", 9, ("text-classification", {}), (LANGUAGE, {})),
    ("generation.max_new_tokens", 9, (LANGUAGE, {"evaluation.generated_samples": 0}), (LANGUAGE, {})),
    ("generation.num_beams", 4, ("regression", {}), ("summarization", {})),
    ("generation.control_code", "Links", ("summarization", {}), (LANGUAGE, {})),
    ("generation.prefix", "none", ("summarization", {}), (LANGUAGE, {})),
    ("generation.layout", "chat", (LANGUAGE, {}), None),
    ("generation.num_return_sequences", 2, (LANGUAGE, {}), ("summarization", {"generation.num_beams": 2})),
    *[(f"generation.{name}", value, ("summarization", {}), ("summarization", {"generation.do_sample": True}))
      for name, value in (("temperature", 0.5), ("top_p", 0.5), ("min_p", 0.5), ("typical_p", 0.5), ("top_k", 5))],
    ("generation.top_k", 5, (LANGUAGE, {}), (LANGUAGE, {"generation.penalty_alpha": 0.6})),
    ("generation.length_penalty", 2.0, ("summarization", {}), ("summarization", {"generation.num_beams": 2})),
    ("generation.diversity_penalty", 2.0, ("summarization", {"generation.num_beams": 2}),
     ("summarization", {"generation.num_beams": 2, "generation.num_beam_groups": 2})),
    ("evaluation.generated_samples", 3, ("text-classification", {}), (LANGUAGE, {})),
    ("evaluation.explained_errors", 3, (LANGUAGE, {}), ("text-classification", {})),
    ("evaluation.baseline_rows", 500, ("text-classification", {"evaluation.baselines": False}),
     ("text-classification", {})),
]


@pytest.mark.parametrize(("key", "value", "idle", "active"), RULES)
def test_a_changed_setting_is_refused_where_it_is_never_read_and_taken_where_it_is(key, value, idle, active, loaded):
    task, model = loaded[idle[0]]
    settings = settings_of(idle[1])
    assert key in unread_settings(settings, task, model)
    refuse_unread(settings, task, model)  # as long as nobody changes it
    with pytest.raises(UserError) as error:
        refuse_unread(settings_of({**idle[1], key: value}), task, model)
    assert error.value.exit == Exit.SETTINGS and key in str(error.value)
    assert f"{key} = " not in toml_lines(settings, unread_settings(settings, task, model))
    if active is not None:
        task, model = loaded[active[0]]
        settings = settings_of({**active[1], key: value})
        assert key not in unread_settings(settings, task, model)
        refuse_unread(settings, task, model)
        group, name = key.split(".")
        assert tomllib.loads(settings.toml(unread_settings(settings, task, model)))[group][name] == value


def toml_lines(settings, unread):
    """settings.toml as group.name = value, a line each."""
    groups = tomllib.loads(settings.toml(unread))
    return "".join(f"{group}.{name} = {value}\n" for group, values in groups.items() for name, value in values.items())


@pytest.mark.parametrize("name", MODELS)
def test_defaults_are_never_refused_and_every_reason_is_a_sentence_part(name, loaded):
    task, model = loaded[name]
    refuse_unread(settings_of({}), task, model)
    reasons = unread_settings(settings_of({}), task, model)
    known_keys = {setting.key for group, group_class in GROUPS.items() for setting in list_settings(group, group_class)}
    assert set(reasons) <= known_keys and all(reason and reason[-1] != "." for reason in reasons.values())


def test_several_idle_settings_are_refused_together(loaded):
    task, model = loaded["text-classification"]
    with pytest.raises(UserError) as error:
        refuse_unread(settings_of({"generation.num_beams": 4, "adapter.rank": 4, "mining.search_depth": 3}), task, model)
    for key, reason in (("generation.num_beams", "generates no text"), ("adapter.rank", "training.adapter is none"),
                        ("mining.search_depth", "no --index is named")):
        assert key in str(error.value) and reason in str(error.value)
    assert "Leave them out." in str(error.value)


RUNS = {
    "text-classification": ("bert", ["--set", "training.schedule=polynomial", "--set", "training.power=2.5", "--set",
                                     "task.long_texts=windows", "--set", "task.overlap=4"]),
    "language-model": ("gpt2", ["--set", "generation.do_sample=true", "--set", "generation.temperature=0.8", "--set",
                                "evaluation.generated_samples=2", "--set", "generation.max_new_tokens=5"]),
}


@pytest.mark.parametrize("name", RUNS)
def test_settings_toml_alone_repeats_the_run_and_holds_nothing_idle(name, headstart, tmp_path, reviews):
    family, flags = RUNS[name]
    model = tiny.model_folder(family, tmp_path / "model", seed=1)
    assert headstart("finetune", reviews, "--task", name, "--model", model, "--seed", 5, "--to", tmp_path / "a",
                     *QUICK_FLAGS, *flags)[0] == 0
    groups = tomllib.loads((tmp_path / "a" / "settings.toml").read_text(encoding="utf-8"))
    idle = {"adapter", "distil", "mining", "index", "steering"} | ({"generation"} if family == "bert" else set())
    assert not idle & set(groups) and {"run", "columns", "data", "training", "evaluation"} <= set(groups)
    code, _, stderr = headstart("finetune", "--settings", tmp_path / "a" / "settings.toml", "--to", tmp_path / "b")
    assert code == 0, stderr
    assert (tmp_path / "b" / "settings.toml").read_text() == (tmp_path / "a" / "settings.toml").read_text()
    weights = [(tmp_path / run / "model" / "model.safetensors").read_bytes() for run in "ab"]
    timings = {"seconds": None, "training": None}
    scores = [json.loads((tmp_path / run / "scores.json").read_text()) | timings for run in "ab"]
    assert weights[0] == weights[1] and scores[0] == scores[1]
