"""A teacher in a run: read and checked before anything else, cut into a student, and measured beside it at the end."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.artifacts import artifact
from headstart.contract import Json, Learned, Task
from headstart.errors import Exit, UserError
from headstart.evaluation.evaluate import Evaluated, differences, evaluate
from headstart.prediction.predict import predict
from headstart.preparation.examples import Examples
from headstart.progress import Voice
from headstart.runs.run_config import Request, resolved

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.runs.fit import Fit
    from headstart.runs.prepare import Dataset
    from headstart.training.losses.losses import Objective


@dataclass
class Teacher:
    """A trained model and its task; `kept` are the layers that the student has of it, none with a student of its own."""

    task: Task[Any]
    model: Model
    kept: Mapping[str, tuple[int, ...]]


def opened(asked: Request, device: str, voice: Voice) -> tuple[Request, Teacher]:
    """The request with what the teacher decides (task, its settings), and the teacher; raises UserError (2, 66, 69, 78)."""
    from headstart.models.loading.weights import checksum

    told = asked.distil
    if asked.from_scratch is not None or asked.training.adapter != "none":
        what = "--from-scratch" if asked.from_scratch is not None else f"training.adapter={asked.training.adapter}"
        raise UserError(f"A student is made of its teacher's layers and trained whole; {what} does not go with it.", fix="Leave it out.",
                        exit=Exit.SETTINGS)
    task, model = artifact.load(str(asked.teacher), task_name=asked.task, device=device, allow_pickle=asked.allow_pickle,
                                language=asked.data.language)
    found = checksum(model.module.parameters())
    if asked.teacher_sum not in (None, found):
        raise UserError(f"The teacher {asked.teacher} is not what it was when the run began (its weights' sum is {found}, it was "
                        f"{asked.teacher_sum}).", fix="Put its old files back, or begin anew with distil.", exit=Exit.UNAVAILABLE)
    model.module.requires_grad_(False)
    model.module.eval()
    kept = chosen(asked, model)
    if told.with_teacher:
        from headstart.training.losses.distillation import refuse

        refuse(task.head())
    voice.say(f"teacher: {asked.teacher} ({task.name}, {model.facts.family}, {model.facts.layers} layers of width {model.facts.width})")
    changes: dict[str, Any] = {}
    if "encoder" in kept and told.freeze_encoder and not asked.training.freeze and len(kept["encoder"]) == layers_of(model)["encoder"]:
        changes["training"] = dataclasses.replace(asked.training, freeze="encoder")
        voice.say("the encoder is the teacher's, whole; it stays as it is (distil.freeze_encoder=false trains it)")
    own = vars(task.settings) | dict(asked.task_settings)
    return resolved(asked, task=task.name, model=asked.model or asked.teacher, teacher_sum=found, task_settings=own, device=device,
                    **changes), Teacher(task, model, kept)


def tell_seen(asked: Request, dataset: Dataset, voice: Voice) -> None:
    """Say how many dev and test rows of the student are rows that its teacher, a run, was trained on."""
    data = dataset.json()
    try:
        before = json.loads((Path(str(asked.teacher)) / "data.json").read_text(encoding="utf-8"))
        sums = {one["file"]: one["sha256"] for one in before["files"]}
        learned, learned_sum = set(before["splits"]["train"]["rows"]), sums[before["splits"]["train"]["file"]]
    except (OSError, ValueError, KeyError):
        return
    own = {one["file"]: one["sha256"] for one in data["files"]}
    counts = {name: len(learned & set(held["rows"])) for name, held in data["splits"].items()
              if name != "train" and own.get(held["file"]) == learned_sum}
    told = ", ".join(f"{count:,} {name} rows" for name, count in counts.items() if count)
    if told:
        voice.say(f"the teacher was trained on {told} of the student's, which flatters the teacher: give the seed and data.split of its "
                  f"run ({asked.teacher}/settings.toml), or files of your own")


def layers_of(model: Model) -> dict[str, int]:
    """How many layers each stack of a model has."""
    from headstart.models.layer_pruning import stacks

    return stacks(model)


def chosen(asked: Request, teacher: Model) -> dict[str, tuple[int, ...]]:
    """The teacher's layers that the student keeps, by stack; none for a student of its own. Raises UserError (78)."""
    from headstart.models.layer_pruning import choose, shared

    told, counts = asked.distil, layers_of(teacher)
    own = asked.model not in (None, asked.teacher)
    two = "decoder" in counts
    named = {"layers": told.layers, "encoder_layers": told.encoder_layers, "decoder_layers": told.decoder_layers}
    for name in [name for name, value in named.items() if value != ""]:
        if own or two == (name == "layers"):
            reason = "a student of its own keeps its layers" if own else "this teacher has an encoder and a decoder" if two else \
                "this teacher has one stack of layers"
            raise UserError(f"distil.{name} does not go here: {reason}.", exit=Exit.SETTINGS,
                            fix="Leave it out." if own else "Use distil.encoder_layers and distil.decoder_layers." if two else
                            "Use distil.layers.")
    if own:
        return {}
    if two:
        return {"encoder": choose(told.encoder_layers, counts["encoder"], "distil.encoder_layers", whole=True),
                "decoder": choose(told.decoder_layers, counts["decoder"], "distil.decoder_layers")}
    if shared(teacher) and "," in str(told.layers):
        raise UserError(f"The layers of {teacher.facts.family} are one and the same, so none can be chosen.",
                        fix="Give a count: distil.layers=3.", exit=Exit.SETTINGS)
    return {"": choose(told.layers, counts[""], "distil.layers")}


