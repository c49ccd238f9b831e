"""`headstart inspect MODEL TEXT…`: a look inside."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags, _help
from headstart.cli._inspection_places import check_places, numbered_path
from headstart.errors import UserError
from headstart.progress.tables import aligned

if TYPE_CHECKING:
    from headstart.inspection.attribution import Attribution
    from headstart.inspection.inspection import Inspection, TargetInspection
    from headstart.inspection.probe import Probe
    from headstart.models.model import Model
    from headstart.progress import Reporter

HEAD_TEXTS = {"question-answering": "; answers questions", "question-answering-beams": "; answers questions",
              "causal-language-model": "; a language model"}
SUMMARY = "look inside a model: tokens, hidden states, attentions, as a table, a file or a page"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE; a bare "
                                                       "model is fine")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="a text; several are inspected one after the other")
    parser.add_argument("--pair", metavar="TEXT2", help="a second text, read together with each TEXT; with --probe the "
                                                        "column of it")
    parser.add_argument("--only-layers", metavar="0,6,12",
                        help="only these layers (0 is the embeddings); ranges as 1-4 are fine")
    parser.add_argument("--only-heads", metavar="1,2", help="only these heads of each layer, from 1")
    parser.add_argument("--no-attentions", action="store_true", help="hidden states alone: for very long texts")
    parser.add_argument("--target", metavar="TEXT",
                        help="what is written for TEXT (default: the model's own); for an encoder-decoder; with "
                             "--attribute also what comes after TEXT, or an answer in the passage")
    _flags.add_shared(parser, "--to", "all numbers: F.npz, F.safetensors or F.parquet; of several texts F-1, F-2 …")
    parser.add_argument("--page", metavar="F.html", help="a page for a browser, no network (also of --probe); of "
                                                         "several texts F-1, F-2 …")
    group = parser.add_argument_group("the answer of a question-answering model")
    group.add_argument("--question", metavar="TEXT",
                       help="a question; how likely each token of the passage begins and ends its answer")
    group.add_argument("--passage", metavar="TEXT",
                       help="the passage, as long as it may be; @FILE reads it from a file")
    group = parser.add_argument_group("attribution of a label, an answer, or what is written")
    group.add_argument("--attribute", metavar="METHOD", help="score each word; by integrated-gradients, "
                                                             "gradient-x-input or occlusion")
    group = parser.add_argument_group(_help.FURTHER, "of an attribution")
    group.add_argument("--attribute-label", metavar="LABEL", help="for this label (default: the one predicted)")
    group.add_argument("--attribute-baseline", metavar="pad|mask",
                       help="token of the neutral baseline text; default pad, for occlusion mask")
    _flags.add_shared(group, "--overwrite", "the files of --to and --page")
    group = parser.add_argument_group("probing the layers for a label")
    group.add_argument("--probe", metavar="FILE", help="a file whose labels each layer is probed for; by a logistic "
                                                       "regression on its mean state")
    for name, help_text in (("text", "the file's texts"), ("label", "the file's labels")):
        _flags.add_column(group, name, f"{help_text} (found when clear)")
    _flags.add_shared(group, "--seed", "of the rows that are held out and of the intervals", default=0)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens", "evaluation.resamples"))


def run(arguments: argparse.Namespace) -> int:
    """Inspect; tokens go to standard output, messages to standard error."""
    from headstart.inspection.inspect import inspect
    from headstart.models.loading.device import choose_device
    from headstart.prediction.probe_file import load_for_inspection, source_layout

    run_values, columns, values = _flags.read_values(arguments)
    groups, reporter = _flags.build_groups(values), _flags.make_reporter(arguments)
    check_arguments(arguments, columns)
    layers = parse_numbers(arguments.only_layers, "--only-layers")
    heads = parse_numbers(arguments.only_heads, "--only-heads")
    device = choose_device(arguments.device or run_values.get("device", "auto"))
    if arguments.question is not None:
        return run_answer(arguments, device, groups, reporter)
    data = groups["data"]
    model, trained = load_for_inspection(arguments.model, device=device, allow_pickle=bool(arguments.allow_pickle),
                                         language=data.language, target_language=data.target_language)
    reporter.info(model_text(model, arguments.model, trained))
    if arguments.probe:
        pair_column = {} if arguments.pair is None else {"pair": arguments.pair}
        return run_probe(model, arguments, columns | pair_column, groups, reporter)
    prefix, generation = source_layout(model)
    if prefix:
        reporter.info(f"prefix of each source: {prefix!r}, as in training")
    for text_number, text in enumerate(arguments.texts, start=1):
        inspection = inspect(model, prefix + text, arguments.pair, layers=layers, heads=heads,
                             attentions=not arguments.no_attentions, generation=generation,
                             target=arguments.target if model.generates_from_source else None)
        attribution = attribute_words(arguments, model, inspection)
        print_inspection(inspection, attribution, as_json=arguments.json)
        reporter.info(inspection_facts(inspection, model))
        if attribution is not None:
            reporter.info(f"{attribution.sentence()}\n{attribution.method_sentence()}")
        write_files(inspection, attribution, arguments, text_number, reporter)
    return 0


def run_answer(arguments: argparse.Namespace, device: str, groups: dict[str, Any], reporter: Reporter) -> int:
    """Chart an answer; its likeliest starts and ends go to standard output."""
    from headstart.artifacts import artifact
    from headstart.cli import _one_row
    from headstart.prediction.inspected_answer import inspect_answer

    passage = arguments.passage
    passage = _one_row.read_text(passage[1:]) if passage.startswith("@") else passage
    task, model = artifact.load(arguments.model, device=device, allow_pickle=bool(arguments.allow_pickle),
                                language=groups["data"].language)
    reporter.info(f"model: {arguments.model} ({model.info.family_name}; {task.name})")
    inspected = inspect_answer(task, model, arguments.question, passage, method=arguments.attribute,
                               target=arguments.target, baseline=arguments.attribute_baseline,
                               batch_tokens=groups["evaluation"].batch_tokens)
    chart, attribution = inspected.chart, inspected.attribution
    if arguments.json:
        attribution_json = {} if attribution is None else {"attribution": attribution.json()}
        print(json.dumps(chart.json() | attribution_json, ensure_ascii=False), flush=True)
    else:
        print("\n".join([*chart.lines(), *([] if attribution is None else ["", word_table(attribution)])]), flush=True)
    reporter.info(chart.caption())
    if attribution is not None:
        reporter.info(f"{attribution.sentence()}\n{attribution.method_sentence()}")
    if arguments.page:
        from headstart.reports import answer_page

        reporter.info(f"wrote {answer_page.write_answer_page(inspected, Path(arguments.page), arguments.model)}")
    return 0


def run_probe(model: Model, arguments: argparse.Namespace, columns: dict[str, str], groups: dict[str, Any],
              reporter: Reporter) -> int:
    """Probe; scores go to standard output."""
    from headstart.prediction.probe_file import probe_file

    probe = probe_file(model, arguments.probe, settings=groups["data"], columns=columns,
                       evaluation=groups["evaluation"], seed=arguments.seed, reporter=reporter)
    print(json.dumps(probe.json(), ensure_ascii=False) if arguments.json else probe_table(probe))
    reporter.info(probe.sentence())
    if arguments.page:
        from headstart.reports import probe_page

        reporter.info("wrote "
                      f"{probe_page.write_probe_page(probe, Path(arguments.page), arguments.model, arguments.probe)}")
    return 0


def probe_table(probe: Probe) -> str:
    """Each layer's scores as a line."""
    from headstart.reports.score_table import interval_text

    lines = [f"{'layer':<11}  {'macro_f1':<25}  of the last  {'minus the last':<28}  accuracy"]
    for layer in probe.layers:
        share = probe.share(layer)
        share_text = "" if share is None else f"{100 * share:.0f} %"
        macro_f1, accuracy = interval_text(vars(layer.macro_f1)), interval_text(vars(layer.accuracy))
        difference = interval_text(vars(layer.difference_from_last), sign="+")
        lines.append(f"{layer.number or 'embeddings':<11}  {macro_f1:<25}  {share_text:>11}  {difference:<28}  "
                     f"{accuracy}".rstrip())
    lines.append(f"majority     {probe.majority:.4f}")
    lines.append(f"fitted on {probe.train_rows:,} rows, evaluated on {probe.test_rows:,} others; {len(probe.labels)} "
                 "labels")
    return "\n".join(lines)


