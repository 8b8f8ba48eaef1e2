"""Sentences as people write them, with the parameters that the package ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar_cli.text import marks, punkt, scripts, sentences
from sonar_cli.text.clauses import shorten
from sonar_cli.text.sentences import Sentence, iter_split, join, split
from sonar_cli.world import stories as world

pytestmark = pytest.mark.usefixtures("shipped_parameters")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith went home.", ["Dr. Smith went home."]),
        ("He left at 5 p.m. He slept.", ["He left at 5 p.m.", "He slept."]),
        ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]),
        ("So was I. It rained.", ["So was I.", "It rained."]),
        ("It rose 3.5 percent. No. 5 won.", ["It rose 3.5 percent.", "No. 5 won."]),
        ("Well... maybe. Wait... No.", ["Well... maybe.", "Wait...", "No."]),
        ('"Can you help me?" asked Lily.', ['"Can you help me?" asked Lily.']),
        ('"Stop!" he cried. He ran.', ['"Stop!" he cried.', "He ran."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("\u201cLook!\u201d she said. She ran.", ["\u201cLook!\u201d she said.", "She ran."]),
        ("no full stop at all", ["no full stop at all"]),
        ("Hard\nwrapped\nlines. And more.", ["Hard wrapped lines.", "And more."]),
        ("\ufeffHello\u00a0there.\r\nHow are you?", ["Hello there.", "How are you?"]),
        ("A Title\nIt rained. It stopped.", ["A Title", "It rained.", "It stopped."]),
        ("- one thing\n- two. More.\n1. three", ["- one thing", "- two.", "More.", "1. three"]),
        ("What?! Really!", ["What?!", "Really!"]),
        ("He came (did he?) to tea. He ate.", ["He came (did he?) to tea.", "He ate."]),
        ('He left. "Oh!" "No!" she said.', ["He left.", '"Oh!"', '"No!" she said.']),
        ("", []),
        (" \n\t\r\n ", []),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    assert [each.text for each in split(text)] == expected


def test_paragraphs_survive() -> None:
    text = "One. Two.\r\n\r\n  Three.\n \n\nFour"
    found = split(text)
    assert [(each.text, each.paragraph) for each in found] == [
        ("One.", 0),
        ("Two.", 0),
        ("Three.", 1),
        ("Four", 2),
    ]
    assert join(found) == "One. Two.\n\nThree.\n\nFour"


def test_join_keeps_lists_and_titles() -> None:
    assert join(split("A Title\nIt rained. It stopped.\n\n- one\n- two")) == (
        "A Title\nIt rained. It stopped.\n\n- one\n- two"
    )


def test_lines_are_not_split_further() -> None:
    found = split("One. Two.\n\nThree?  Four!\r\n", "lines")
    assert [each.text for each in found] == ["One. Two.", "Three? Four!"]


def test_the_story_world_comes_back() -> None:
    for story in world.stories(200, seed=3):
        text = " ".join(story.sentences)
        assert tuple(each.text for each in split(text)) == story.sentences


# No deadline: the first example pays for loading NLTK.
@settings(deadline=None)
@given(st.text(st.sampled_from(list("aB.\"'!?1 -\n\r\t\u00a0\u2026)(")), max_size=60))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    found = split(text)
    kept = "".join(text[each.start : each.end] for each in found)
    assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", text)
    ends = [0, *(each.end for each in found)]
    assert all(end <= each.start < each.end for end, each in zip(ends, found, strict=False))
    assert [each.text for each in found] == [
        " ".join(text[each.start : each.end].split()) for each in found
    ]


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    punkt.tokenizer.cache_clear()
    assert len(split("One. Two.")) == 2


def test_data_on_the_machine_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's own writer makes the data; its one abbreviation is not among the shipped ones."""
    import nltk.data
    from nltk.tokenize.punkt import PunktParameters, save_punkt_params

    text = "Zorg. Smith left. He ran."
    assert len(split(text)) == 3
    parameters = PunktParameters()
    parameters.abbrev_types.add("zorg")
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    # NLTK writes and reads nowhere but in its data folders.
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    save_punkt_params(parameters, str(folder))
    punkt.tokenizer.cache_clear()
    try:
        assert [each.text for each in split(text)] == ["Zorg. Smith left.", "He ran."]
    finally:
        punkt.tokenizer.cache_clear()


