"""Every code that a finding can have, and what it means; the docs print this table.

E: a fault, the command ends with exit code 65. W: a warning, 65 with --strict. N: handled and stated.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E101": "the file is empty",
    "E102": "the file has a header and no rows",
    "E103": "the bytes are of no known encoding",
    "E104": "a row has fewer or more fields than the header",
    "E105": "a quote is opened and never closed",
    "E106": "a NUL character stands in the file",
    "E107": "two columns have the same name",
    "E108": "the first line looks like data: there is no header",
    "E109": "the given delimiter does not part the header",
    "E110": "a line is not JSON, or not an object",
    "E111": "the last line is cut off",
    "E112": "the file is of another kind than its name says, and cannot be read",
    "E113": "the compressed file is damaged or cut off",
    "E114": "a zip holds several files",
    "E201": "a text is empty",
    "E202": "a label is missing",
    "E203": "there is only one class",
    "E204": "a column is missing",
    "W101": "a column holds numbers in some rows and texts in others",
    "W201": "the same text stands in two splits (a leak)",
    "W202": "the same text stands twice in a split",
    "W203": "equal texts have different labels",
    "W204": "labels differ only by case or space",
    "W205": "a class has one example",
    "W206": "a class is rare",
    "W207": "a label stands only in dev or test",
    "W208": "texts that are equal but for case, space and punctuation",
    "W209": "two classes are hard to tell apart by their words",
    "N101": "encoding, delimiter, quotes: how the file was read",
    "N102": "the file was compressed",
    "N103": "there is no header: columns are called 0, 1, 2 …",
    "N104": "lone quotes are ordinary characters in this file",
    "N105": "the name says another format than the content",
}
