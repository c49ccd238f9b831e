"""Files in other encodings than UTF-8, with marks, and with bytes that are of none."""

import codecs

from odd_file import FIRST, delimited, labelled, read, refused

PLAIN = delimited()
GERMAN = [("Die Straße ist schön und grün", "gut"), ("Das Gebäude wäre größer für fünf", "schlecht"),
          ("Über Häuser müssen wir öfter reden", "gut"), ("Ich möchte süße Äpfel und Öl", "schlecht")] * 3
RUSSIAN = [("Сегодня хорошая погода, и мы идём гулять в парк", "да"), ("Этот товар пришёл сломанным, верните деньги", "нет"),
           ("Очень понравилось обслуживание в магазине", "да"), ("Никому не советую покупать здесь", "нет")] * 6
POLISH = [("Zażółć gęślą jaźń, proszę bardzo", "tak"), ("Jeżeli wszyscy śpią, to któż słyszy", "nie"),
          ("Źródło jest głęboko w lesie", "tak"), ("Niestety książka była już wypożyczona", "nie")] * 6
JAPANESE = [("今日はとても良い天気ですね。散歩に行きましょう", "はい"), ("この商品は壊れていました。返金してください", "いいえ"),
            ("お店の人がとても親切でした", "はい"), ("二度と買いたくありません", "いいえ")] * 6
CHINESE = [("今天天气很好，我们去公园散步吧", "好"), ("这个商品坏了，请退款给我", "坏"), ("店里的服务非常好", "好"),
           ("我不会再来这里买东西了", "坏")] * 6
KOREAN = [("오늘은 날씨가 아주 좋습니다. 산책하러 갑시다", "예"), ("이 상품은 고장났습니다. 환불해 주세요", "아니오"),
          ("가게 직원이 매우 친절했습니다", "예"), ("다시는 사고 싶지 않습니다", "아니오")] * 6
FRENCH = [("Le château était fermé à cause de la grève", "oui"), ("Où êtes-vous allés l'été dernier, à la forêt", "non"),
          ("Ça ne me plaît guère, hélas", "oui"), ("Déjà vu, bien sûr, mais très drôle", "non")] * 3
EMOJI = [("good \U0001f600 roses", "good"), ("bad \U0001f44e\U0001f3fd cups", "bad")] * 3
SCRIPTS = {"german": GERMAN, "russian": RUSSIAN, "polish": POLISH, "japanese": JAPANESE, "chinese": CHINESE,
           "korean": KOREAN, "french": FRENCH}


def encoded(name, script, encoding, *words, **options):
    """Rows of a script in an encoding, which must be found."""
    rows = SCRIPTS[script]
    return read(f"{name}.csv", delimited(rows=rows).encode(encoding), labelled(*rows[:2]), *words,
                count=len(rows), **options)


