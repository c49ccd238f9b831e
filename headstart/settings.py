"""Every setting on one line: name, type, default, help, unit and bounds; flags, file keys and docs come from it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from headstart.errors import Exit, UserError, nearest


@dataclass(frozen=True)
class Note:
    """Help, unit and bounds of a setting; `above` and `below` are bounds that are themselves not allowed."""

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def bounds(self) -> str:
        """The bounds in words, "" when there are none."""
        low = f"at least {self.low:g}" if self.low is not None else f"above {self.above:g}" if self.above is not None else ""
        high = f"at most {self.high:g}" if self.high is not None else f"below {self.below:g}" if self.below is not None else ""
        return " and ".join(part for part in (low, high) if part)

    def allows(self, value: float) -> bool:
        """Whether a number is inside the bounds."""
        return not (
            (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )


Count = int | None
Part = int | float | None  # a count of rows, or a share from 0 to 1


@dataclass(frozen=True)
class Data:
    """How the user's file is read, split and cut."""

    bad_rows: Annotated[Literal["stop", "skip"], Note("what to do with rows that cannot be used; skipped ones are counted and listed")] = "stop"
    header: Annotated[bool, Note("whether the first line names the columns (--no-header says it does not)")] = True
    delimiter: Annotated[str, Note("what parts the fields of a csv or tsv file; found by itself when empty")] = ""
    encoding: Annotated[str, Note("how the file's bytes are text; found by itself when empty")] = ""
    by: Annotated[str, Note("a column of the dev and test rows (a language, a source): each of its values is scored by itself too; a,b two such columns, a+b their pairs")] = ""
    choose_by: Annotated[str, Note("dev rows of this value of data.by alone choose the checkpoint")] = ""
    longest: Annotated[Count, Note("tokens of one model input; from the data's lengths and the model's limit when not given", low=8)] = None
    language: Annotated[str | None, Note("language of the texts, for an XLM of several: en, fr …; of the sources, for an mBART: en_XX")] = None
    target_language: Annotated[str | None, Note("language that is written, for an mBART: ro_RO …")] = None
    split: Annotated[str, Note("shares of train/dev/test when one file is given")] = "80/10/10"
    workers: Annotated[int, Note("processes that make the training rows' features; 0: this one (quickest below some 100,000 rows)", low=0, high=256)] = 0
    cache: Annotated[str, Note("folder where the training rows' features are kept by a hash of all that they are made from; none when empty")] = ""
    train_rows: Annotated[Part, Note("train on a part: a count, or a share below 1; seeded and stratified", above=0)] = None
    dev_rows: Annotated[Part, Note("the same for dev", above=0)] = None
    test_rows: Annotated[Part, Note("the same for test", above=0)] = None


