"""A model with the head that a task needs: backbone from the file, head from the seed, nothing random in silence."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from headstart.contract import HeadSpec
from headstart.errors import Exit, UserError
from headstart.models import attention, first_tokens
from headstart.models.dropout import replace_dropout
from headstart.models.facts import Facts, facts
from headstart.models.family import inner
from headstart.models.model import Model
from headstart.models.tokenizer import FamilyTokenizer, first_line, load_tokenizer

NO_LIMIT = 100_000  # tokenizers without a limit of their own say 10^30


def load(reference: str, head: HeadSpec | None, *, seed: int, device: str = "cpu", allow_pickle: bool = False,
         dropout: float | None = None, attention_dropout: float | None = None, longest: int | None = None) -> Model:
    """A model ready to train or predict.

    With `head`, a fresh head is drawn from the seed before anything else draws; without, the folder's own head is
    kept, and a model that has none is refused. Raises UserError (2, 66, 69, 77).
    """
    import torch

    known = facts(reference, allow_pickle=allow_pickle)
    kind = head.kind if head is not None else own_head(known)
    if kind not in known.heads:
        raise UserError(f"{reference} ({known.family}) cannot carry a {kind} head; it can: {', '.join(known.heads)}.",
                        fix="Choose another model or task; headstart models lists them.")
    attention.register()
    config = make_config(known, head, dropout, attention_dropout)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, info = read_weights(known, kind, config)
        check_loaded(known, module, info, fresh_head=head is not None)
        tokenizer = FamilyTokenizer(load_tokenizer(str(known.folder)), 1)
    replace_dropout(module)
    if known.row.first_only:
        getattr(first_tokens, known.row.first_only)(inner(module.base_model, known.row.layers)[-1])
    module.to(device)
    limit = longest_of(known, tokenizer)
    made = Model(module, tokenizer.with_longest(min(limit, longest or limit)), known, kind)
    made.check_vocabulary()
    return made


def own_head(known: Facts) -> str:
    """The head kind of a fine-tuned folder; raises UserError when it has none that is known."""
    architecture = (known.config.get("architectures") or [""])[0]
    for kind, name in known.row.classes.items():
        if name == architecture:
            return kind
    raise UserError(f"{known.reference} has no trained head that headstart knows; it is {architecture or 'bare'}.",
                    fix=f"Train one first: headstart finetune FILE --model {known.reference}")


def make_config(known: Facts, head: HeadSpec | None, dropout: float | None, attention_dropout: float | None) -> Any:
    """The library's config with the task's labels and the user's dropouts."""
    from transformers import CONFIG_MAPPING

    held = {key: value for key, value in known.config.items() if key not in ("transformers_version", "torch_dtype", "dtype")}
    if head is not None:
        for key in ("num_labels", "problem_type", "architectures"):
            held.pop(key, None)
        held["id2label"] = dict(enumerate(head.labels))
        held["label2id"] = {label: index for index, label in enumerate(head.labels)}
        if head.kind == "sequence-classification":
            held["problem_type"] = "single_label_classification"
    for names, value in ((known.row.dropouts, dropout), (known.row.attention_dropouts, attention_dropout)):
        if value is not None:
            held |= dict.fromkeys(names, value)
    try:
        config = CONFIG_MAPPING[known.row.model_type].from_dict(held)
    except Exception as error:  # the library checks types and raises many kinds
        raise UserError(f"config.json of {known.reference} does not fit its family: {first_line(error)}",
                        fix="The folder is damaged or not what it seems; copy it again.", exit=Exit.UNAVAILABLE) from None
    return config


def read_weights(known: Facts, kind: str, config: Any) -> tuple[Any, dict[str, Any]]:
    """The library's class with the folder's weights in fp32, and what was missing or left over."""
    import torch
    import transformers

    cls = getattr(transformers, known.row.classes[kind])
    try:
        module, info = cls.from_pretrained(
            str(known.folder), config=config, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
            use_safetensors=known.weights == "safetensors", weights_only=True, ignore_mismatched_sizes=True,
            attn_implementation=attention.NAME, output_loading_info=True)
    except Exception as error:  # damaged files raise many kinds
        raise UserError(f"The weights of {known.reference} cannot be read: {first_line(error)}",
                        fix="Copy or download the folder again.", exit=Exit.UNAVAILABLE) from None
    return module, info


def check_loaded(known: Facts, module: Any, info: dict[str, Any], *, fresh_head: bool) -> None:
    """Refuse a model part of whose backbone would stay random, and weights that are not numbers."""
    import torch

    prefix = f"{module.base_model_prefix}."
    missing = {str(key) for key in info["missing_keys"]} | {str(entry[0]) for entry in info.get("mismatched_keys", ())}
    backbone = sorted(key for key in missing if key.startswith(prefix) and ".pooler." not in key
                      and not key.endswith("position_ids"))
    if backbone or (missing and not fresh_head):
        shown = ", ".join((backbone or sorted(missing))[:3])
        raise UserError(f"{known.reference} lacks {len(backbone or missing)} weights that its config asks for ({shown} …); "
                        "they would be random.", fix="The folder is incomplete or its config is of another model; copy it again.",
                        exit=Exit.UNAVAILABLE)
    for name, held in module.named_parameters():
        if not bool(torch.isfinite(held).all()):
            raise UserError(f"The weight {name} of {known.reference} holds values that are no numbers (NaN or infinity).",
                            fix="The file is damaged; copy or download it again.", exit=Exit.UNAVAILABLE)


def longest_of(known: Facts, tokenizer: FamilyTokenizer) -> int:
    """The most tokens of one input: the positions that the model has, and the tokenizer's own limit."""
    offset = known.row.position_offset(make_config(known, None, None, None))
    own = tokenizer.held.model_max_length
    return min(known.positions - offset, own if own and own < NO_LIMIT else NO_LIMIT)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The library's own words and bars are off: what matters is checked, and said in ours."""
    import transformers

    logging: Any = transformers.utils.logging
    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()