FILES = [
    *(encoded(f"{script}-utf-8", script, "utf-8", "utf-8") for script in SCRIPTS),
    *(encoded(f"{script}-utf-8-marked", script, "utf-8-sig") for script in ("german", "japanese")),
    *(encoded(f"{script}-utf-16-marked", script, "utf-16") for script in ("german", "russian", "chinese")),
    *(encoded(f"{script}-utf-16-le", script, "utf-16-le") for script in ("german", "french")),
    *(encoded(f"{script}-utf-16-be", script, "utf-16-be") for script in ("german", "french")),
    encoded("german-utf-32", "german", "utf-32"),
    encoded("french-utf-32-le", "french", "utf-32-le"),
    encoded("german-cp1252", "german", "cp1252", "cp1252"),
    encoded("french-latin-1", "french", "latin-1"),
    encoded("russian-cp1251", "russian", "cp1251", "cp1251"),
    encoded("russian-koi8-r", "russian", "koi8-r"),
    encoded("polish-cp1250", "polish", "cp1250"),
    encoded("japanese-shift-jis", "japanese", "shift_jis"),
    encoded("japanese-euc-jp", "japanese", "euc_jp"),
    encoded("chinese-gb18030", "chinese", "gb18030"),
    encoded("chinese-big5", "korean", "utf-8"),
    encoded("korean-euc-kr", "korean", "euc_kr"),
    encoded("named-cp1250", "polish", "cp1250", "cp1250", settings={"data.encoding": "cp1250"}),
    encoded("named-utf-16", "german", "utf-16", settings={"data.encoding": "utf-16"}),
    encoded("named-mac-roman", "french", "mac_roman", settings={"data.encoding": "mac_roman"}),
    refused("wrongly-named-ascii.csv", delimited(rows=GERMAN), 65, "E103", settings={"data.encoding": "ascii"}),
    refused("rot13-named.csv", PLAIN, 78, "rot13", settings={"data.encoding": "rot13"}),
    refused("base64-named.csv", PLAIN, 78, "base64", settings={"data.encoding": "base64"}),
    refused("unknown-encoding.csv", PLAIN, 78, "utf-9", settings={"data.encoding": "utf-9"}),
    read("mark-before-header.csv", codecs.BOM_UTF8 + PLAIN.encode(), FIRST),
    read("two-marks.csv", codecs.BOM_UTF8 * 2 + PLAIN.encode(), FIRST),
    read("mark-inside.csv", PLAIN.encode() + codecs.BOM_UTF8 + b"late roses,good\n", FIRST, "W103"),
    read("mark-in-quotes.csv", codecs.BOM_UTF8 + PLAIN.replace("text,label", '"text","label"').encode(), FIRST),
    refused("mark-only.csv", codecs.BOM_UTF8, 65, "E101"),
    refused("utf-16-mark-only.csv", codecs.BOM_UTF16_LE, 65),
    refused("one-bad-byte.csv", delimited(rows=GERMAN).encode() + b"caf\xe9,gut\n", 65, "one-bad-byte.csv:14:4", "E103",
            "0xE9"),
    read("one-bad-byte-skipped.csv", delimited(rows=GERMAN).encode() + b"caf\xe9,gut\n", labelled(*GERMAN[:2]), count=12,
         settings={"data.bad_rows": "skip"}),
    refused("bad-byte-in-header.csv", b"te\xfft,label\n" + delimited(header=None, rows=GERMAN).encode(), 65,
            "bad-byte-in-header.csv:1:3"),
    refused("cut-in-a-character.csv", delimited(rows=JAPANESE).encode()[:-3], 65, "E103"),
    refused("surrogate-in-utf-8.csv", PLAIN.encode() + b"cut \xed\xa0\xbd emoji,good\n" + "grün,gut\n".encode(), 65,
            "surrogate-in-utf-8.csv:8:"),
    refused("overlong-utf-8.csv", delimited(rows=GERMAN).encode() + b"\xc0\xaf slash,gut\n", 65, "E103"),
    read("emoji.csv", delimited(rows=EMOJI), labelled(*EMOJI), count=6),
    read("emoji-utf-16.csv", delimited(rows=EMOJI).encode("utf-16"), labelled(*EMOJI), count=6),
    read("right-to-left.csv", delimited(rows=[("שלום עולם", "טוב"), ("מלפפון רע", "רע")] * 3),
         labelled(("שלום עולם", "טוב"), ("מלפפון רע", "רע"))),
    read("right-to-left-override.csv", delimited(rows=[("a\u202eb", "good"), ("c", "bad")] * 3),
         labelled(("a\u202eb", "good"), ("c", "bad"))),
    read("combining-accents.csv", delimited(rows=[("e\u0301" * 4, "good"), ("\u0301" * 40, "bad")] * 2), [], count=4),
    read("line-separators.csv", delimited(rows=[("one\u2028two", "good"), ("three\u0085four", "bad")] * 3),
         labelled(("one\u2028two", "good"), ("three\u0085four", "bad"))),
    read("vertical-tabs.csv", delimited(rows=[("one\x0btwo", "good"), ("three\x0cfour", "bad")] * 3),
         labelled(("one\x0btwo", "good"), ("three\x0cfour", "bad"))),
    read("control-characters.csv", delimited(rows=[("\x1b[31mred", "good"), ("bell\x07", "bad")] * 3),
         labelled(("\x1b[31mred", "good"), ("bell\x07", "bad"))),
    read("no-break-spaces.csv", delimited(rows=[("one\u00a0two", "good"), ("three\u3000four", "bad")] * 3),
         labelled(("one\u00a0two", "good"), ("three\u3000four", "bad"))),
]