def attribute_words(arguments: argparse.Namespace, model: Model, inspection: Inspection) -> Attribution | None:
    """The words' scores, with --attribute: of the target that the decoder was shown at, where there is one."""
    from headstart.inspection.attribution import attribute, attribute_encoded
    from headstart.inspection.target import TargetText

    if arguments.attribute is None:
        return None
    method, baseline = arguments.attribute, arguments.attribute_baseline
    if inspection.target is not None:
        text = TargetText(inspection.target.text, tuple(token.next_id for token in inspection.target.tokens),
                          inspection.target.written_by_model)
        return attribute_encoded(model, inspection.encoded, method=method, target=text, baseline=baseline)
    target = arguments.target if arguments.target is not None else arguments.attribute_label
    return attribute(model, inspection.encoded.text, arguments.pair, method=method, target=target, baseline=baseline)


def print_inspection(inspection: Inspection, attribution: Attribution | None, *, as_json: bool) -> None:
    """The result on standard output: tokens, or with --attribute the scored words; with --json both."""
    if as_json:
        attribution_json = {} if attribution is None else {"attribution": attribution.json()}
        print(json.dumps(inspection.json() | attribution_json, ensure_ascii=False), flush=True)
    else:
        target_lines = [] if inspection.target is None else ["", target_table(inspection.target)]
        tables = [token_table(inspection), *target_lines]
        print("\n".join(tables) if attribution is None else word_table(attribution), flush=True)


