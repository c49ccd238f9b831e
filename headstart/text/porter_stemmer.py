"""Stems of English words by Porter's rules: An algorithm for suffix stripping, Program 14(3), 1980.

Where the stemmer that ROUGE is usually computed with departs from the paper, so does this one, or scores would differ:
a few irregular words have a stem of their own; words of two letters stay; -ies and -ied of four letters keep their e
(dies -> die); y becomes i after any consonant but the first letter (try -> tri, enjoy -> enjoy); -bli, -fulli and -logi
are cut in step 2, and -alli is cut first; a stem of one vowel and one consonant counts as short.
"""

from __future__ import annotations

from functools import lru_cache

IRREGULAR = {"skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "innings": "inning", "outings": "outing",
             "cannings": "canning"} | {word: word for word in ("sky", "news", "inning", "outing", "canning", "howe",
                                                               "proceed", "exceed", "succeed")}
# Suffixes and their replacements, when the rest has m > 0 (steps 2 and 3) or m > 1 (step 4); the longest one decides.
STEP_2 = {"ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble", "alli": "al",
          "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
          "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
          "fulli": "ful", "logi": "log"}
STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
STEP_4 = dict.fromkeys(("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
                        "ism", "ate", "iti", "ous", "ive", "ize"), "")


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a word in lower case: "relational" -> "relat", "hopping" -> "hop"."""
    if len(word) <= 2:
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    word = replace_final_y(strip_past(strip_plural(word)))
    if word.endswith("alli") and measure(word[:-4]) > 0:
        word = word[:-2]
    word = replace_suffix(word, STEP_2, 0)
    word = replace_suffix(word, STEP_3, 0)
    word = replace_suffix(word, STEP_4, 1)
    return strip_double_l(strip_final_e(word))


def letter_pattern(word: str) -> str:
    """Each letter as v (vowel) or c (consonant); y is a vowel after a consonant: "syzygy" -> "cvcvcv"."""
    pattern = ""
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and pattern[-1:] == "c")
        pattern += "v" if is_vowel else "c"
    return pattern


def measure(word: str) -> int:
    """Porter's m: how often a consonant follows a vowel."""
    return letter_pattern(word).count("vc")


def ends_short_syllable(word: str) -> bool:
    """Porter's *o: consonant, vowel, consonant other than w, x, y at the end; or a vowel and a consonant alone."""
    pattern = letter_pattern(word)
    return pattern == "vc" or (pattern.endswith("cvc") and word[-1] not in "wxy")


def strip_plural(word: str) -> str:
    """Step 1a: caresses -> caress, ponies -> poni, cats -> cat."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def strip_past(word: str) -> str:
    """Step 1b: agreed -> agree, plastered -> plaster, hopping -> hop, filing -> file."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        base = word.removesuffix(suffix)
        if base != word and "v" in letter_pattern(base):
            break
    else:
        return word
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if base[-2:-1] == base[-1] and letter_pattern(base)[-1] == "c":
        return base if base[-1] in "lsz" else base[:-1]
    return base + "e" if measure(base) == 1 and ends_short_syllable(base) else base


def replace_final_y(word: str) -> str:
    """Step 1c: happy -> happi, enjoy -> enjoy, by -> by."""
    return word[:-1] + "i" if word.endswith("y") and len(word) > 2 and letter_pattern(word[:-1])[-1] == "c" else word


def replace_suffix(word: str, replacements: dict[str, str], min_measure: int) -> str:
    """Steps 2 to 4: the longest suffix of the table, replaced when the measure of the rest is large enough."""
    for size in range(min(7, len(word)), 1, -1):
        suffix = word[-size:]
        if suffix in replacements:
            base = word[:-size]
            # its l counts as the rest's: theology -> theolog
            fits = measure(base + "l" if suffix == "logi" else base) > min_measure
            if suffix == "ion":
                fits = fits and base[-1] in "st"
            return base + replacements[suffix] if fits else word
    return word


def strip_final_e(word: str) -> str:
    """Step 5a: probate -> probat, rate -> rate, cease -> ceas."""
    base = word.removesuffix("e")
    if base == word:
        return word
    return base if measure(base) > 1 or (measure(base) == 1 and not ends_short_syllable(base)) else word


def strip_double_l(word: str) -> str:
    """Step 5b: controll -> control, roll -> roll."""
    return word[:-1] if word.endswith("ll") and measure(word[:-1]) > 1 else word