# (language, text, the sentences)
LANGUAGES = [
    (
        "deu_Latn",
        "Am 3. Mai kam Dr. Roth, z. B. nach Köln. „Komm!“ rief er. Äpfel usw. Das war im 2. Stock.",
        [
            "Am 3. Mai kam Dr. Roth, z. B. nach Köln.",
            "„Komm!“ rief er.",
            "Äpfel usw.",
            "Das war im 2. Stock.",
        ],
    ),
    (
        "fra_Latn",
        "« Bonjour ! » dit M. Petit. Il ajouta : « Oui. » Elle rit… « Non ! », dit-elle.",
        [
            "« Bonjour ! » dit M. Petit.",
            "Il ajouta : « Oui. »",
            "Elle rit…",
            "« Non ! », dit-elle.",
        ],
    ),
    (
        "spa_Latn",
        "¿Qué pasa?¡Nada! La Sra. Gil vive en EE. UU. El Dr. Ruiz no. —¿Vienes? —preguntó.",
        [
            "¿Qué pasa?",
            "¡Nada!",
            "La Sra. Gil vive en EE. UU.",
            "El Dr. Ruiz no.",
            "—¿Vienes? —preguntó.",
        ],
    ),
    (
        "ita_Latn",
        "Il dott. Rossi pagò 3.500 euro. «Ciao!» disse. È tardi.",
        ["Il dott. Rossi pagò 3.500 euro.", "«Ciao!» disse.", "È tardi."],
    ),
    (
        "por_Latn",
        "O Sr. Silva saiu. A Dra. Ana não veio. “Olá!” disse ele.",
        ["O Sr. Silva saiu.", "A Dra. Ana não veio.", "“Olá!” disse ele."],
    ),
    (
        "nld_Latn",
        "Dhr. Jansen sprak met B. de Vries. 's Avonds regende het.",
        ["Dhr. Jansen sprak met B. de Vries.", "'s Avonds regende het."],
    ),
    (
        "rus_Cyrl",
        "В 1990 г. он жил в г. Москва. Груши и т. д. Потом уехал. Проф. А. С. Иванов ушёл. "
        "— Куда? — спросил он.",
        [
            "В 1990 г. он жил в г. Москва.",
            "Груши и т. д.",
            "Потом уехал.",
            "Проф. А. С. Иванов ушёл.",
            "— Куда? — спросил он.",
        ],
    ),
    ("ces_Latn", "Karel IV. Lucemburský žil ve 14. století.", None),
    (
        "ell_Grek",
        "Τι κάνεις; Καλά. Πού πας\u037e «Εσύ;» ρώτησε ο κ. Παππάς.",
        ["Τι κάνεις;", "Καλά.", "Πού πας\u037e", "«Εσύ;» ρώτησε ο κ. Παππάς."],
    ),
    (
        "zho_Hans",
        "今天很好。我们走吧！“你好！”小明说。“你呢？”她走了。圆周率是3.14。"
        "Dr. Smith left. He slept. 完。",
        [
            "今天很好。",
            "我们走吧！",
            "“你好！”小明说。",
            "“你呢？”",
            "她走了。",
            "圆周率是3.14。",
            "Dr. Smith left.",
            "He slept.",
            "完。",
        ],
    ),
    (
        "zho_Hans",
        '他说："好。"然后走了。"再见。"真的!太好了……是吗',
        ['他说："好。"', "然后走了。", '"再见。"', "真的!", "太好了……是吗"],
    ),
    (
        "jpn_Jpan",
        "「行こう。」と彼は言った。『はい！？』（雨だ。）もう遅い｡3.5時だ。",
        ["「行こう。」と彼は言った。", "『はい！？』", "（雨だ。）", "もう遅い｡", "3.5時だ。"],
    ),
    (
        "kor_Hang",
        '2024. 5. 3. 서울에서 만났다. "갔다."라고 말했다. 정말?',
        ["2024. 5. 3. 서울에서 만났다.", '"갔다."라고 말했다.', "정말?"],
    ),
    (
        "hin_Deva",
        "डॉ. शर्मा आए। कीमत 3.5 है। क्या वह सोया? सञ्जय॥ १॥ हाँ!",
        ["डॉ. शर्मा आए।", "कीमत 3.5 है।", "क्या वह सोया?", "सञ्जय॥ १॥", "हाँ!"],
    ),
    ("ben_Beng", "ড. রহিম বললেন, “চলো।” কী হলো?", ["ড. রহিম বললেন, “চলো।”", "কী হলো?"]),
    ("ory_Orya", "ସେ ଗଲା।ଡା. ଦାସ ଆସିଲେ।", ["ସେ ଗଲା।", "ଡା. ଦାସ ଆସିଲେ।"]),
    ("tam_Taml", "எம். ஜி. ஆர். நடித்தார். அவர் சென்றார்.", ["எம். ஜி. ஆர். நடித்தார்.", "அவர் சென்றார்."]),
    (
        "arb_Arab",
        "ذهب د. أحمد. هل عاد؟ اشترى خبزًا؛ ثم رجع.\u200f السعر 3.5 دولار!",
        ["ذهب د. أحمد.", "هل عاد؟", "اشترى خبزًا؛ ثم رجع.\u200f", "السعر 3.5 دولار!"],
    ),
    ("urd_Arab", "وہ گیا۔ کیا وہ سویا؟ قیمت 3۔5 ہے۔", ["وہ گیا۔", "کیا وہ سویا؟", "قیمت 3۔5 ہے۔"]),
    ("pes_Arab", "می\u200cروم. تو چه؟", ["می\u200cروم.", "تو چه؟"]),
    ("heb_Hebr", "א. ב. יהושע כתב. מה שלומך?", ["א. ב. יהושע כתב.", "מה שלומך?"]),
    ("amh_Ethi", "ሰላም ነው። እንዴት ነህ፧ ሄደ፡፡", ["ሰላም ነው።", "እንዴት ነህ፧", "ሄደ፡፡"]),
    ("hye_Armn", "Բարև ձեզ։ Նա գնաց: Հետո քնեց:", ["Բարև ձեզ։", "Նա գնաց:", "Հետո քնեց:"]),
    ("khm_Khmr", "ខ្ញុំទៅផ្ទះ។ ផ្លែឈើ។ល។ គាត់ញ៉ាំបាយ៕", ["ខ្ញុំទៅផ្ទះ។", "ផ្លែឈើ។ល។", "គាត់ញ៉ាំបាយ៕"]),
    ("mya_Mymr", "သူပြန်သွားသည်။ ၅၊ ၆။", ["သူပြန်သွားသည်။", "၅၊ ၆။"]),
    ("bod_Tibt", "ང་འགྲོ་གི་ཡིན། ཁྱེད་རང་ག་པར།། བཀྲ་ཤིས།", ["ང་འགྲོ་གི་ཡིན། ཁྱེད་རང་ག་པར།།", "བཀྲ་ཤིས།"]),
    (
        "tha_Thai",
        "ผมชื่อสมชาย เกิด พ.ศ. 2540 อาศัยอยู่ที่กรุงเทพมหานครและทำงานเป็นครูสอนภาษาอังกฤษ วันนี้อากาศดี\nลาก่อน",
        [
            "ผมชื่อสมชาย เกิด พ.ศ. 2540 อาศัยอยู่ที่กรุงเทพมหานครและทำงานเป็นครูสอนภาษาอังกฤษ",
            "วันนี้อากาศดี",
            "ลาก่อน",
        ],
    ),
    ("lao_Laoo", "ສະບາຍດີ!\nຂ້ອຍຢູ່ວຽງຈັນ", ["ສະບາຍດີ!", "ຂ້ອຍຢູ່ວຽງຈັນ"]),
    ("kat_Geor", "ი. ჭავჭავაძე წავიდა. სად?", ["ი. ჭავჭავაძე წავიდა.", "სად?"]),
    ("sat_Beng", "ᱚᱞ ᱪᱤᱠᱤ᱾ ᱟᱢ ᱫᱚ᱿", ["ᱚᱞ ᱪᱤᱠᱤ᱾", "ᱟᱢ ᱫᱚ᱿"]),
    ("tur_Latn", "II. Dünya Savaşı bitti. Nasılsın?", ["II. Dünya Savaşı bitti.", "Nasılsın?"]),
    ("vie_Latn", "Ông ở TP. Hồ Chí Minh. Ông về.", ["Ông ở TP. Hồ Chí Minh.", "Ông về."]),
]