@dataclass(frozen=True)
class Training:
    """How the model is trained."""

    epochs: Annotated[float | None, Note("times through the training rows; from the data's size when not given", above=0)] = None
    updates: Annotated[Count, Note("stop after this many updates instead", low=1)] = None
    batch_size: Annotated[int, Note("examples of one update", low=1)] = 32
    batch_tokens: Annotated[Count, Note("tokens of one update, padding and what is written included, in the place of batch_size; off when not given", low=16)] = None
    micro_batch: Annotated[Count, Note("examples that go through the model at once; as many as 8,192 tokens (65,536 on a GPU) when not given", low=1)] = None
    learning_rate: Annotated[float | None, Note("peak; from the model's width and the data's size when not given", above=0, below=1)] = None
    schedule: Annotated[Literal["linear", "cosine", "cosine-restarts", "polynomial", "constant"], Note("how the learning rate falls after the warm-up")] = "linear"
    warmup: Annotated[float, Note("share of all updates, 0 to 1", low=0, high=1)] = 0.1
    warmup_updates: Annotated[Count, Note("the same as a number of updates", low=0)] = None
    restarts: Annotated[int, Note("cycles of cosine-restarts", low=1)] = 2
    power: Annotated[float, Note("exponent of polynomial", above=0)] = 2.0
    optimizer: Annotated[Literal["adamw", "adafactor"], Note("how weights are moved")] = "adamw"
    weight_decay: Annotated[float, Note("pull of the weights to 0 an update; not on biases, norms, and embeddings of tokens that training never shows", low=0)] = 0.01
    beta1: Annotated[float, Note("memory of the mean gradient", low=0, below=1)] = 0.9
    beta2: Annotated[float, Note("memory of its square", low=0, below=1)] = 0.999
    epsilon: Annotated[float, Note("added to the root of the square", above=0)] = 1e-8
    clip: Annotated[float | None, Note("longest gradient; none when 0", low=0)] = 1.0
    layer_decay: Annotated[float, Note("learning rate of each layer as a share of the one above it", above=0, high=1)] = 1.0
    freeze: Annotated[str, Note("'embeddings', 'layers:N' (embeddings and the first N layers), 'encoder' (where another part writes) or 'backbone'; nothing when empty")] = ""
    adapter: Annotated[Literal["none", "lora"], Note("train small matrices beside the model's layers instead of the layers (adapter.*; needs peft)")] = "none"
    dropout: Annotated[float | None, Note("of hidden states; the model's own when not given", low=0, below=1)] = None
    attention_dropout: Annotated[float | None, Note("of attention weights; the model's own when not given", low=0, below=1)] = None
    layer_drop: Annotated[float | None, Note("share of the layers that each batch leaves out (BART and its kin); the model's own when not given", low=0, below=1)] = None
    label_smoothing: Annotated[float, Note("share of the target spread over all classes", low=0, below=1)] = 0.0
    class_weights: Annotated[Literal["none", "balanced"], Note("'balanced' weighs a class by 1 / its share")] = "none"
    focal_gamma: Annotated[float, Note("focal loss: how much sure examples count less; 0 is cross-entropy", low=0)] = 0.0
    gradient_checkpointing: Annotated[bool, Note("less memory, about a third slower")] = False
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Note("of the matrix products; auto: bf16 where the machine has it")] = "auto"
    batcher: Annotated[Literal["auto", "bucketed", "packed"], Note("padded batches of similar length, or several examples in one row")] = "auto"
    evaluate_every: Annotated[Count, Note("updates between evaluations on dev; once an epoch when not given", low=1)] = None
    save_every: Annotated[Count, Note("updates between checkpoints; at each evaluation when not given", low=1)] = None
    keep: Annotated[int, Note("newest checkpoints that are kept, beside the best", low=1)] = 1
    keep_best: Annotated[int, Note("best checkpoints that are kept", low=1, high=100)] = 1
    patience: Annotated[Count, Note("evaluations without a better score before training stops; never when not given", low=1)] = None


@dataclass(frozen=True)
class Evaluation:
    """How the model is measured."""

    baselines: Annotated[bool, Note("fit cheap rivals on the same split")] = True
    resamples: Annotated[int, Note("bootstrap resamples of each interval; none when 0", low=0, high=100_000)] = 1000
    explained: Annotated[int, Note("wrong answers whose words the report weighs (encoders); none when 0", low=0, high=100)] = 5
    samples: Annotated[int, Note("texts that a language model writes for the report; none when 0", low=0, high=1000)] = 12
    batch_tokens: Annotated[int, Note("tokens that go through the model at once", low=16)] = 4096


