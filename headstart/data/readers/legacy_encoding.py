"""Which encoding a text has that is not Unicode: the one whose letters are those of a language.

Every candidate decodes the lines that are not ASCII. A reading is scored by its letters: how many belong to one
language's alphabet, how many of them are that language's frequent ones, and how often a capital follows a small letter
inside a word. Chinese, Japanese and Korean are scored by the first level of their national character sets and by their
most frequent characters.
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

PUNCTUATION = frozenset("’‘“”„‚«»‹›–—…•·€£§©®°´¿¡№\xa0")
WIDE_PUNCTUATION = frozenset("、。，！？；：「」『』（）《》“”‘’…—·～ー〜　％＋－／＝")


@dataclass(frozen=True)
class Alphabet:
    """The letters of a language that are not ASCII, the frequent ones apart, and the share that those usually have."""

    language: str
    frequent: str
    rare: str
    usual: float
    encodings: tuple[str, ...]
    density: float = 0.01  # their share of all letters in a text that has few

    def letters(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.frequent + self.rare)


CENTRAL, CYRILLIC = ("cp1250", "iso8859-2", "cp852"), ("cp1251", "koi8-r", "iso8859-5", "cp866", "mac_cyrillic")
WESTERN = ("cp1252", "iso8859-15", "mac_roman", "cp850")
OLD = ("mac_roman", "mac_cyrillic", "cp850", "cp852", "cp866")  # what computers before about 2000 wrote
COMMONEST = "cp1252"  # of all that is not Unicode
MARGIN = 0.25  # difference of two scores, by the share of letters that differ, that is beyond doubt
ALPHABETS = (
    Alphabet("French", "éèàê", "çùôâîûëïœæüÿ", 0.8, WESTERN),
    Alphabet("German", "äöü", "ßé", 0.85, WESTERN),
    Alphabet("Spanish", "óíáéñ", "úüç", 0.7, WESTERN),
    Alphabet("Portuguese", "ãáçé", "íóâêõúàü", 0.6, WESTERN),
    Alphabet("Italian", "àèùòì", "éî", 0.7, WESTERN),
    Alphabet("Scandinavian", "åäöøæ", "éüþðáíóúý", 0.8, WESTERN),
    Alphabet("Polish", "łęąóż", "śćńź", 0.7, CENTRAL, 0.04),
    Alphabet("Czech or Slovak", "áíéěřž", "čšůúýňťďóľôä", 0.6, CENTRAL, 0.07),
    Alphabet("Hungarian", "áéöó", "őüíúű", 0.7, CENTRAL, 0.06),
    Alphabet("Croatian or Slovene", "čšž", "ćđ", 0.6, CENTRAL, 0.02),
    Alphabet("Romanian", "ăîâ", "șțşţ", 0.6, CENTRAL, 0.03),
    Alphabet("Russian", "оеаинтсрвл", "кмдпуяыьгзбчйхжшюцщэфъё", 0.6, CYRILLIC),
    Alphabet("Ukrainian", "оаинвтіер", "слкумдпзяьбгйчхжцшюїєфщґ", 0.55, ("cp1251", "koi8-u", "iso8859-5", "cp866")),
    Alphabet("Bulgarian or Serbian", "аеоитнрсв", "лпкмдзябгущжцчйшъхюфљњјћђџ", 0.6, ("cp1251", "iso8859-5")),
    Alphabet("Greek", "αοιετσνηυ", "ρπκμλςωγδχθφβξζψάέήίόύώϊϋΐΰ", 0.55, ("cp1253", "iso8859-7")),
    Alphabet("Turkish", "ıüşğ", "çöâîİ", 0.6, ("cp1254",), 0.06),
    Alphabet("Hebrew", "יוהלאמ", "רתבשםנדעחקפסטגזצכןךףץ", 0.5, ("cp1255",)),
    Alphabet("Arabic", "ايلومنرت", "بدسعفقكهحجشصةطخأإىذءضئزثظغؤآپچژگ،؛؟", 0.6, ("cp1256", "iso8859-6")),
    Alphabet("Lithuanian, Latvian or Estonian", "ėšžąāīēõäüö", "ųįęčūņļģķ", 0.7, ("cp1257", "iso8859-13"), 0.04),
    Alphabet("Thai", "านรกอเงมยลวดท", "".join(chr(code) for code in range(0x0E01, 0x0E5C)), 0.5, ("cp874",)),
)
SIMPLIFIED = ("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
              "很好吃太店服务房间天没都还点去看想家多")
TRADITIONAL = ("的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡"
               "很好吃太店服務房間天沒都還點去看想家多")
KANA = "のにはをたがでてとしれさあいるなもりかっくこすまらんだきけ"
HANGUL = "이다는의을가에고하지로도은를한서기리사어나인해자대시스아있수정보주제일그니들요습너무았었음게"
IDEOGRAPHS: Mapping[str, tuple[str, str, float]] = {  # encoding -> language, frequent characters, their usual share
    "gb18030": ("Chinese", SIMPLIFIED, 0.25), "big5": ("Chinese", TRADITIONAL, 0.25), "cp932": ("Japanese", KANA, 0.3),
    "euc_jp": ("Japanese", KANA, 0.3), "cp949": ("Korean", HANGUL, 0.3)}
FIRST_LEVELS = {"gb18030": ("gb2312", 0xB0, 0xD7), "big5": ("big5", 0xA4, 0xC6), "cp932": ("euc_jp", 0xB0, 0xCF),
                "euc_jp": ("euc_jp", 0xB0, 0xCF), "cp949": ("euc_kr", 0xB0, 0xC8)}  # charset, first and last lead byte


@dataclass(frozen=True)
class EncodingGuess:
    """An encoding that decodes a sample, the language of its letters, and how well they fit (0 to 1)."""

    encoding: str
    language: str
    score: float
    text: str

    def confidence(self, alternative: EncodingGuess) -> float:
        """How sure it is (0 to 1) that this encoding is meant and not the other: its score, and how much better it is,
        counted on the letters in which the two texts differ.
        """
        pairs = [(letter, other_letter) for letter, other_letter in zip(self.text, alternative.text, strict=False)
                 if not (letter.isascii() and other_letter.isascii())]
        differing = sum(letter != other_letter for letter, other_letter in pairs) / max(1, len(pairs))
        margin = max(0.0, self.score - alternative.score) / max(differing, 1e-3) / MARGIN
        return min(1.0, self.score) * min(1.0, margin) * len(pairs) / (len(pairs) + 2)


def rank_encodings(sample: bytes) -> list[EncodingGuess]:
    """The encodings that decode a sample of lines, best first; of those that give one text, the first."""
    guesses = [guess for encoding, alphabets in alphabets_by_encoding().items()
               if (guess := alphabet_guess(sample, encoding, alphabets)) is not None]
    guesses += [guess for encoding in IDEOGRAPHS if (guess := ideograph_guess(sample, encoding)) is not None]
    guesses.sort(key=lambda guess: -guess.score)
    return [guess for index, guess in enumerate(guesses)
            if all(guess.text != better.text for better in guesses[:index])]


@functools.cache
def alphabets_by_encoding() -> dict[str, list[Alphabet]]:
    """The alphabets that each encoding may hold; frequent encodings first."""
    encodings: dict[str, list[Alphabet]] = {}
    for alphabet in ALPHABETS:
        for encoding in alphabet.encodings:
            encodings.setdefault(encoding, []).append(alphabet)
    return encodings


def decoded(sample: bytes, encoding: str) -> str | None:
    """The sample's text; None where it is not of this encoding, or holds control characters."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if any(unicodedata.category(letter) in ("Cc", "Cn", "Co") for letter in set(text) - set("\t\n\r\f")) \
        else text