@pytest.mark.parametrize(("lang", "text", "expected"), LANGUAGES)
def test_languages(lang: str, text: str, expected: list[str] | None) -> None:
    found = split(text, lang=lang)
    assert [each.text for each in found] == (expected or [text])
    assert [text[each.start : each.end] for each in found] == (expected or [text])


def test_every_language_of_sonar_has_rules() -> None:
    from sonar_cli.model.codec.languages import NLLB_LANGUAGES

    for lang in NLLB_LANGUAGES:
        assert [each.text for each in split("A 3.5 b! C d?", lang=lang)] == ["A 3.5 b!", "C d?"]
    for lang in ("", "xxx", "xxx_Xxxx"):
        assert scripts.rules(lang) == scripts.rules("xxx_Latn")
    assert len(split("他走了。你呢？", lang="xxx_Hans")) == 2
    assert set(scripts.MODELS) <= {lang[:3] for lang in NLLB_LANGUAGES}


def test_a_line_break_is_no_space_in_chinese() -> None:
    text = "这是很长的\r\n  中文文本，\n被换行了。Some English\n和中文。\n한국어\n문장."
    found = split(text, lang="zho_Hans")
    assert [each.text for each in found] == [
        "这是很长的中文文本，被换行了。",
        "Some English 和中文。",
        "한국어 문장.",
    ]
    assert found[0].start == 0 and text[: found[0].end].endswith("。")
    assert [each.text for each in split("ภาษา\nไทย", "lines", "tha_Thai")] == ["ภาษา", "ไทย"]
    assert join(found) == "这是很长的中文文本，被换行了。Some English 和中文。한국어 문장."


