"""Which settings a run reads, so that a bare keyword of finetune or distil is the right one of them.

    finetune(…, task="retrieval", temperature=0.01)   sets task.temperature, for nothing is generated
    finetune(…, task="language-model", language="en") is refused: data.language and generation.language are both read
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart import settings, tasks
from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.settings import keywords

ALWAYS_READ = ("data", "training", "evaluation")


def name_settings(values: Mapping[str, Any], run_values: Mapping[str, Any],
                  columns: Mapping[str, str]) -> dict[str, Any]:
    """Keywords as {"training.epochs": 3}; raises UserError (78) for a name that several settings have, or none.

    The task is detected from the file where it is not named and a keyword may be a setting of its own.
    """
    qualified, bare = keywords.split_names(values)
    if not bare:
        return qualified
    groups = [*ALWAYS_READ, *(["adapter"] if qualified.get("training.adapter") == "lora" else []),
              *(["early_exit"] if values.get("early_exit") is True or qualified.get("training.early_exit") else []),
              *(["mining"] if run_values.get("index") else []), *(["distil"] if run_values.get("teacher") else [])]
    keys = [key for group in groups for key in keywords.group_keys(group, settings.GROUPS[group])]
    task_names = {name for task in tasks.usable()[0] for name in setting_names(task.Settings)}
    task_dependent = {name: value for name, value in bare.items()
                      if name in task_names or name in setting_names(settings.Generation)}
    independent = {name: value for name, value in bare.items() if name not in task_dependent}
    keywords.add_settings(qualified, keywords.resolve_names(independent, keys, task_names))
    if task_dependent:
        keys += task_keys(find_task_class(run_values, columns, qualified))
        keywords.add_settings(qualified, keywords.resolve_names(task_dependent, keys, task_names))
    return qualified


def setting_names(group_class: type) -> set[str]:
    """The names of a group's settings."""
    return {key.split(".")[1] for key in keywords.group_keys("group", group_class)}


def task_keys(task: type[Task[Any]]) -> list[str]:
    """The task's own settings, and those of generation that it reads."""
    keys = keywords.group_keys("task", task.Settings)
    if task.generative or task.draws_samples():
        idle = {f"generation.{name}" for name in settings.PROMPT_SETTINGS} if task.kinds == ("encoder-decoder",) else {
            "generation.layout"}  # the task's settings say how it lays prompts out
        keys += [key for key in keywords.group_keys("generation", settings.Generation) if key not in idle]
    return keys


def find_task_class(run_values: Mapping[str, Any], columns: Mapping[str, str],
                    values: Mapping[str, Any]) -> type[Task[Any]]:
    """The task of a run that is not prepared yet: as it is named, as the teacher's, or as the columns say.

    Raises UserError.
    """
    if run_values.get("teacher"):
        return teacher_task(str(run_values["teacher"]))
    if run_values.get("task"):
        return tasks.find(str(run_values["task"]))
    from headstart.data.table import find_splits, open_table
    from headstart.preparation.choose_task import find_task

    if run_values["train"] == "-":
        raise UserError("Standard input is read only once, so the task of its rows cannot be detected for a setting.",
                        fix="Name the task: task=…", exit=Exit.USAGE)
    data = settings.build({key: value for key, value in values.items() if key.startswith("data.")})["data"]
    return find_task(open_table(find_splits(run_values["train"], data)["train"], data), None, columns)[0]


def teacher_task(reference: str) -> type[Task[Any]]:
    """The task of a trained model, read without its weights; raises UserError."""
    from headstart.artifacts import artifact
    from headstart.models.loading.model_info import model_info

    folder = artifact.model_folder(reference)
    metadata = artifact.read_metadata(folder)
    if metadata is not None:
        return tasks.find(metadata["task"])
    return type(artifact.task_from_config(folder, model_info(folder).config, None))
