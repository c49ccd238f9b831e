"""Which settings a run reads, so that a bare keyword of finetune or distil is the right one of them.

    finetune(…, task="retrieval", temperature=0.01)   sets task.temperature, for nothing is generated
    finetune(…, task="language-model", language="en") is refused: data.language and generation.language are both read
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from headstart import settings, tasks
from headstart.api.inputs import Inputs
from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.settings import keywords

ALWAYS_READ = ("data", "training", "evaluation", "model")


def split_columns(columns: Mapping[str, Any] | None,
                  values: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The columns that were named, in `columns` or by keywords of a field's name (text="body"), and the other keywords.

    A keyword that is a field and a setting too (negatives) is a column where it is a text. Several columns of a field
    are a list, or joined by commas. Raises UserError (2) for one that is named twice, or by what is no text, and (78)
    for one that may be a setting which takes a text.
    """
    setting_types = types_of_settings()
    field_names = column_fields()
    keywords_of_columns = {}
    for name, value in values.items():
        if name not in field_names or (name in setting_types and not isinstance(value, str | list | tuple)):
            continue
        if any(takes_text(value_type) for value_type in setting_types.get(name, ())):
            raise UserError(f"{name}={value!r} may be the column of that field, or the setting of that name.",
                            fix=f"Say which: columns={{{name!r}: {value!r}}}, or the setting with its group.",
                            exit=Exit.SETTINGS)
        keywords_of_columns[name] = value
    named_columns = name_columns(columns, keywords_of_columns)
    return named_columns, {name: value for name, value in values.items() if name not in keywords_of_columns}


def types_of_settings() -> dict[str, list[Any]]:
    """The types of all settings of each name, those of the tasks too, and of the groups themselves."""
    types: dict[str, list[Any]] = {group: [] for group in (*settings.GROUPS, "task")}
    group_classes = [*settings.GROUPS.values(), *(task.Settings for task in tasks.usable()[0])]
    for group_class in group_classes:
        for setting in settings.list_settings("group", group_class):
            types.setdefault(setting.key.split(".")[1], []).append(setting.type)
    return types


def takes_text(value_type: Any) -> bool:
    """Whether a setting of this type may be a text."""
    return value_type is str or isinstance(value_type, str) or any(map(takes_text, get_args(value_type)))


def column_fields() -> set[str]:
    """The names of the columns that any task knows."""
    return {field.name for task in tasks.usable()[0] for field in task.fields}


def require_column_mapping(columns: Any) -> None:
    """Refuse columns that are no dict; raises UserError (2)."""
    if columns is not None and not isinstance(columns, Mapping):
        raise UserError(f"columns is {columns!r}; a dict was expected, the column of each field.",
                        fix='For example columns={"text": "COLUMN"}, or text="COLUMN".')


def name_columns(columns: Mapping[str, Any] | None, keyword_columns: Mapping[str, Any]) -> dict[str, str]:
    """The column of each field; raises UserError (2) for one that is named twice, or by what is not a text."""
    require_column_mapping(columns)
    named_columns = {name: column_text(name, column) for name, column in (columns or {}).items()}
    for name, column in keyword_columns.items():
        if name in named_columns:
            raise UserError(f"The column of {name!r} was given twice: {named_columns[name]!r} and {column!r}.",
                            fix="Give it once.")
        named_columns[name] = column_text(name, column)
    return named_columns


def column_text(name: str, column: Any) -> str:
    """A column's name, or several joined by commas; raises UserError (2) for anything else."""
    names: list[Any] = [column] if isinstance(column, str) else list(column) if isinstance(column, list | tuple) else []
    if not names or not all(isinstance(part, str) and part for part in names):
        raise UserError(f"{name} names a column, so a text was expected, but it is {column!r}.",
                        fix=f'For example {name}="COLUMN"; several as a list.')
    return ",".join(names)


def name_settings(values: Mapping[str, Any], run_values: Mapping[str, Any], columns: Mapping[str, str],
                  inputs: Inputs | None = None) -> dict[str, Any]:
    """Keywords as {"training.epochs": 3}; raises UserError (78) for a name that several settings have, or none.

    The task is detected from the file, or the rows in memory, where it is not named and a keyword may be a setting of
    its own.
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
    known_names = task_names | column_fields()  # of those too one may be meant by an unknown name
    keywords.add_settings(qualified, keywords.resolve_names(independent, keys, known_names))
    if task_dependent:
        keys += task_keys(find_task_class(run_values, columns, qualified, inputs))
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


def find_task_class(run_values: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any],
                    inputs: Inputs | None = None) -> type[Task[Any]]:
    """The task of a run that is not prepared yet: as it is named, as the teacher's, or as the columns say.

    Raises UserError.
    """
    if run_values.get("teacher"):
        return teacher_task(str(run_values["teacher"]))
    if run_values.get("task"):
        return tasks.find(str(run_values["task"]))
    from headstart.preparation.choose_task import find_task

    if run_values["train"] == "-":
        raise UserError("Standard input is read only once, so the task of its rows cannot be detected for a setting.",
                        fix="Name the task: task=…", exit=Exit.USAGE)
    data = settings.build({key: value for key, value in values.items() if key.startswith("data.")})["data"]
    return find_task((inputs or Inputs({})).train_table(run_values["train"], data), None, columns)[0]


def teacher_task(reference: str) -> type[Task[Any]]:
    """The task of a trained model, read without its weights; raises UserError."""
    from headstart.artifacts.metadata import model_folder, read_metadata, task_from_config
    from headstart.models.loading.model_info import model_info

    folder = model_folder(reference)
    metadata = read_metadata(folder)
    if metadata is not None:
        return tasks.find(metadata["task"])
    return type(task_from_config(folder, model_info(folder).config, None))