def word_table(attribution: Attribution) -> str:
    """Each word with its score and a bar, in the order of the text."""
    largest = max((abs(score) for _, score in attribution.words), default=0.0) or 1.0
    width = max([len(word.text) for word, _ in attribution.words] + [len("word")])
    lines = [f"{'word'.ljust(width)}    score  for {attribution.short_label}"]
    for word, score in attribution.words:
        bar = ("+" if score > 0 else "-") * round(20 * abs(score) / largest)
        lines.append(f"{word.text.ljust(width)}  {score:+.4f}  {bar}".rstrip())
    return "\n".join(lines)


def check_arguments(arguments: argparse.Namespace, columns: dict[str, str]) -> None:
    """Refuse arguments that do not go together before a model is read."""
    from headstart.inspection.export import file_format

    if arguments.probe and (arguments.texts or arguments.to or arguments.attribute):
        raise UserError("--probe takes a file of labelled rows and no text, --to or --attribute.",
                        fix="Run inspect twice.")
    if not arguments.probe and columns:
        raise UserError(f"--{next(iter(columns))} names a column of --probe FILE, which is not there.",
                        fix="Write the text itself; a second one is --pair.")
    if arguments.seed < 0:
        raise UserError(f"--seed takes a whole number from 0, but it is {arguments.seed}.", fix="For example --seed 0")
    check_answer_arguments(arguments)
    if not arguments.texts and not arguments.probe and arguments.question is None:
        raise UserError("inspect takes a text, but there is none.",
                        fix='For example: headstart inspect MODEL "The roses bloom."')
    if arguments.attribute_label and arguments.target is not None:
        raise UserError("--attribute-label names a label and --target a text; a model has one or the other.",
                        fix="Use one of them.")
    if arguments.attribute is None and (arguments.attribute_label or arguments.attribute_baseline):
        raise UserError("--attribute-label and --attribute-baseline belong to --attribute, which is not there.",
                        fix="Add --attribute integrated-gradients")
    if arguments.to:
        file_format(Path(arguments.to))
    if arguments.page and Path(arguments.page).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{arguments.page} should end in .html.", fix="Name the page so.")
    if arguments.page and arguments.no_attentions:
        raise UserError("--page shows attentions, and --no-attentions leaves them out.", fix="Use one of them.")
    check_places(arguments)


def check_answer_arguments(arguments: argparse.Namespace) -> None:
    """Refuse a question without its passage, and beside what is not about it."""
    if (arguments.question is None) != (arguments.passage is None):
        raise UserError("--question and --passage go together, and one of them is missing.",
                        fix="Give both: headstart inspect MODEL --question TEXT --passage TEXT")
    if arguments.question is None:
        return
    foreign = {"TEXT": arguments.texts, "--pair": arguments.pair, "--probe": arguments.probe, "--to": arguments.to,
               "--only-layers": arguments.only_layers, "--only-heads": arguments.only_heads,
               "--no-attentions": arguments.no_attentions, "--attribute-label": arguments.attribute_label}
    if foreign_flags := [name for name, value in foreign.items() if value]:
        raise UserError(f"--question and --passage chart an answer; {foreign_flags[0]} does not go with them.",
                        fix="Leave it out; states and attentions: headstart inspect MODEL QUESTION --pair PASSAGE")