def agreed(teacher: Teacher, data: Dataset) -> Dataset:
    """The rows under the teacher's labels; raises UserError (65) for labels that it does not know.

    Where a task learns a scale, the teacher's outputs are brought to that of the training rows.
    """
    task, known = data.task, teacher.task.known
    named = task.knowing(known)
    splits = {name: Examples(named, held.rows, held.indices) for name, held in data.splits.items()}
    learned = named.learn(splits["train"])
    unknown = sorted(set(learned.labels) - set(known.labels))
    if unknown:
        raise UserError(f"The training rows have {len(unknown)} labels that the teacher does not know: {', '.join(unknown[:5])}.",
                        fix=f"It knows {', '.join(known.labels[:8])}{' …' if len(known.labels) > 8 else ''}. Teach it those first "
                            "(headstart finetune).", exit=Exit.DATA)
    counts = dict(zip(learned.labels, learned.counts, strict=False))
    values: dict[str, Json] = dict(learned.values) | dict(known.values)
    fold = task.knowing(learned).shipped()[1]
    if fold is not None and teacher.model.can_fold:
        unfold(teacher.model, fold)
        values = dict(learned.values)
    task = task.knowing(Learned(known.labels, tuple(counts.get(label, 0) for label in known.labels) if counts else known.counts, values))
    if fold is not None:
        teacher.task = teacher.task.knowing(task.known)
    splits = {name: Examples(task, held.rows, held.indices) for name, held in splits.items()}
    return dataclasses.replace(data, task=task, splits=splits)


def unfold(model: Model, fold: tuple[float, float]) -> None:
    """Bring a model that answers in the user's numbers to the scale of training: (x - shift) / scale in its last layer."""
    import torch

    from headstart.models.heads.pooling import last_linear

    last = last_linear(model.module)
    with torch.no_grad():
        last.weight.div_(fold[0])
        last.bias.sub_(fold[1]).div_(fold[0])


def student(asked: Request, teacher: Teacher, voice: Voice) -> Model:
    """A model of the teacher's own layers, that is told; raises UserError (2)."""
    from headstart.models.layer_pruning import cut

    training = asked.training
    made = cut(teacher.model, teacher.kept, dropout=training.dropout, attention_dropout=training.attention_dropout)
    for stack, kept in teacher.kept.items():
        whole = layers_of(teacher.model)[stack]
        what = f"{stack} layers" if stack else "layers"
        voice.say(f"student: {len(kept)} of {whole} {what}: " + ("all of them" if len(kept) == whole else ", ".join(map(str, kept))))
    if made.kind == "encoder-decoder" and made.facts.layers == layers_of(teacher.model)["encoder"] and training.freeze == "encoder":
        voice.say("encoder layers are frozen")
    made.module.train()
    return made


