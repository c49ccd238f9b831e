"""A tokenizer read from tokenizer.json by the tokenizers library alone: neither transformers nor torch is imported.

    tokenizer = plain.read(folder, config)     the same tokens as AutoTokenizer.from_pretrained(folder); None where that
                                               is not certain

transformers builds a tokenizer of tokenizer.json, tokenizer_config.json, special_tokens_map.json and the rules of a
class. It is certain where the class is a verified one (`class_rules`), and the file has the steps, the special tokens
and the ids that this class would give it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import first_line
from headstart.models.loading.json_files import damaged
from headstart.models.tokenizers.class_rules import GENERIC, RULES, ClassRule, Steps, Tokenizing, rule_of, state
from headstart.models.tokenizers.tokenizer import reraise_interrupts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
UNLIMITED = int(1e30)  # as transformers says it
MAX_BYTES = 200_000_000  # of a tokenizer.json
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")  # of an added token
# What transformers reads in tokenizer_config.json and is not followed here.
UNFOLLOWED = ("auto_map", "fast_tokenizer_files", "init_inputs", "model_specific_special_tokens",
              "split_special_tokens", "max_len")
CLEAN_UP = ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
            (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"))  # of decoded texts, as transformers does it


class PlainTokenizer:
    """What is read of a tokenizer of transformers, by the same names: `cls_token`, `cls_token_id`, `decode` …"""

    is_fast = True

    def __init__(self, backend: Tokenizer, special_tokens: Mapping[str, str], extra_special_tokens: Sequence[str],
                 config: Mapping[str, Any], input_names: Sequence[str], chat_template: Any) -> None:
        self.backend_tokenizer: Any = backend
        self._special_tokens = {role: special_tokens[role] for role in ROLES if role in special_tokens}
        self._extra_special_tokens = list(extra_special_tokens)
        self.init_kwargs: dict[str, Any] = dict(config)
        self.model_max_length = UNLIMITED if config.get("model_max_length") is None else config["model_max_length"]
        self.model_input_names: list[str] = list(config.get("model_input_names", input_names))
        self.clean_up_tokenization_spaces = bool(config.get("clean_up_tokenization_spaces", False))
        self.chat_template = chat_template

    def __getattr__(self, name: str) -> Any:
        role = name.removesuffix("_id")
        if role not in ROLES:
            raise AttributeError(f"a tokenizer of tokenizer.json alone has no {name}")
        token = self._special_tokens.get(role)
        return token if role == name or token is None else self.backend_tokenizer.token_to_id(token)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ROLES:
            self._special_tokens[name] = value
        else:
            super().__setattr__(name, value)

    def __len__(self) -> int:
        return int(self.backend_tokenizer.get_vocab_size(with_added_tokens=True))

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by role."""
        return {role: self._special_tokens[role] for role in ROLES if self._special_tokens.get(role) is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, each once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self._extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """Their ids."""
        return [self.backend_tokenizer.token_to_id(token) for token in self.all_special_tokens]

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """The added tokens by id."""
        return dict(self.backend_tokenizer.get_added_tokens_decoder())

    def get_added_vocab(self) -> dict[str, int]:
        """The ids of added tokens."""
        return {token.content: token_id for token_id, token in sorted(self.added_tokens_decoder.items())}

    def get_vocab(self) -> dict[str, int]:
        """The id of each piece."""
        return dict(self.backend_tokenizer.get_vocab(with_added_tokens=True))

    def convert_ids_to_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The piece of each id."""
        return [self.backend_tokenizer.id_to_token(int(token_id)) for token_id in token_ids]

    def convert_tokens_to_ids(self, pieces: Sequence[str]) -> list[int | None]:
        """The id of each piece."""
        ids = map(self.backend_tokenizer.token_to_id, pieces)
        return [self.unk_token_id if token_id is None else token_id for token_id in ids]

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False,
               clean_up_tokenization_spaces: bool | None = None) -> str:
        """Token ids as text."""
        text = str(self.backend_tokenizer.decode(list(token_ids), skip_special_tokens=skip_special_tokens))
        cleans_up = (self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None
                     else clean_up_tokenization_spaces)
        if cleans_up and type(self.backend_tokenizer.model).__name__ != "BPE":
            for spaced, unspaced in CLEAN_UP:
                text = text.replace(spaced, unspaced)
        return text


def read(folder: Path, model_config: Mapping[str, Any]) -> PlainTokenizer | None:
    """The tokenizer of a model folder, as transformers would build it; None where that is not certain.

    What cannot be read is None too: transformers reads it again, and says what is wrong.
    """
    try:
        tokenizer_json, config = read_files(folder)
        rule = rule_of(str(model_config.get("model_type")), declared_class(config, model_config))
        if rule is None or not is_followed(folder, config):
            return None
        tokenizer = build(folder, config, rule)
        return tokenizer if is_certain(tokenizer, tokenizer_json, config, rule) else None
    except BaseException as error:  # of a broken file many kinds, Rust's panics among them
        reraise_interrupts(error)
        return None


def read_as_written(folder: Path, reference: str) -> PlainTokenizer:
    """The tokenizer of a folder whose tokenizer.json is all that counts, whatever class it names: an exported model's.

    Raises UserError (69).
    """
    try:
        tokenizer_json, config = read_files(folder)
        rule = RULES[GENERIC]
        tokenizer = build(folder, config, rule)
        certain = is_followed(folder, config) and is_certain(tokenizer, tokenizer_json, config, rule)
    except BaseException as error:
        reraise_interrupts(error)
        raise damaged(f"The tokenizer of {reference} cannot be read: {first_line(error)}") from None
    if not certain:
        raise damaged(f"tokenizer.json and tokenizer_config.json of {reference} do not fit each other.")
    return tokenizer


def is_same(tokenizer: PlainTokenizer, hf_tokenizer: Any) -> bool:
    """Whether a tokenizer of transformers does the same: its steps, its vocabulary, its special tokens, its limit."""
    first, second = (json.loads(reader.backend_tokenizer.to_str()) | dict.fromkeys(("truncation", "padding"))
                     for reader in (tokenizer, hf_tokenizer))
    return first == second and all(
        getattr(tokenizer, name) == getattr(hf_tokenizer, name)
        for name in ("special_tokens_map", "all_special_ids", "model_max_length", "chat_template"))


def declared_class(config: Mapping[str, Any], model_config: Mapping[str, Any]) -> str | None:
    """The class that a folder names; None where it names none."""
    return config.get("tokenizer_class") or model_config.get("tokenizer_class")


def read_files(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """tokenizer.json, and tokenizer_config.json with what special_tokens_map.json adds to it."""
    file = folder / "tokenizer.json"
    if file.stat().st_size > MAX_BYTES:
        raise ValueError("tokenizer.json is too large")
    tokenizer_json = json.loads(file.read_text(encoding="utf-8"))
    place = folder / "tokenizer_config.json"
    config = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    special_file = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in config and special_file.is_file():
        config |= json.loads(special_file.read_text(encoding="utf-8"))
    tokenizer_json["model"]["vocab"], tokenizer_json["added_tokens"]  # what every one has
    return tokenizer_json, config


def is_followed(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder says nothing that only transformers follows."""
    foreign_tokens = any(name.endswith("_token") and name not in ROLES and isinstance(value, str | dict)
                         for name, value in config.items())
    files = ("added_tokens.json", "additional_chat_templates")
    return not (foreign_tokens or any(config.get(name) for name in UNFOLLOWED)
                or any((folder / name).exists() for name in files)
                or isinstance(config.get("extra_special_tokens"), dict))


def build(folder: Path, config: Mapping[str, Any], rule: ClassRule) -> PlainTokenizer:
    """The tokenizer that the file gives, with the special tokens that the settings or the class name."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens_by_role = {role: content(config[role]) if role in config else rule.special_tokens.get(role)
                      for role in ROLES}
    extra_tokens = config.get("extra_special_tokens") or config.get("additional_special_tokens") or ()
    return PlainTokenizer(backend, {role: token for role, token in tokens_by_role.items() if token is not None},
                          [content(token) or "" for token in extra_tokens], config, rule.input_names,
                          chat_template(folder, config))


def content(token: Any) -> str | None:
    """The characters of a token of tokenizer_config.json."""
    characters: str | None = token["content"] if isinstance(token, dict) else token
    return characters


def chat_template(folder: Path, config: Mapping[str, Any]) -> Any:
    """The chat template of a folder, or those by name; a file of its own goes before that of the config."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = config.get("chat_template")
    return {part["name"]: part["template"] for part in template} if isinstance(template, list) else template


def is_certain(tokenizer: PlainTokenizer, tokenizer_json: Mapping[str, Any], config: Mapping[str, Any],
               rule: ClassRule) -> bool:
    """Whether a file's steps, special tokens and ids are those that the class would make of its vocabulary."""
    if not has_same_tokens(tokenizer, tokenizer_json, config, builds=rule.steps is not None):
        return False
    backend = tokenizer.backend_tokenizer
    if rule.steps is None:
        return backend.post_processor is not None
    model = tokenizer_json["model"]
    steps = rule.steps(Tokenizing(config, tokenizer.special_tokens_map, backend.token_to_id,
                                  tokenizer_json.get("normalizer"), model["vocab"]))
    expected = {"normalizer": steps.normalizer, "pre_tokenizer": steps.pre_tokenizer, "decoder": steps.decoder,
                "post_processor": steps.post_processor or backend.post_processor}
    return (backend.post_processor is not None and has_same_model(model, steps)
            and all(is_same_step(getattr(backend, name), step) for name, step in expected.items()))


def has_same_model(model: Mapping[str, Any], steps: Steps) -> bool:
    """Whether a file's model is that of the steps, but for its vocabulary."""
    settings = {name: value or None for name, value in model.items() if name not in ("vocab", "merges")}
    return {**dict.fromkeys(steps.model), "type": steps.model["type"], **settings} == {
        name: value or None for name, value in steps.model.items()}


def is_same_step(step: Any, expected: Any) -> bool:
    """Whether two steps do the same; a decoder of bytes has settings that it never reads."""
    first, second = state(step), state(expected)
    if type(step).__module__.endswith("decoders") and first["type"] == "ByteLevel":
        return bool(second is not None and second["type"] == "ByteLevel")
    return bool(first == second)


def has_same_tokens(tokenizer: PlainTokenizer, tokenizer_json: Mapping[str, Any], config: Mapping[str, Any], *,
                    builds: bool) -> bool:
    """Whether a file's added tokens are those that the class adds, with the same ids; `builds` is whether it starts
    with the vocabulary alone.
    """
    vocabulary = tokenizer_json["model"]["vocab"]
    file_tokens = {token["content"]: token for token in tokenizer_json["added_tokens"]}
    added = file_tokens
    if "added_tokens_decoder" in config:
        added = {token["content"]: {**token, "id": int(token_id)}
                 for token_id, token in config["added_tokens_decoder"].items()}
    if added.keys() != file_tokens.keys() or any(bool(token.get(flag)) != bool(file_tokens[name].get(flag))
                                             for name, token in added.items() for flag in FLAGS):
        return False
    special_tokens = tokenizer.all_special_tokens
    if not all(token in file_tokens and file_tokens[token].get("special") for token in special_tokens):
        return False
    ids = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False) if builds else {}
    next_id = len(vocabulary)
    for token in sorted(added.values(), key=lambda token: int(token["id"])):
        expected = ids.get(token["content"], next_id) if builds else token["id"]
        next_id += token["content"] not in ids
        if not expected == token["id"] == tokenizer.backend_tokenizer.token_to_id(token["content"]):
            return False
    return True
