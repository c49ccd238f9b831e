"""The tokenizer of Transformer-XL: text to words with offsets, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from headstart.errors import Exit, UserError
from headstart.models.transfo_xl.moses import Moses
from headstart.models.transfo_xl.vocabulary import read_words, write_words

VOCABULARY_FILES = {"vocab_file": "vocab.txt", "pretrained_vocab_file_torch": "vocab.bin",
                    "pretrained_vocab_file": "vocab.pkl"}
MODEL_INPUTS = ["input_ids", "attention_mask"]


class TransfoXLTokenizer(PreTrainedTokenizer):
    """Splits a text into words by the Moses rules and numbers at their commas; a word outside the vocabulary is <unk>.

    No special tokens are added. The first of these vocabulary files is read: vocab.txt, vocab.bin, vocab.pkl.
    """

    vocab_files_names = VOCABULARY_FILES
    model_input_names = MODEL_INPUTS

    def __init__(self, vocab_file: str | None = None, pretrained_vocab_file_torch: str | None = None,
                 pretrained_vocab_file: str | None = None, *, lower_case: bool = False, unk_token: str = "<unk>",
                 eos_token: str | None = "<eos>", **kwargs: Any) -> None:
        files = [name for name in (vocab_file, pretrained_vocab_file_torch, pretrained_vocab_file) if name is not None]
        if not files:
            raise UserError(f"A Transformer-XL needs its vocabulary: {', '.join(VOCABULARY_FILES.values())}; none of "
                            "them is there.",
                            fix="Put one next to config.json.", exit=Exit.NO_INPUT)
        self.words = read_words(Path(files[0]))
        self.word_ids = {word: index for index, word in enumerate(self.words)}
        if str(unk_token) not in self.word_ids and "<UNK>" in self.word_ids:
            unk_token = "<UNK>"
        for name in (str(unk_token), *([] if eos_token is None else [str(eos_token)])):
            if name not in self.word_ids:
                raise UserError(f"The words of {files[0]} should contain {name}, but they do not.",
                                fix="Use the vocabulary that belongs to the model, or name the token that it has.",
                                exit=Exit.DATA)
        self.lower_case = lower_case
        if "<formula>" in self.word_ids and not {"extra_special_tokens", "additional_special_tokens"} & set(kwargs):
            kwargs["extra_special_tokens"] = ["<formula>"]  # as the published vocabulary's own class has it
        kwargs.setdefault("special_tokens_pattern", "none")
        super().__init__(unk_token=unk_token, eos_token=eos_token, lower_case=lower_case, **kwargs)
        self.moses = Moses(self.all_special_tokens)

    @property
    def vocab_size(self) -> int:
        """Words of the vocabulary file."""
        return len(self.words)

    def add_end_token(self) -> None:
        """From now on every text ends with <eos>; saved files keep this."""
        self.special_tokens_pattern = self.init_kwargs["special_tokens_pattern"] = "eos"

    def get_vocab(self) -> dict[str, int]:
        """Words and their ids, with added tokens."""
        return {**self.word_ids, **self._added_tokens_encoder}

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False,
                 **kwargs: Any) -> list[str]:
        """The words of a text, and of a second one; there are no special tokens to add."""
        split_special_tokens = kwargs.get("split_special_tokens", self.split_special_tokens)
        return [word for segment in (text, pair or "")
                for piece, _, is_special in self.split_at_special(segment, split_special_tokens=split_special_tokens)
                for word in ([piece] if is_special else self._tokenize(piece))]

    def offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text and the characters [start, end) of each, in the original text.

        Moses moves a mark after a closing quotation mark to before it: offsets may step back there.
        """
        words: list[str] = []
        offsets: list[tuple[int, int]] = []
        for piece, position, is_special in self.split_at_special(text, split_special_tokens=self.split_special_tokens):
            piece_words, spans = ([piece], [(0, len(piece))]) if is_special else self.moses.words_and_spans(
                piece, lower=self.lower_case)
            words += piece_words
            offsets += [(start + position, end + position) for start, end in spans]
        return [self._convert_token_to_id_with_added_voc(word) for word in words], offsets

    def split_at_special(self, text: str, *, split_special_tokens: bool = False) -> list[tuple[str, int, bool]]:
        """The text split at special and added tokens: piece, first character, whether it is such a token."""
        if split_special_tokens:
            return [(text, 0, False)]
        pieces: list[tuple[str, int, bool]] = []
        position = 0
        for piece in self.tokens_trie.split(text):
            end = position + len(piece)
            token = self._added_tokens_decoder.get(self._added_tokens_encoder.get(piece, -1))
            neighbours = (text[max(0, position - 1):position], text[end:end + 1])
            stands_alone = all(not neighbour or neighbour.isspace() for neighbour in neighbours)
            is_special = token is not None and (stands_alone or not token.single_word)
            if pieces and not is_special and not pieces[-1][2]:
                pieces[-1] = (pieces[-1][0] + piece, pieces[-1][1], False)
            elif piece:
                pieces.append((piece, position, is_special))
            position = end
        return pieces

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return self.moses.words(text, lower=self.lower_case)

    def _convert_token_to_id(self, token: str) -> int:
        return self.word_ids.get(token, self.word_ids[str(self.unk_token)])

    def _convert_id_to_token(self, index: int) -> str:
        return self.words[index] if 0 <= index < len(self.words) else str(self.unk_token)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Words as a text again; blanks and quotation marks may differ from the original text's."""
        return self.moses.join(tokens)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """vocab.txt, whatever the words were read from."""
        path = Path(
            save_directory) / f"{filename_prefix + '-' if filename_prefix else ''}{VOCABULARY_FILES['vocab_file']}"
        write_words(path, self.words)
        return (str(path),)
