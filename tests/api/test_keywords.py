"""A bare keyword of finetune and distil is the one setting of that name which the run reads, or it is refused."""

import random
import re

import pytest

import headstart
from headstart import settings, tasks
from headstart.api.keywords import name_settings
from headstart.errors import Exit, UserError
from headstart.settings import list_settings
from headstart.settings.keywords import COMMON_SETTINGS, group_keys


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text;label\n" + "".join(f"a day number {n};{'good' if n % 2 else 'bad'}\n" for n in range(20)))
    return path


def resolve(values, *, train="rows.csv", columns=None, **run_values):
    return name_settings(values, {"train": str(train), **run_values}, columns or {})


def refusal(values, **run_values):
    with pytest.raises(UserError) as error:
        resolve(values, **run_values)
    assert error.value.exit == Exit.SETTINGS
    return str(error.value)


@pytest.mark.parametrize("name", tasks.names())
@pytest.mark.parametrize(("adapter", "index"), [("none", None), ("lora", "an-index")])
def test_every_name_is_the_only_setting_that_the_run_reads_or_is_refused_with_all_of_them(name, adapter, index):
    task = tasks.find(name)
    keys = [key for group in ("data", "training", "evaluation", "model") for key in group_keys(group, settings.GROUPS[group])]
    keys += group_keys("adapter", settings.Adapter) if adapter == "lora" else []
    keys += group_keys("mining", settings.Mining) if index else []
    keys += group_keys("task", task.Settings)
    if task.generative or name == "language-model":
        skipped = ("layout",) if task.kinds != ("encoder-decoder",) else (
            "layout", "prefix", "language", "control_code", "prompt_lookup_num_tokens")
        keys += [key for key in group_keys("generation", settings.Generation) if key.split(".")[1] not in skipped]
    every_setting = [setting for group, group_class in settings.GROUPS.items()
                     for setting in list_settings(group, group_class)]
    names = {setting.key.split(".")[1] for setting in every_setting} - set(COMMON_SETTINGS)
    candidates = {name: [key for key in keys if key.split(".")[1] == name] for name in sorted(names)}
    own_training = {"training": {"adapter": adapter}}
    clear = {setting_name: found_keys[0] for setting_name, found_keys in candidates.items() if len(found_keys) == 1}
    assert resolve({**dict.fromkeys(clear, 1), **own_training}, task=name, index=index) == {
        "training.adapter": adapter, **dict.fromkeys(clear.values(), 1)}
    unclear = sorted(set(candidates) - set(clear))
    for setting_name in random.Random(name).sample(unclear, 8):
        message = refusal({setting_name: 1, **own_training}, task=name, index=index)
        assert all(key in message for key in candidates[setting_name]) and setting_name in message


def test_the_settings_of_a_task_are_given_by_plain_name():
    assert resolve({"temperature": 0.01}, task="retrieval") == {"task.temperature": 0.01}
    assert resolve({"temperature": 0.7}, task="language-model") == {"generation.temperature": 0.7}
    assert resolve({"negatives": 2}, task="retrieval") == {"task.negatives": 2}
    assert resolve({"prefix": "shorten: "}, task="summarization") == {"task.prefix": "shorten: "}
    assert resolve({"task.temperature": 0.01}, task="retrieval") == {"task.temperature": 0.01}


def test_the_common_names_are_always_the_settings_of_their_flags():
    values = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "adapter": "lora", "bad_rows": "skip"}
    for name in tasks.names():
        assert resolve(values, task=name) == {COMMON_SETTINGS[key]: value for key, value in values.items()}


@pytest.mark.parametrize(("values", "run_values", "keys"), [
    ({"batch_tokens": 512}, {}, ["training.batch_tokens", "evaluation.batch_tokens"]),
    ({"dropout": 0.1, "adapter": "lora"}, {}, ["training.dropout", "adapter.dropout"]),
    ({"language": "en"}, {"task": "language-model"}, ["data.language", "generation.language"]),
    ({"negatives": 2}, {"task": "retrieval", "index": "an-index"}, ["task.negatives", "mining.negatives"])])
def test_a_name_of_several_settings_is_refused_with_all_of_them_and_each_works_in_full(values, run_values, keys):
    message = refusal(values, **run_values)
    (name, value), *_ = values.items()
    for key in keys:
        assert f"**{{{key!r}: {value!r}}}" in message
        others = {other: setting for other, setting in values.items() if other != name}
        assert resolve({key: value, **others}, **run_values)[key] == value


def test_a_name_that_nothing_reads_is_refused_with_when_it_is_read_or_with_the_nearest():
    assert "adapter.rank is read only with adapter=\"lora\"" in refusal({"rank": 4}, task="regression")
    assert "only for a task that generates text" in refusal({"num_beams": 4}, task="text-classification")
    assert "only for another task" in refusal({"mask_probability": 0.3}, task="text-classification")
    assert "only by headstart.distil" in refusal({"alpha_soft": 1}, task="text-classification")
    assert "Did you mean epochs?" in refusal({"epoch": 3})
    assert "Did you mean temperature?" in refusal({"temprature": 3}, task="retrieval")
    assert "reference.md" in refusal({"zzzzzz": 3})


def test_a_setting_that_is_given_twice_is_refused():
    assert "given twice" in refusal({"epochs": 1, "training": {"epochs": 2}})
    assert "given twice" in refusal({"max_length": 16, "data.max_length": 32})


def test_the_task_is_detected_from_the_file_where_a_name_depends_on_it(rows):
    # the other bare names say how the file is read
    assert resolve({"overlap": 8, "delimiter": ";"}, train=rows) == {"data.delimiter": ";", "task.overlap": 8}
    assert "another task" in refusal({"mask_probability": 0.3, "delimiter": ";"}, train=rows)
    with pytest.raises(UserError) as error:
        resolve({"overlap": 8}, train=rows.with_name("none.csv"))
    assert error.value.exit == Exit.NO_INPUT
    with pytest.raises(UserError, match="Standard input"):
        resolve({"overlap": 8}, train="-")
    assert resolve({"epochs": 1, "max_length": 64}, train="-") == {"training.epochs": 1, "data.max_length": 64}


def test_a_student_has_the_settings_of_its_teachers_task(trained_run):
    run, _ = trained_run
    assert resolve({"temperature": 3.0, "layers": 1, "overlap": 4}, teacher=run) == {
        "distil.temperature": 3.0, "distil.layers": 1, "task.overlap": 4}
    assert "only for a task that generates text" in refusal({"num_beams": 4}, teacher=run)


def test_a_run_is_set_by_the_bare_name_of_its_task(tiny_bert, tmp_path, reviews):
    quick = {"epochs": 1, "evaluation": {"resamples": 0, "baselines": False, "explained_errors": 0}}
    run = headstart.finetune(reviews, model=tiny_bert, to=tmp_path / "run", long_texts="windows", overlap=4,
                             max_length=16, **quick)
    toml = (run.path / "settings.toml").read_text(encoding="utf-8")
    assert re.search(r'\[task\]\n(.*\n)*long_texts = "windows"', toml) and "overlap = 4" in toml
    with pytest.raises(UserError, match="num_beams"):
        headstart.finetune(reviews, model=tiny_bert, to=tmp_path / "refused", num_beams=4, **quick)
    assert not (tmp_path / "refused").exists()