def test_lines_of_their_own_in_chinese_and_japanese() -> None:
    text = "第一章\n很久很久以前，有一个地方叫做桃花源，那里的人们过着幸福的生活。\n1、山\n2、水。"
    found = split(text, lang="zho_Hans")
    assert [each.line for each in found] == [False, True, True, True]
    text = "「はい」\n「いいえ」\n\u3000次の\n段落です。"
    found = split(text, lang="jpn_Jpan")
    assert [each.text for each in found] == ["「はい」", "「いいえ」", "次の段落です。"]
    assert join(found).splitlines() == [each.text for each in found]


@pytest.mark.parametrize("lang", ["eng_Latn", "zho_Hans", "deu_Latn", "tha_Thai", "hin_Deva"])
@pytest.mark.parametrize(
    "text", ["。。。", "!!!", "🇩🇪👩‍👩‍👧", "a" * 70_000, "漢" * 70_000, "!" * 5000, "” 」", "\u200f"]
)
def test_one_piece_of_anything_stays_one(lang: str, text: str) -> None:
    assert [(each.start, each.end) for each in split(text, lang=lang)] == [(0, len(text))]


def test_no_sentence_is_marks_alone() -> None:
    for text in ("。。。你好。！！！」", "「。」「你好。」。。", "你好。😀 …… 再见。"):
        for each in split(text, lang="zho_Hans"):
            assert re.search(r"\w", each.text), text


def test_marks_of_other_scripts_end_a_sentence_in_english_too() -> None:
    assert [each.text for each in split("He said 你好。She left।")] == [
        "He said 你好。",
        "She left।",
    ]


