"""Text as the words of a Transformer-XL, and back; the characters of each word are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from headstart.errors import Exit, UserError
from headstart.models.transfo_xl.moses import Moses
from headstart.models.transfo_xl.vocabulary import read_words, write_words

FILES = {"vocab_file": "vocab.txt", "pretrained_vocab_file_torch": "vocab.bin", "pretrained_vocab_file": "vocab.pkl"}
INPUTS = ["input_ids", "attention_mask"]


class TransfoXLTokenizer(PreTrainedTokenizer):
    """Cuts a text into words by the Moses rules and numbers at their commas; a word that is not known is <unk>.

    Nothing is added around a text. The first vocabulary that is given is read: vocab.txt, vocab.bin, vocab.pkl.
    """

    vocab_files_names = FILES
    model_input_names = INPUTS

    def __init__(self, vocab_file: str | None = None, pretrained_vocab_file_torch: str | None = None,
                 pretrained_vocab_file: str | None = None, *, lower_case: bool = False, unk_token: str = "<unk>",
                 eos_token: str | None = "<eos>", **kwargs: Any) -> None:
        given = [name for name in (vocab_file, pretrained_vocab_file_torch, pretrained_vocab_file) if name is not None]
        if not given:
            raise UserError(f"A Transformer-XL needs the words it knows: {', '.join(FILES.values())}; none of them is there.",
                            fix="Put one beside config.json.", exit=Exit.NO_INPUT)
        self.symbols = read_words(Path(given[0]))
        self.numbers = {word: number for number, word in enumerate(self.symbols)}
        if str(unk_token) not in self.numbers and "<UNK>" in self.numbers:
            unk_token = "<UNK>"
        for name in (str(unk_token), *([] if eos_token is None else [str(eos_token)])):
            if name not in self.numbers:
                raise UserError(f"The words of {given[0]} should contain {name}, but they do not.",
                                fix="Use the vocabulary that belongs to the model, or name the token that it has.", exit=Exit.DATA)
        self.lower_case = lower_case
        if "<formula>" in self.numbers and not {"extra_special_tokens", "additional_special_tokens"} & set(kwargs):
            kwargs["extra_special_tokens"] = ["<formula>"]  # as the published vocabulary's own class has it
        kwargs.setdefault("special_tokens_pattern", "none")
        super().__init__(unk_token=unk_token, eos_token=eos_token, lower_case=lower_case, **kwargs)
        self.moses = Moses(self.all_special_tokens)

    @property
    def vocab_size(self) -> int:
        """Words of the vocabulary file."""
        return len(self.symbols)

    closes = True  # whether `closes_texts` is there

    def closes_texts(self) -> None:
        """From now on every text ends with <eos>; saved files say so."""
        self.special_tokens_pattern = self.init_kwargs["special_tokens_pattern"] = "eos"

    def get_vocab(self) -> dict[str, int]:
        """Words and their ids, with those that were added."""
        return {**self.numbers, **self._added_tokens_encoder}

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False, **kwargs: Any) -> list[str]:
        """The words of a text, and of a second one; there are no special tokens to add."""
        whole = kwargs.get("split_special_tokens", self.split_special_tokens)
        return [word for one in (text, pair or "") for piece, _, special in self.parts(one, whole=whole)
                for word in ([piece] if special else self._tokenize(piece))]

    def offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text and the characters [begin, end) of each, in the text as it was given.

        A mark that was put before a closing quotation mark stands after it in the text: offsets may step back there.
        """
        words: list[str] = []
        places: list[tuple[int, int]] = []
        for piece, at, special in self.parts(text, whole=self.split_special_tokens):
            found, spans = ([piece], [(0, len(piece))]) if special else self.moses.places(piece, lower=self.lower_case)
            words += found
            places += [(begin + at, end + at) for begin, end in spans]
        return [self._convert_token_to_id_with_added_voc(word) for word in words], places

    def parts(self, text: str, *, whole: bool = False) -> list[tuple[str, int, bool]]:
        """The text cut at special and added tokens: piece, first character, whether it is such a token."""
        if whole:
            return [(text, 0, False)]
        pieces: list[tuple[str, int, bool]] = []
        at = 0
        for piece in self.tokens_trie.split(text):
            end = at + len(piece)
            token = self._added_tokens_decoder.get(self._added_tokens_encoder.get(piece, -1))
            alone = all(not side or side.isspace() for side in (text[max(0, at - 1):at], text[end:end + 1]))
            special = token is not None and (alone or not token.single_word)
            if pieces and not special and not pieces[-1][2]:
                pieces[-1] = (pieces[-1][0] + piece, pieces[-1][1], False)
            elif piece:
                pieces.append((piece, at, special))
            at = end
        return pieces

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return self.moses.words(text, lower=self.lower_case)

    def _convert_token_to_id(self, token: str) -> int:
        return self.numbers.get(token, self.numbers[str(self.unk_token)])

    def _convert_id_to_token(self, index: int) -> str:
        return self.symbols[index] if 0 <= index < len(self.symbols) else str(self.unk_token)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Words as a text again; blanks and quotation marks may differ from the first text's."""
        return self.moses.join(tokens)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """vocab.txt, whatever the words were read from."""
        path = Path(save_directory) / f"{filename_prefix + '-' if filename_prefix else ''}{FILES['vocab_file']}"
        write_words(path, self.symbols)
        return (str(path),)
