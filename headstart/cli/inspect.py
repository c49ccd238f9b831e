"""`headstart inspect MODEL TEXT…`: a look inside."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.inspection.attribution import Attribution
    from headstart.inspection.inspect import Inspection
    from headstart.inspection.probe import Probe
    from headstart.metrics.intervals import Interval
    from headstart.models.model import Model
    from headstart.progress import Voice

SUMMARY = "a look inside: tokens, hidden states, attentions, as a table, a file or a page"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE; a bare model is fine")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="a text; several are inspected one after the other")
    parser.add_argument("--pair", metavar="TEXT2", help="a second text, read together with each TEXT")
    parser.add_argument("--layers", metavar="0,6,12", help="only these layers (0 is the embeddings); ranges as 1-4 are fine")
    parser.add_argument("--heads", metavar="1,2", help="only these heads of each layer, from 1")
    parser.add_argument("--no-attentions", action="store_true", help="hidden states alone: for very long texts")
    parser.add_argument("--to", metavar="F", help="all numbers into F.npz, F.safetensors or F.parquet; of several texts F-1, F-2 …")
    parser.add_argument("--page", metavar="F.html", help="a page for a browser, no network (also of --probe); of several texts F-1, F-2 …")
    group = parser.add_argument_group("what a prediction rests on (models that label texts)")
    group.add_argument("--attribute", metavar="METHOD", help="score each word: integrated-gradients, gradient-x-input or occlusion")
    group.add_argument("--target", metavar="LABEL", help="for this label (default: the one predicted)")
    group.add_argument("--baseline", metavar="pad|mask", help="what a text that says nothing is made of (default: pad; occlusion: mask)")
    group = parser.add_argument_group("what each layer knows of a label")
    group.add_argument("--probe", metavar="FILE", help="fit a logistic regression on each layer's mean state for a file's labels")
    group.add_argument("--text", metavar="COLUMN", help="the file's texts (found when clear); --pair then names a column too")
    group.add_argument("--label", metavar="COLUMN", help="the file's labels (found when clear)")
    group.add_argument("--seed", type=int, default=0, help="of the rows kept back and of the intervals (default: 0)")
    _flags.common(parser, training=False)


def run(given: argparse.Namespace) -> int:
    """Inspect; tokens go to standard output, words to standard error."""
    from headstart.inspection.inspect import inspect
    from headstart.prediction.probe_file import opened
    from headstart.runs.prepare import choose_device

    own, _, values = _flags.values(given)
    groups, voice = _flags.groups(values), _flags.voice(given)
    check_words(given)
    layers, heads = numbers(given.layers, "--layers"), numbers(given.heads, "--heads")
    device = choose_device(given.device or own.get("device", "auto"))
    model, trained = opened(given.model, device=device, allow_pickle=bool(given.allow_pickle))
    voice.say(model_words(model, given.model, trained))
    if given.probe:
        return run_probe(model, given, groups, voice)
    for number, text in enumerate(given.texts, start=1):
        found = inspect(model, text, given.pair, layers=layers, heads=heads, attentions=not given.no_attentions)
        scored = attributed(given, model, text)
        show(found, scored, as_json=given.json)
        voice.say(facts(found, model))
        if scored is not None:
            voice.say(f"{scored.sentence()}\n{scored.accuracy()}")
        write(found, scored, given, number, voice)
    return 0


def run_probe(model: Model, given: argparse.Namespace, groups: dict[str, Any], voice: Voice) -> int:
    """Probe; scores go to standard output."""
    from headstart.prediction.probe_file import probe_file

    columns = {name: value for name, value in (("text", given.text), ("pair", given.pair), ("label", given.label)) if value}
    found = probe_file(model, given.probe, settings=groups["data"], given=columns, evaluation=groups["evaluation"], seed=given.seed,
                       voice=voice)
    print(json.dumps(found.json(), ensure_ascii=False) if given.json else probe_table(found))
    voice.say(found.sentence())
    if given.page:
        from headstart.reports import probe_page

        voice.say(f"wrote {probe_page.write(found, Path(given.page), given.model, given.probe)}")
    return 0


def probe_table(found: Probe) -> str:
    """Each layer's scores as a line."""
    lines = [f"{'layer':<11}  {'macro_f1':<25}  of the last  {'minus the last':<28}  accuracy"]
    for layer in found.layers:
        share = found.share(layer)
        part = "" if share is None else f"{100 * share:.0f} %"
        lines.append(f"{layer.number or 'embeddings':<11}  {spread(layer.macro_f1, ''):<25}  {part:>11}  {spread(layer.gap, '+'):<28}  "
                     f"{spread(layer.accuracy, '')}".rstrip())
    lines.append(f"majority     {found.majority:.4f}")
    lines.append(f"learned from {found.learned_from:,} rows, judged on {found.judged_on:,} others; {len(found.labels)} labels")
    return "\n".join(lines)


def spread(score: Interval, sign: str) -> str:
    """A value with its interval."""
    if score.value is None or score.low is None or score.high is None:
        return "undefined" if score.value is None else f"{score.value:{sign}.4f}"
    return f"{score.value:{sign}.4f} ({score.low:{sign}.4f} to {score.high:{sign}.4f})"