@dataclass(frozen=True)
class Generation:
    """How a model writes."""

    new_tokens: Annotated[int, Note("tokens that are written at most; -1: as many as the model takes", low=-1)] = 64
    least_tokens: Annotated[int, Note("tokens that are written at least", low=0)] = 0
    sample: Annotated[bool, Note("draw each token (--sample) instead of taking the likeliest")] = False
    temperature: Annotated[float, Note("of the draws: below 1 the likely becomes likelier", above=0)] = 1.0
    top_k: Annotated[int, Note("draw among so many likeliest tokens; all when 0", low=0)] = 0
    top_p: Annotated[float, Note("draw among the likeliest tokens that have this share together", above=0, high=1)] = 1.0
    min_p: Annotated[float, Note("draw among tokens at least this likely, as a share of the likeliest", low=0, high=1)] = 0.0
    typical_p: Annotated[float, Note("draw among the tokens of most expected surprise that have this share together", above=0, high=1)] = 1.0
    beams: Annotated[int, Note("ways that are followed side by side", low=1)] = 1
    length_penalty: Annotated[float, Note("of beams: a score is divided by length to this power")] = 1.0
    repetition_penalty: Annotated[float, Note("scores of tokens that stand there already are divided by this", above=0)] = 1.0
    no_repeat_ngram: Annotated[int, Note("no so many tokens come twice; any may when 0", low=0)] = 0
    answers: Annotated[int, Note("texts for each prompt", low=1)] = 1
    at_once: Annotated[int, Note("prompts that are written on side by side", low=1)] = 32
    passage: Annotated[str, Note("text that is read before each prompt and left out of what is written; auto: a neutral one for XLNet and "
                                 "Transformer-XL, none: nothing")] = "auto"
    language: Annotated[str | None, Note("language of an XLM of several, by the name in its config: en, fr …")] = None
    control_code: Annotated[str, Note("CTRL's code that is put before each prompt; none: write without one")] = ""
    chat: Annotated[bool, Note("lay prompts out by the tokenizer's chat template (--chat)")] = False


@dataclass(frozen=True)
class Adapter:
    """What is trained with training.adapter=lora."""

    rank: Annotated[int, Note("width of the small matrices", low=1, high=4096)] = 8
    alpha: Annotated[float, Note("what they give is multiplied by alpha / rank", above=0)] = 16.0
    dropout: Annotated[float, Note("of what goes into them", low=0, below=1)] = 0.0
    targets: Annotated[str, Note("'all' linear layers, or some by their name in the model: q_proj,v_proj")] = "all"


@dataclass(frozen=True)
class Steering:
    """How strongly a text is steered (Dathathri et al. 2020)."""

    stepsize: Annotated[float, Note("how far keys and values move each time; not at all when 0", low=0)] = 0.02
    num_iterations: Annotated[int, Note("times that they move for a token", low=0, high=1000)] = 3
    grad_length: Annotated[int, Note("so many first tokens are steered, later ones are not", low=0)] = 10_000
    window_length: Annotated[int, Note("keys and values of so many last tokens move; of all when 0", low=0)] = 0
    horizon_length: Annotated[int, Note("tokens that an attribute head looks ahead", low=0, high=100)] = 1
    decay: Annotated[bool, Note("within the window, earlier tokens move less")] = False
    gamma: Annotated[float, Note("gradients are divided by their norm to this power", low=0)] = 1.5
    gm_scale: Annotated[float, Note("share of the steered distribution in the geometric mean with the unsteered one", low=0, high=1)] = 0.9
    kl_scale: Annotated[float, Note("weight of staying near the unsteered distribution", low=0)] = 0.01
    top_k: Annotated[int, Note("draw among so many likeliest tokens; all when 0", low=0)] = 10
    sample: Annotated[bool, Note("draw each token, as --sample does")] = False
    uncond: Annotated[bool, Note("begin from nothing but the model's start token; prompts are left out")] = False


GROUPS: dict[str, type] = {"data": Data, "training": Training, "adapter": Adapter, "evaluation": Evaluation, "generation": Generation,
                           "steering": Steering}


@dataclass(frozen=True)
class Line:
    """One setting as help and docs show it."""

    key: str
    type: Any
    default: Any
    note: Note

    @property
    def type_name(self) -> str:
        """The type in words: "stop or skip", "number", "whole number" …"""
        return type_name(self.type)


def lines(group: str, holder: type) -> list[Line]:
    """Every setting of a group in the order of its file."""
    hints = typing.get_type_hints(holder, include_extras=True)
    found = []
    for entry in dataclasses.fields(holder):
        kind, note = typing.get_args(hints[entry.name])
        found.append(Line(f"{group}.{entry.name}", kind, entry.default, note))
    return found


def type_name(kind: Any) -> str:
    """A type in the user's words."""
    if typing.get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(kind) if part is not type(None))
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}[kind]