def parse_numbers(text: str | None, flag: str) -> list[int] | None:
    """`0,6,12` or `1-4` as numbers; raises UserError."""
    if text is None:
        return None
    values: list[int] = []
    for part in text.split(","):
        start, _, end = part.strip().partition("-")
        if not start.isdecimal() or (end and not end.isdecimal()) or part.strip().endswith("-"):
            raise UserError(f"{flag} takes numbers as 0,6,12 or 1-4, but it is {text!r}.",
                            fix=f"For example: {flag} 1,2")
        values += range(int(start), int(end or start) + 1)
    return values


def model_text(model: Model, reference: str, trained: bool) -> str:
    """The loaded model: its reference, family and size."""
    head = "; trained to classify texts" if trained else HEAD_TEXTS.get(model.head, "") \
        if not model.fresh_weights else ""
    return (f"model: {reference} ({model.info.family_name}, {model.info.layers} layers of width "
            f"{model.info.width}{head})")


def token_table(inspection: Inspection) -> str:
    """The tokens as lines: index, id, piece, characters, segment, which text it is of."""
    rows = [("token", "id", "piece", "characters", "segment", "of")]
    for index, token in enumerate(inspection.tokens):
        characters = "" if token.begin is None else f"{token.begin}-{token.end}"
        rows.append((str(index), str(token.id), token.piece, characters, str(token.segment), token.part or "special"))
    return aligned(rows, (True, True, False, False, True, False))


def target_table(target: TargetInspection) -> str:
    """What the decoder reads as lines: index, id, piece, the piece that comes next, its log p."""
    rows = [("target", "id", "piece", "next", "log p")]
    rows += [(str(index), str(token.id), token.piece, token.next_piece, f"{token.log_probability:.4f}")
             for index, token in enumerate(target.tokens)]
    return aligned(rows, (True, True, False, False, True))


def inspection_facts(inspection: Inspection, model: Model) -> str:
    """How many tokens, and the shapes."""
    unknown_tokens = sum(not token.special and token.id == model.tokenizer.hf_tokenizer.unk_token_id
                         for token in inspection.tokens)
    unknown_text = f", {unknown_tokens} unknown to the tokenizer" if unknown_tokens else ""
    lines = [f"{len(inspection.tokens)} tokens of at most {model.tokenizer.max_length:,}{unknown_text}",
             "computed in fp32, as inspection always is",
             f"hidden states {shape_text(inspection.hidden_states.shape)} (layers x tokens x width)"]
    if inspection.attentions.size:
        lines.append(f"attentions {shape_text(inspection.attentions.shape)} (layers x heads x tokens x tokens)")
    target = inspection.target
    if target is None:
        return "; ".join(lines)
    origin = f"the model's own text: {target.text!r}" if target.written_by_model else "as given"
    decoder_lines = [f"the decoder, target {origin}: {len(target.tokens)} tokens, log p {target.log_probability:.4f}",
                     f"hidden states {shape_text(target.hidden_states.shape)}"]
    if target.attentions.size:
        decoder_lines += [f"attentions {shape_text(target.attentions.shape)}",
                          f"cross-attentions {shape_text(target.cross_attentions.shape)} (layers x heads x target x "
                          "source)"]
    return f"the encoder: {'; '.join(lines)}\n{'; '.join(decoder_lines)}"


def shape_text(sizes: tuple[int, ...]) -> str:
    """7 x 12 x 384."""
    return " x ".join(map(str, sizes))


def write_files(inspection: Inspection, attribution: Attribution | None, arguments: argparse.Namespace,
                text_number: int, reporter: Reporter) -> None:
    """Write the files that --to and --page name."""
    from headstart.inspection import export, html_page

    if arguments.to:
        reporter.info(
            f"wrote {export.save(inspection, numbered_path(arguments.to, text_number, len(arguments.texts)))}")
    if arguments.page:
        path = numbered_path(arguments.page, text_number, len(arguments.texts))
        reporter.info(f"wrote {html_page.write_page(inspection, path, attribution)}")