def check_pair(asked: Request, teacher: Model, student: Model) -> None:
    """Refuse a student that reads other pieces than its teacher, or is another kind; raises UserError (2)."""
    ours, theirs = student.tokenizer.held.get_vocab(), teacher.tokenizer.held.get_vocab()
    if ours != theirs or student.kind != teacher.kind:
        other = sum(theirs.get(piece) != place for piece, place in ours.items())
        reason = (f"the student has {len(ours):,} pieces, the teacher {len(theirs):,}, and {other:,} of the student's have another number "
                  "or none"
                  if ours != theirs else f"the student is of kind {student.kind}, the teacher of kind {teacher.kind}")
        raise UserError(f"{asked.model} cannot learn from {asked.teacher}: {reason}.",
                        fix="Choose a student with the teacher's tokenizer, leave --student out, or train on the teacher's predictions: "
                            "headstart predict TEACHER FILE --as-training-data --to pseudo.csv, then headstart finetune pseudo.csv.")


def weighed(asked: Request, teacher: Model, student: Model) -> Request:
    """The request with the weights that were not given; raises UserError (2, 78) for an unlike pair."""
    check_pair(asked, teacher, student)
    told = asked.distil
    same = student.facts.width == teacher.facts.width
    if not same and (told.alpha_hidden or told.alpha_cosine):
        raise UserError(f"The student's states have width {student.facts.width}, the teacher's {teacher.facts.width}: they cannot be "
                        "compared.", fix="Leave distil.alpha_hidden and distil.alpha_cosine out.", exit=Exit.SETTINGS)
    hidden = told.alpha_hidden if told.alpha_hidden is not None else 1.0 if same else 0.0
    cosine = told.alpha_cosine if told.alpha_cosine is not None else 0.1 if same and student.head == "masked-language-model" else 0.0
    if told.with_teacher and not told.alpha_soft + told.alpha_task + hidden + cosine:
        raise UserError("Every weight of the student's loss is 0 (distil.alpha_…): nothing would be learned.", fix="Set one above 0.",
                        exit=Exit.SETTINGS)
    made = resolved(asked, distil=dataclasses.replace(told, alpha_hidden=hidden, alpha_cosine=cosine))
    if told.with_teacher:
        matched(made, teacher, student)
    return made


def matched(asked: Request, teacher: Model, student: Model) -> dict[str, list[tuple[int, int]]]:
    """The depths whose states are compared, by stack; raises UserError (78)."""
    from headstart.training.losses.distillation import matches

    return matches(asked.distil.matched, layers_of(student), layers_of(teacher))


def around(own: Objective, asked: Request, task: Task[Any], teacher: Teacher | None, student: Model) -> Objective:
    """The head's own objective, or with a teacher the student's."""
    if teacher is None or not asked.distil.with_teacher:
        return own
    from headstart.training.losses.distillation import Taught

    return Taught(own, task.head(), asked.distil, asked.training, teacher.model, matched(asked, teacher.model, student))


def side_by_side(fit: Fit, ours: Evaluated, split: str) -> dict[str, Json]:
    """{"distillation": parameters, milliseconds and scores of both, the student's minus the teacher's}; {} without a teacher."""
    from headstart.prediction.latency import milliseconds

    prepared, teacher = fit.prepared, fit.prepared.teacher
    if teacher is None:
        return {}
    request, examples = prepared.request, ours.examples
    told, model = request.evaluation, teacher.model
    model.tokenizer = model.tokenizer.with_longest(min(model.tokenizer.longest, prepared.model.tokenizer.longest))
    fit.voice.say(f"the teacher predicts {split} ({len(examples):,} rows)")
    answers = predict(teacher.task, model, examples, batch_tokens=told.batch_tokens, seed=request.seed)
    theirs = evaluate(teacher.task, examples, answers, resamples=told.resamples, seed=request.seed)
    times = milliseconds(prepared.task, [model, prepared.model], examples, batch_tokens=told.batch_tokens, seed=request.seed)
    name = next(iter(ours.scores))
    rows = {who: {"parameters": sum(weight.numel() for weight in one.module.parameters()), "layers": sum(layers_of(one).values()),
                  "milliseconds": round(spent, 4), "scores": {key: score.json() for key, score in done.scores.items()}}
            for who, one, spent, done in (("teacher", model, times[0], theirs), ("student", prepared.model, times[1], ours))}
    held = {"teacher": request.teacher, "teacher_sum": request.teacher_sum, "split": split, "score": name,
            "kept": {stack or "layers": list(kept) for stack, kept in teacher.kept.items()}, "with_teacher": request.distil.with_teacher,
            "models": rows, "difference": differences(prepared.task, ours, theirs, resamples=told.resamples, seed=request.seed),
            "speed": round(times[0] / max(1e-9, times[1]), 3)}
    return {"distillation": held}