def alphabet_guess(sample: bytes, encoding: str, alphabets: list[Alphabet]) -> EncodingGuess | None:
    """How well a sample's text fits the best of some alphabets."""
    text = decoded(sample, encoding)
    if text is None:
        return None
    letters = Counter(letter.lower() for letter in text if not letter.isascii())
    capitals = sum(letter.isupper() and not letter.isascii() for letter in text)
    signs, broken = 0, 0
    for before, letter, after in zip("\n" + text, text, text[1:] + "\n", strict=False):
        if letter in PUNCTUATION:
            signs += is_in_place(before, letter, after)
        elif not (letter.isascii() and before.isascii()) and letter.isalpha() and before.isalpha():
            broken += (letter.isupper() and before.islower()) or is_latin(letter) != is_latin(before)
    total = max(1, letters.total())
    penalty = 2 * broken / total + (0.15 if capitals > 0.5 * total else 0)
    penalty += 0.1 if encoding in OLD else 0.08 if encoding != COMMONEST else 0
    density = letters.total() / max(1, sum(map(str.isalpha, text)))
    # Foreign words keep their accents in Western texts: naïve, Köln, São Paulo.
    related = frozenset().union(*(alphabet.letters() for alphabet in alphabets)) if encoding in WESTERN else frozenset()
    score, language = max((alphabet_share(letters, alphabet, related) + signs / total
                           - 0.3 * max(0.0, 1 - density / alphabet.density), alphabet.language)
                          for alphabet in alphabets)
    return EncodingGuess(encoding, language, max(0.0, score - penalty), text)


