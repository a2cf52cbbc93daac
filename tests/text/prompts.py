"""Ten thousand prompts that try a tokenizer: scripts, emoji, accents, control characters, white space, length."""

import random
from collections.abc import Callable

_TEXT = """
a photo of an astronaut riding a horse on Mars, highly detailed, trending on artstation, 8k, f/1.4, 35mm, (hdr:1.2)
Don't I'll we've they're it'd he's I'M YOU'LL CamelCase café naïve Ångström ÉCLAIR straße İstanbul ıssız ǅ ﬁne ™ №
<|startoftext|> <|endoftext|> <|ENDOFTEXT|> <|endoftext <s> </w> [MASK] <lora:x:1> &amp; &lt; C++ #tag @name $9.99
<cat-toy> MARS http://example.org/a?b=c&d=%20 snake_case kebab-case 1234567890 3.14159 ½ x² H₂O Ⅷ ٣٤ ४२ 一二三
!! !!! ! ?! ... … —– “quoted” ‘q’ «q» ☃ ♥️ ✨ \\o/ :-) ^_^ (((deep))) [[x]] {a|b} ~~ `` '' "" ''s 's't
"""
_WORDS = tuple(_TEXT.split())
_SENTENCES = (
    "ein Fuchs springt über den faulen Hund und frisst Würstchen",
    "un château près de la forêt, à l'aube, où tout est né",
    "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΣΊΣΥΦΟΣ",
    "الخط العربي جميل جداً في السماء الزرقاء",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "तीन बिल्लियाँ छत पर बैठी हैं",
    "พยัญชนะไทยกับสระและวรรณยุกต์",
    "一只猫坐在山顶上看日落",
    "富士山の上に浮かぶ赤い提灯とネコ、ｶﾀｶﾅ",
    "한국의 가을 단풍과 고양이 세 마리",
    "ქართული ანბანი და მთები",
    "Հայերեն այբուբեն",
    "ቀይ ድመት በተራራ ላይ",
    "ꓡꓲꓢꓴ 𐌰𐌱𐌲 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝟘𝟙𝟚 𓀀𓂀",
    "Tiếng Việt có nhiều dấu",
)
_EMOJI = ("😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "1️⃣", "🧑🏿‍🚀", "☕", "🫠", "👁️‍🗨️")
_SPACES = (
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\v",
    "\f",
    "\x1c",
    "\x85",
    "\xa0",
    "\u1680",
    "\u2003",
    "\u2028",
    "\u202f",
    "\u3000",
)
_CONTROLS = (
    "\0",
    "\x01",
    "\x07",
    "\x08",
    "\x1b[31m",
    "\x7f",
    "\x80",
    "\x9f",
    "\xad",
    "\u200b",
    "\u200d",
    "\u202e",
    "\ufeff",
    "\ufffd",
    "\ue000",
)
_ACCENTS = (
    "e\u0301",
    "A\u030a",
    "n\u0303",
    "o\u0308\u0304",
    "\u1100\u1161\u11a8",
    "q\u0323\u0307",
    "\u0344",
    "\u212b",
    "\u0301x",
)
# Beyond the planes of letters: surrogates have no place in a text.
_ANYTHING = [*range(0x20, 0xD800), *range(0xE000, 0x30000)]

_EDGES = (
    *("", " ", "!", "\n", "\0", "a" * 5000, "a " * 5000, "!" * 1000, "🦊" * 500, "９" * 200),
    *("cat " * length for length in range(70, 80)),
)
Draw = random.Random


def prompts(count: int) -> list[str]:
    """``count`` different prompts, the same at every call."""
    found = dict.fromkeys(_EDGES)
    draw = random.Random(0)
    kinds: tuple[Callable[[Draw], str], ...] = (
        _usual,
        _usual,
        _sentences,
        _emoji,
        _spaced,
        _controls,
        _accents,
        _noise,
    )
    while len(found) < count:
        found.update(dict.fromkeys(kind(draw) for kind in kinds))
    return list(found)[:count]


def _usual(draw: Draw) -> str:
    return " ".join(draw.choices(_WORDS, k=draw.choice((1, 3, 8, 20, 60))))


def _sentences(draw: Draw) -> str:
    text = draw.choice(("", " ", ", ")).join(draw.sample(_SENTENCES, draw.randint(1, 3)))
    start = draw.randrange(len(text))
    return draw.choice((text, text.upper(), text[start : start + 12]))


def _emoji(draw: Draw) -> str:
    return "".join(draw.choices((*_EMOJI, *_WORDS[:20], " "), k=draw.randint(1, 25)))


def _spaced(draw: Draw) -> str:
    parts = (
        draw.choice(_WORDS) + "".join(draw.choices(_SPACES, k=draw.randint(1, 4))) for _ in range(draw.randint(1, 12))
    )
    return draw.choice(_SPACES) + "".join(parts)


def _controls(draw: Draw) -> str:
    return "".join(draw.choices((*_CONTROLS, *_WORDS), k=draw.randint(1, 15)))


def _accents(draw: Draw) -> str:
    return "".join(draw.choices((*_ACCENTS, *_WORDS[:12], *_SENTENCES[:3], " "), k=draw.randint(1, 15)))


def _noise(draw: Draw) -> str:
    return "".join(map(chr, draw.choices(_ANYTHING, k=draw.randint(1, 40))))