def attributed(given: argparse.Namespace, model: Model, text: str) -> Attribution | None:
    """The words' scores where they are wanted."""
    from headstart.inspection.attribution import attribute

    if given.attribute is None:
        return None
    return attribute(model, text, given.pair, method=given.attribute, target=given.target, baseline=given.baseline)


def show(found: Inspection, scored: Attribution | None, *, as_json: bool) -> None:
    """The result on standard output: tokens, or the scored words where there are some; with --json both."""
    if as_json:
        more = {} if scored is None else {"attribution": scored.json()}
        print(json.dumps(found.json() | more, ensure_ascii=False), flush=True)
    else:
        print(table(found) if scored is None else word_table(scored), flush=True)


def word_table(scored: Attribution) -> str:
    """Each word with its score and a bar, in the order of the text."""
    most = max((abs(score) for _, score in scored.words), default=0.0) or 1.0
    width = max([len(word.text) for word, _ in scored.words] + [len("word")])
    lines = [f"{'word'.ljust(width)}    score  for {scored.label}"]
    for word, score in scored.words:
        bar = ("+" if score > 0 else "-") * round(20 * abs(score) / most)
        lines.append(f"{word.text.ljust(width)}  {score:+.4f}  {bar}".rstrip())
    return "\n".join(lines)


def check_words(given: argparse.Namespace) -> None:
    """Refuse what cannot work before a model is read."""
    from headstart.inspection.export import ending

    if given.probe and (given.texts or given.to or given.attribute):
        raise UserError("--probe takes a file of labelled rows and no text, --to or --attribute.", fix="Run inspect twice.")
    if not given.probe and (given.text or given.label):
        raise UserError("--text and --label name columns of --probe FILE, which is not there.", fix="Write the text itself.")
    if given.seed < 0:
        raise UserError(f"--seed takes a whole number from 0, but it is {given.seed}.", fix="For example --seed 0")
    if not given.texts and not given.probe:
        raise UserError("inspect takes a text, but there is none.", fix='For example: headstart inspect MODEL "The roses bloom."')
    if given.attribute is None and (given.target or given.baseline):
        raise UserError("--target and --baseline belong to --attribute, which is not there.", fix="Add --attribute integrated-gradients")
    if given.to:
        ending(Path(given.to))
    if given.page and Path(given.page).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{given.page} should end in .html.", fix="Name the page so.")
    if given.page and given.no_attentions:
        raise UserError("--page shows attentions, and --no-attentions leaves them out.", fix="Use one of them.")


def numbers(text: str | None, flag: str) -> list[int] | None:
    """`0,6,12` or `1-4` as numbers; raises UserError."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or part.strip().endswith("-"):
            raise UserError(f"{flag} takes numbers as 0,6,12 or 1-4, but it is {text!r}.", fix=f"For example: {flag} 1,2")
        found += range(int(first), int(last or first) + 1)
    return found


def model_words(model: Model, reference: str, trained: bool) -> str:
    """What was loaded."""
    head = "; trained to label texts" if trained else ""
    return f"model: {reference} ({model.facts.family}, {model.facts.layers} layers of width {model.facts.width}{head})"


def table(found: Inspection) -> str:
    """The tokens as lines: place, id, piece, characters, segment, whose it is."""
    rows = [("token", "id", "piece", "characters", "segment", "of")]
    for place, token in enumerate(found.tokens):
        characters = "" if token.begin is None else f"{token.begin}-{token.end}"
        rows.append((str(place), str(token.id), token.piece, characters, str(token.segment), token.part or "special"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = (True, True, False, False, True, False)
    return "\n".join("  ".join(cell.rjust(width) if end else cell.ljust(width)
                               for cell, width, end in zip(row, widths, right, strict=True)).rstrip() for row in rows)


def facts(found: Inspection, model: Model) -> str:
    """How many tokens, and the shapes."""
    unknown = sum(not token.special and token.id == model.tokenizer.held.unk_token_id for token in found.tokens)
    strange = f", {unknown} unknown to the tokenizer" if unknown else ""
    words = [f"{len(found.tokens)} tokens of at most {model.tokenizer.longest:,}{strange}",
             f"hidden states {shape(found.hidden_states.shape)} (layers x tokens x width)"]
    if found.attentions.size:
        words.append(f"attentions {shape(found.attentions.shape)} (layers x heads x tokens x tokens)")
    return "; ".join(words)


def shape(sizes: tuple[int, ...]) -> str:
    """7 x 12 x 384."""
    return " x ".join(map(str, sizes))


def write(found: Inspection, scored: Attribution | None, given: argparse.Namespace, number: int, voice: Voice) -> None:
    """The files that were asked for."""
    if given.to:
        voice.say(f"wrote {found.save(placed(given.to, number, len(given.texts)))}")
    if given.page:
        voice.say(f"wrote {found.page(placed(given.page, number, len(given.texts)), scored)}")


def placed(path: str, number: int, count: int) -> Path:
    """The file of one text: the path as given, or with -1, -2 … where there are several."""
    place = Path(path)
    return place if count == 1 else place.with_name(f"{place.stem}-{number}{place.suffix}")