def alphabet_share(letters: Counter[str], alphabet: Alphabet, related: frozenset[str]) -> float:
    """Share of the letters that are the alphabet's, less where the frequent ones are rare among them; letters of
    related languages count half.
    """
    frequent = sum(letters[letter] for letter in alphabet.frequent)
    own_letters = sum(letters[letter] for letter in alphabet.letters())
    foreign = sum(letters[letter] for letter in related - alphabet.letters())
    typical = min(1.0, frequent / own_letters / alphabet.usual) if own_letters else 1.0
    return (own_letters * (0.6 + 0.4 * typical) + foreign / 2) / max(1, letters.total())


def is_in_place(before: str, sign: str, after: str) -> bool:
    """Whether a sign stands where it is used: an apostrophe behind a letter, a quotation mark at the edge of a word."""
    if sign in "’‘":
        return before.isalnum() or after.isalnum()
    if sign in "“„‚«‹¿¡":
        return not before.isalnum() and not after.isspace()
    if sign in "”»›…•":
        return not before.isspace() and not after.isalnum()
    return not (before.isalpha() and after.isalpha()) and not (sign in "€£§©®°´№" and before.isalpha())


def is_latin(letter: str) -> bool:
    """Whether a letter is of the Latin script."""
    return letter < "\u0250" or "\u1e00" <= letter < "\u1f00"


def ideograph_guess(sample: bytes, encoding: str) -> EncodingGuess | None:
    """How well a sample's text fits Chinese, Japanese or Korean."""
    text = decoded(sample, encoding)
    if text is None:
        return None
    language, frequent_letters, usual = IDEOGRAPHS[encoding]
    letters = Counter(letter for letter in text if not letter.isascii())
    total = max(1, letters.total())
    signs = sum(count for letter, count in letters.items() if letter in WIDE_PUNCTUATION)
    common = sum(count for letter, count in letters.items()
                 if letter not in WIDE_PUNCTUATION and is_common(letter, encoding))
    frequent = sum(count for letter, count in letters.items() if letter in frequent_letters)
    typical = min(1.0, frequent / max(1, common) / usual)
    score = (common + signs * min(1.0, 0.3 + common / total)) / total * (0.6 + 0.4 * typical)
    return EncodingGuess(encoding, language, score, text)


@functools.lru_cache(maxsize=100_000)
def is_common(letter: str, encoding: str) -> bool:
    """Whether a character is of the first level of its national set (the frequent half), or kana, or Hangul in it."""
    if "\u3041" <= letter <= "\u30ff":
        return encoding in ("cp932", "euc_jp")
    charset, first, last = FIRST_LEVELS[encoding]
    try:
        code = letter.encode(charset)
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and first <= code[0] <= last
