"""Weights from the file into the library's class: the backbone whole or not at all, the head from the seed."""

from __future__ import annotations

import contextlib
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from headstart.models.loading.integrity import damaged
from headstart.models.loading.model_info import Facts
from headstart.models.packing import attention
from headstart.models.tokenizers.tokenizer import first_line


def check_names(known: Facts, cls: Any, config: Any, *, fresh_head: bool) -> None:
    """Refuse weights that are not those of the config, from names and shapes alone; raises UserError (69).

    The class is built without memory, so a config of monstrous sizes costs nothing. Pickled weights have no header;
    they are checked after reading.
    """
    import torch

    if not known.shapes:
        return
    try:
        with torch.device("meta"), quiet():
            module = cls(config)
    except Exception as error:  # the library does not check every value
        raise damaged(f"config.json of {known.reference} does not fit its family: {first_line(error)}") from None
    prefix = f"{module.base_model_prefix}."
    unsaved = set(getattr(module, "_keys_to_ignore_on_save", None) or ())  # Marian's positions are worked out, not learned
    have = {current_name(name): shape for name, shape in known.shapes.items()}
    wrong = []
    for name, weight in module.named_parameters():
        if (fresh_head and (not name.startswith(prefix) or ".pooler." in name)) or name in unsaved:
            continue
        name = tied(module).get(name, name)
        same = [name, *(other for other, held in tied(module).items() if held == name)]  # the file may have it under any of them
        shape = next((have[held] for one in same for held in (one, one.removeprefix(prefix)) if held in have), None)
        if shape != tuple(weight.shape):
            wrong.append(f"{name} {list(weight.shape)}" + (f", there is {list(shape)}" if shape is not None else ""))
    if wrong:
        raise damaged(f"{known.reference} lacks {len(wrong)} weights that its config asks for ({'; '.join(wrong[:3])}"
                      f"{' …' if len(wrong) > 3 else ''}); they would be random.",
                      "The folder is incomplete, or its config is of another model; copy it again.")
    counted = known.row.layer_paths[:1] if known.row.rewrite is not None else known.row.layer_paths  # a decoder may have others
    paths = "|".join(re.escape(path) for path in counted)
    pattern = re.compile(rf"({re.escape(prefix)})?({paths})\.(\d+)\.")
    layers = [int(found.group(3)) + 1 for name in have if (found := pattern.match(name))]
    if max(layers, default=0) > known.layers:
        raise damaged(f"{known.reference} holds weights of {max(layers)} layers, its config tells of {known.layers}.",
                      "The config is of another model; copy the folder again.")


def checksum(weights: Iterable[Any]) -> str:
    """A short sum over every number of these weights: the same where they are the same."""
    found = 0
    for weight in weights:
        found = zlib.crc32(weight.detach().cpu().contiguous().view(-1).numpy().data, found)
    return f"{found:08x}"


def tied(module: Any) -> dict[str, str]:
    """Names of weights that are the embeddings under another name, and the embeddings' own name."""
    return getattr(module, "all_tied_weights_keys", None) or {}


def current_name(name: str) -> str:
    """Names of before 2020: norms had gamma and beta."""
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


def read_weights(known: Facts, cls: Any, config: Any) -> tuple[Any, set[str]]:
    """The library's class with the folder's weights in fp32, and the names of weights that the folder lacks."""
    import torch

    try:
        with quiet():
            module, info = cls.from_pretrained(
                str(known.folder), config=config, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
                use_safetensors=known.weights == "safetensors", weights_only=True, ignore_mismatched_sizes=True,
                attn_implementation=attention.implementation(known.row.packs), output_loading_info=True)
    except Exception as error:  # damaged files raise many kinds
        raise damaged(f"The weights of {known.reference} cannot be read: {first_line(error)}") from None
    missing = {str(key) for key in info["missing_keys"]} | {str(entry[0]) for entry in info.get("mismatched_keys", ())}
    return module, missing


def check_loaded(known: Facts, module: Any, missing: set[str], *, fresh_head: bool) -> None:
    """Refuse a model part of whose backbone would stay random, and weights that are not numbers; UserError (69)."""
    import torch

    prefix = f"{module.base_model_prefix}."
    names = {name for name, _ in module.named_parameters()} & missing
    lacking = sorted(name for name in names if not fresh_head or (name.startswith(prefix) and ".pooler." not in name))
    if lacking:
        raise damaged(f"{known.reference} lacks {len(lacking)} weights that its config asks for "
                      f"({', '.join(lacking[:3])}{' …' if len(lacking) > 3 else ''}); they would be random.",
                      "The folder is incomplete, or its config is of another model; copy it again.")
    for name, held in module.named_parameters():
        # The sum first: 0.1 s instead of 5 s for 135 million weights; it is no number when one of them is none.
        if not bool(torch.isfinite(held.detach().sum())) and not bool(torch.isfinite(held).all()):
            raise damaged(f"The weight {name} of {known.reference} holds values that are no numbers (NaN or infinity).",
                          "The file is damaged; copy or download it again.")


def draw_head(module: Any, missing: set[str], keeps: tuple[str, ...], seed: int) -> list[str]:
    """Draw a fresh head as the family does it, from the seed alone; gives the names of what was drawn.

    The head of a fine-tuned folder is drawn anew too: it would carry another task's answers. What pretraining made
    (`keeps`: a pooler, ModernBERT's prediction head) stays where the folder has it.
    """
    import torch

    prefix = f"{module.base_model_prefix}."
    weights = dict(module.named_parameters())
    drawn = [name for name in weights if name in missing
             or not (name.startswith(prefix) or name.startswith(keeps))]
    owners = {name.rpartition(".")[0] for name in drawn}
    for name, weight in weights.items():
        weight._is_hf_initialized = name not in drawn  # the library's own mark of what must stay
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, part in reversed(list(module.named_modules())):
            if not name or any(owner == name or owner.startswith(f"{name}.") for owner in owners):
                module._init_weights(part)
    return drawn


def generator_kept() -> Any:
    """Whatever draws inside leaves torch's global generator as it was."""
    import torch

    return torch.random.fork_rng(devices=[])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The library's own words and bars are off: what matters is checked, and said in ours."""
    import transformers

    logging: Any = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
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