def parse(line: Line, value: Any) -> Any:
    """The value as the setting's type; text from the command line is read, other types are checked.

    Raises UserError (exit 78) that names the setting, what it wants, and what came.
    """
    kinds = typing.get_args(line.type) if typing.get_origin(line.type) in (typing.Union, types.UnionType) else (line.type,)
    if type(None) in kinds and (value is None or value in ("", "none")):
        return None
    for kind in kinds:
        try:
            parsed = as_kind(kind, value)
        except ValueError:
            continue
        if isinstance(parsed, int | float) and not isinstance(parsed, bool) and not line.note.allows(parsed):
            raise wrong(line, value)
        return parsed
    raise wrong(line, value)


def as_kind(kind: Any, value: Any) -> Any:
    """The value as one plain type; raises ValueError."""
    if kind is type(None):
        raise ValueError
    if typing.get_origin(kind) is Literal:
        if value in typing.get_args(kind):
            return value
        raise ValueError
    if kind is bool:
        words = {"true": True, "false": False, True: True, False: False}
        key = value.lower() if isinstance(value, str) else value
        if isinstance(key, bool | str) and key in words:
            return words[key]
        raise ValueError
    if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
        raise ValueError
    if kind is int and isinstance(value, float) and value != int(value):
        raise ValueError
    result = kind(value)
    if kind is float and result != result:
        raise ValueError
    return result


def wrong(line: Line, value: Any) -> UserError:
    """The error for a value that a setting does not take."""
    bounds = line.note.bounds()
    wanted = f"{line.type_name}{f' ({bounds})' if bounds else ''}"
    fix = f"{line.key}: {line.note.help}; default {shown(line.default)}."
    if line.note.high == 1 and isinstance(value, int | float) and 1 < value <= 100:
        fix = f"Did you mean {line.key.split('.')[1]}={value / 100:g}? " + fix
    return UserError(f"{line.key} takes {wanted}, but it is {value!r}.", fix=fix, exit=Exit.SETTINGS)


def shown(value: Any) -> str:
    """A default as help shows it."""
    return "not set" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def build(values: Mapping[str, Any], groups: Mapping[str, type] = GROUPS) -> dict[str, Any]:
    """Frozen settings of every group from {"training.epochs": 3}; unknown names are refused with the nearest one.

    Raises UserError (exit 78).
    """
    known = {line.key: line for group, holder in groups.items() for line in lines(group, holder)}
    chosen: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for key, value in values.items():
        if key not in known:
            near = nearest(key, known) or nearest(key, {name.split(".")[1]: name for name in known})
            near = next((name for name in known if near and name.endswith(near)), None)
            advice = f"Did you mean {near}?" if near else f"The groups are {', '.join(groups)}; --help lists every setting."
            raise UserError(f"There is no setting {key!r}.", fix=advice, exit=Exit.SETTINGS)
        group, name = key.split(".")
        chosen[group][name] = parse(known[key], value)
    return {group: holder(**chosen[group]) for group, holder in groups.items()}


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """`--set training.epochs=3` as {"training.epochs": "3"}; raises UserError (exit 78)."""
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or "." not in key:
            raise UserError(f"--set takes GROUP.NAME=VALUE, but it is {text!r}.",
                            fix="For example --set training.learning_rate=3e-5.", exit=Exit.SETTINGS)
        values[key.strip()] = value.strip()
    return values


def load(path: Path) -> dict[str, Any]:
    """A settings file as a flat {"group.name": value}; raises UserError (66 not found, 78 not TOML)."""
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no settings file {path}.", fix="Check the path.", exit=Exit.NO_INPUT) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} is not a settings file in TOML: {error}.", exit=Exit.SETTINGS) from None
    return {f"{group}.{name}" if isinstance(held, dict) else group: value
            for group, held in data.items() for name, value in (held.items() if isinstance(held, dict) else [("", held)])}


def flat(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Built settings back as {"group.name": value}."""
    return {f"{group}.{name}": value for group, held in groups.items() for name, value in vars(held).items()}