def test_a_long_paragraph_is_split_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Punkt sees a window at a time, and the windows are those that were asked for."""
    tokenizer = punkt.tokenizer(scripts.rules("eng_Latn"))
    seen: list[int] = []
    tokenize = tokenizer.span_tokenize
    monkeypatch.setattr(
        tokenizer, "span_tokenize", lambda text: seen.append(len(text)) or tokenize(text)
    )
    words = "He left Dr. Smith at home. She ran! "
    found = iter_split(words * 20_000)
    assert [next(found).text for _ in range(3)][-1] == "He left Dr. Smith at home."
    assert len(seen) == 1 and max(seen) <= sentences._WINDOW
    found = iter_split((words + "\n\n") * 1000)
    next(found)
    assert len(seen) == 2
    assert sum(1 for _ in iter_split("你好。" * 20_000, lang="zho_Hans")) == 20_000
    assert len(seen) == 2


def test_windows_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        'He said: "No." Then Mr. J. R. Roth left ... « Oui ! » " Why?" (she asked.) U.S. Then. ' * 9
    )
    whole = split(text)
    for size in range(60, 130):
        monkeypatch.setattr(sentences, "_WINDOW", size)
        assert split(text) == whole, size


def test_nltk_is_not_imported_with_the_module() -> None:
    import subprocess
    import sys

    code = "import sys, sonar_cli.text.sentences; print('nltk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


SIGNS = [
    *"aB. \n!?'\"-,;：",
    "。",
    "、",
    "」",
    "「",
    "e\u0301",
    "का",
    "ไทย ",
    "…",
    "\u200f",
    "👩\u200d👧",
    "3",
]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(SIGNS), max_size=40).map("".join),
    st.sampled_from(["zho_Hans", "fra_Latn", "tha_Thai", "hin_Deva", "ell_Grek", "bod_Tibt"]),
)
def test_nothing_is_lost_in_any_language(text: str, lang: str) -> None:
    found = split(text, lang=lang)
    _covers(text, found)
    assert all(each.text == sentences.collapse(text[each.start : each.end]) for each in found)
    starts = (each.start for each in found if not text[: each.start][-1:].isspace())
    assert all(marks.is_boundary(text, start) for start in starts)


def _covers(text: str, found: list[Sentence]) -> None:
    kept = "".join(text[each.start : each.end] for each in found)
    assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", text)
    ends = [0, *(each.end for each in found)]
    assert all(end <= each.start < each.end for end, each in zip(ends, found, strict=False))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        (
            "One is here. Two is Dr. Roe. Three is last.",
            30,
            ["One is here. Two is Dr. Roe.", "Three is last."],
        ),
        ("It rained; then, later, it snowed.", 25, ["It rained;", "then, later, it snowed."]),
        ("It rained — and it snowed, later.", 22, ["It rained —", "and it snowed, later."]),
        ("It rained here, and snowed there.", 20, ["It rained here,", "and snowed there."]),
        ("it rained and it snowed", 14, ["it rained", "and it snowed"]),
        ("他说天很好，我们去吧；你来不来都可以", 33, ["他说天很好，我们去吧；", "你来不来都可以"]),
        ("at 10:30 and 1,000 more", 16, ["at 10:30 and", "1,000 more"]),
        ("e\u0301" * 4, 6, ["e\u0301" * 2] * 2),
        ("🇩🇪🇫🇷🇮🇹", 17, ["🇩🇪", "🇫🇷🇮🇹"]),
        ("👩\u200d👧" * 2, 14, ["👩\u200d👧"] * 2),
        ("👍🏽👍🏽", 12, ["👍🏽", "👍🏽"]),
        ("क्षिक्षि", 20, ["क्षि", "क्षि"]),
        ("abcdefgh", 3, ["ab", "cde", "fgh"]),
        ("word", 0, ["w", "o", "r", "d"]),
    ],
)
def test_shorten(text: str, limit: int, expected: list[str]) -> None:
    lines = split(text, "lines")
    found = list(shorten(lines, text, _bytes, limit))
    assert [each.text for each in found] == expected
    assert [text[each.start : each.end] for each in found] == expected
    assert [each.line for each in found] == [True, *[False] * (len(found) - 1)]


def test_shorten_asks_where_the_sentence_stands() -> None:
    text = "Short.\r\n\r\nThis one, which is\r\nlonger, is cut. Short."
    found = list(shorten(split(text), text, _bytes, 22))
    assert [(each.text, each.paragraph) for each in found] == [
        ("Short.", 0),
        ("This one,", 1),
        ("which is longer,", 1),
        ("is cut.", 1),
        ("Short.", 1),
    ]
    _covers(text, found)


def test_shorten_measures_little() -> None:
    calls: list[int] = []

    def length(text: str) -> int:
        calls.append(len(text))
        return len(text) // 4

    text = "so many words, and all of them in one line " * 25_000
    found = list(shorten(split(text, "lines"), text, length, 510))
    _covers(text, found)
    assert len(calls) < 4 * len(found) < 4 * 1.5 * len(text) / 4 / 510
    assert sum(calls) < 6 * len(text)
    calls.clear()
    text = "Short ones. " * 100
    assert list(shorten(split(text), text, length, 4 * 11 + 2)) == split(text)
    assert not calls
    # U+FDFA is one character and a whole phrase to a tokenizer.
    text = "\ufdfa"
    list(shorten(split(text), text, length, 20))
    assert calls


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(SIGNS), max_size=60).map("".join),
    st.integers(4, 40),
    st.sampled_from(["eng_Latn", "zho_Hans", "tha_Thai"]),
    st.sampled_from(["auto", "lines"]),
)
def test_pieces_fit(text: str, limit: int, lang: str, mode: sentences.Mode) -> None:
    found = list(shorten(split(text, mode, lang), text, _bytes, limit, lang))
    _covers(text, found)
    assert all(0 < _bytes(each.text) <= limit for each in found)
    assert all(each.text == sentences.collapse(text[each.start : each.end]) for each in found)


@pytest.mark.parametrize("lang", ["deu_Latn", "zho_Hans"])
def test_the_data_of_other_languages(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """German has its own; Chinese leaves Latin words to the English one."""
    import nltk.data
    from nltk.tokenize.punkt import PunktParameters, save_punkt_params

    parameters = PunktParameters()
    parameters.abbrev_types.add("zorg")
    folder = tmp_path / "tokenizers" / "punkt_tab" / scripts.rules(lang).model
    folder.mkdir(parents=True)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    save_punkt_params(parameters, str(folder))
    punkt.tokenizer.cache_clear()
    try:
        text = "Zorg. Smith left. Dr. Roth ran."
        expected = ["Zorg. Smith left.", "Dr. Roth ran."]
        assert [each.text for each in split(text, lang=lang)] == expected
    finally:
        punkt.tokenizer.cache_clear()
