"""The words of each language by which its sentences are split, and the rules made of them.

A language is a FLORES-200 code such as `fra_Latn`; an unknown language gets the rules of its
script.
"""

from __future__ import annotations

import re
from functools import cache

from sonar_cli.text.english import ENGLISH
from sonar_cli.text.marks import marks
from sonar_cli.text.rules import Rules, closing_marks

# language -> the name of its model in NLTK's punkt_tab data
MODELS = dict(
    pair.split(":")
    for pair in """
ces:czech dan:danish nld:dutch est:estonian fin:finnish fra:french deu:german ell:greek ita:italian
mal:malayalam nob:norwegian nno:norwegian pol:polish por:portuguese rus:russian slv:slovene
spa:spanish swe:swedish tur:turkish
""".split()
)

# language or script -> abbreviations. Those that often end a sentence ("usw.", "и т. д.") are left
# out: before a lower-case letter they are recognized without a list.
ABBREVIATIONS = {
    "afr": "bl bv ca d.w.z dr ds mej mev mnr nr o.a prof st",
    "cat": "aprox av c cap dr dra ex fig núm pl prof pàg sr sra srs st sta tel vol",
    "ces": """bc cca doc dr gen hl ing judr kap kpt mgr mudr např nám obr odd phdr plk popř por prof
        resp rndr sl srov str sv tab tel tj tzv tř ul č čp čís""",
    "dan": """bl bl.a ca dr dvs d.v.s eks ekskl f.eks fig fr frk f.kr hr ifm inkl jf kap kl max mht
        min nr pga p.g.a prof s sml st tlf""",
    "deu": """abs allg bd bes bspw bzw ca chr d.h dipl dr dt ehem einschl engl ev evtl exkl fr franz
        frl geb gegr gest ggf hr hrsg ing inkl jh jhd jun jur kap kath lfd lt max med min mind mio
        mrd n.chr nat nr od phil prof rer röm s sen sog st str tel u.a u.u ugs urspr v.chr verh vgl
        z.b zw zzgl""",
    "ell": "αγ αρ βλ δηλ δρ εικ κ κα κεφ κος λ.χ ο.π οδ π.χ πρβλ σ σελ στρ σχ τηλ καθ",
    "est": "dr hr kl lk nr nt pr prof s.o sh st tel tn u vt",
    "fin": "dr esim ins klo ks maist n nro ns os prof puh s toht tri ts vrt",
    "fra": """adj apr av bd bld chap cf dr dép env ex fig hab janv j.-c juil m max me mgr min mlle
        mlles mm mme mmes n nov oct p pp pr prof sept st ste tél vol éd févr avr déc""",
    "glg": "av cap dr dra fig núm pax prof páx sr sra sras srs st sta tel vol",
    "hrv": "br dipl dr fra g gosp gđa ing mr npr o.g prof sc str sv tel tj tzv ul usp",
    "hun": "dr id ifj ill kb pl prof sz u.n ún ti tel özv",
    "ind": "bpk dr drs dra hj hlm ir jl kh no ny prof sdr st tel tgl tn yth",
    "isl": "bls ca dr hr kap kl m.a nr prof sr st t.d þ.e",
    "ita": """a.c all approx arch avv ca cap cfr d.c d.ssa dott dott.ssa dr ed es fig geom ing max
        min mons n nn on p p.es p.za pag pagg prof prof.ssa rag s sen sig sig.na sig.ra sigg ss tel
        v v.le vol""",
    "lit": "al doc dr g gen kun nr p pl plk pr prof pvz t.y šv",
    "lvs": "dr lpp nr piem prof sk st t.i tel",
    "nld": """a.u.b afd bijv blz ca chr dhr dr drs ds d.w.z evt excl gem gen incl ing ir jl kol lt
        m.a.w m.b.t maj max mej mevr min mld mln mr mw n.chr nr o.a p prof resp st t.a.v tel v.chr
        vgl vnl zgn zog""",
    "nob": """bl.a ca dr dvs d.v.s eks ekskl ev f.eks f.kr fig fr frk hhv hr iht inkl jf kap kl mht
        min nr pga prof s st tlf""",
    "pol": """al dr gen gm godz hab inż kpt ks lek m.in mgr mjr np nr ok os pl por pow prof płd płk
        płn red s sierż str św tel tzn tzw ul ur woj wsch wyd zach zm zob""",
    "por": """a.c aprox arq av cap cel cia d d.c depto dr dra dras drs ed eng enga ex exa exma exmo
        fig gen ltda maj max min máx mín n núm obs p prof profa pág págs s.a sgt sr sra sras srs
        srta st sta sto séc tel ten v.exa vol""",
    "ron": """aprox bd ca cap cca conf d-l d-na dl dna dr ex fig ing jud lect nr pag prof sf st str
        tel vol""",
    "rus": """акад англ гл гр д-р доц дер изд им канд кв корп лат макс мин наб напр нем обл ок пер
        пл пос просп проф р-н ред рис св см ср ст стр т.е т.к т.н табл тел тов ул фр г-жа г-н""",
    "slk": "bc doc dr gen ing kap mgr napr nám obr prof resp str sv tab tel tj tzv ul č",
    "slv": "dipl dr g ga gl inž mag npr oz prim prof str sv t.i tel tj ul št",
    "spa": """a.c admón aprox arq atte av avda c cap cnel cía d d.c dcha depto dpto dr dra drs dña
        ed ee ej fig gral ing izq lic máx mín núm núms p p.ej prof profa pág págs s.a sr sra sras
        sres srta ss sta sto tel tte ud uds uu vd vds vol""",
    "swe": """bl bl.a ca d.v.s dr ex exkl f.d f.kr fig fr hr inkl jfr kap kl kungl leg max min nr
        prof resp s s.k sid st t.ex tel""",
    "swh": "bi bw dk dkt mh prof st",
    "tgl": "bb dr dra engr gng sr sra sta sto",
    "tur": """alb apt av bkz cad doç dr gen gör hz ing mah mim müh no prof s sf sn sok st t.c tel
        tğm uzm yrd yzb ör örn öğr""",
    "ukr": "акад бул вул гр див доц ім напр обл пл просп проф рис св ст стор т.зв табл тел",
    "vie": "gs ks p pgs q st tp ths ts",
    "Latn": "dr prof mr mrs ms mgr st sta sto ing tel vol nr fig cf ca",
    "Cyrl": "акад бул г-н г-ца г-жа гр д-р доц инж ул проф св стр",
    # Single letters are listed, as initials: without capitals nothing else tells them apart.
    "Arab": "د أ.د ص أ ا ب ج ح خ ر ز س ش ط ع غ ف ق ك ل ن و ي",
    "Armn": "պրոֆ ակադ օր նկ տես",
    "Beng": """ড ডা ডঃ মো মোঃ মোসা মি প্রফ খ্রি নং পৃ এ বি সি ডি ই এফ জি এইচ আই জে কে এল এম এন ও পি
        কিউ আর এস টি ইউ ভি""",
    "Deva": """डॉ डा प्रो प्रा पं कु श्री श्रीमती स्व सं नं वि ई रु अं ए बी सी डी एफ जी एच आई जे के
        एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई""",
    "Ethi": "ዓ.ም ዓ.ዓ እ.ኤ.አ",
    "Geor": "პროფ აკად ე.წ ე.ი ძვ.წ ახ.წ მაგ გვ იხ ნახ",
    "Gujr": "ડૉ ડો પ્રો શ્રી સ્વ કુ એ બી સી ડી એફ જી એચ જે કે એલ એમ એન પી આર એસ ટી વી",
    "Guru": "ਡਾ ਪ੍ਰੋ ਸ ਸ੍ਰ ਸ੍ਰੀ ਏ ਬੀ ਡੀ ਐਫ ਜੀ ਐਚ ਜੇ ਕੇ ਐਲ ਐਮ ਐਨ ਪੀ ਆਰ ਐਸ ਟੀ ਵੀ",
    "Hebr": "א ב ג ד ה ו ז ח ט י כ ל מ נ ס ע פ צ ק ר ש ת",
    "Knda": "ಡಾ ಶ್ರೀ ಪ್ರೊ ಕ್ರಿ.ಶ",
    "Mlym": "ഡോ ശ്രീ പ്രൊഫ",
    "Orya": "ଡ ଡା ଡଃ ଶ୍ରୀ ଏ ବି ସି ଡି ଏଫ ଜି ଏଚ ଜେ କେ ଏଲ ଏମ ଏନ ପି ଆର ଏସ ଟି ଭି",
    "Sinh": "ක්‍රි.ව ඩී බී සී ජී ජේ කේ එල් එම් එන් පී ආර් එස් ටී",
    "Taml": "திரு திருமதி பேரா கி.பி கி.மு",
    "Telu": "డా శ్రీ ప్రొ క్రీ.శ",
}

# language -> words that begin a sentence if they have a capital after an abbreviation. Words of one
# letter are left out, since they look like initials.
STARTERS = {
    "ces": """ale ani byl byla bylo jak jeho její já kdo když ne nebo on ona oni pak po pokud potom
        poté proto to ve""",
    "deu": """aber als am an auch auf aus bei da damit dann das dem den der deshalb die dies diese
        dieser dieses doch ein eine einer er es für hier ich ihr ihre im in ist ja jetzt man mit
        nach nein noch nun nur ob schon sein seine seit sie so trotzdem und vom von vor war warum
        was wenn wer wie wir wo zu zum zur zwei über""",
    "fra": """après au aussi aux avant avec c'est car ce cela ces cet cette comme dans de depuis des
        donc elle elles en enfin ensuite est et il ils j'ai je la le les leur leurs lorsque mais
        même non nous on or où oui par pendant peu pour pourquoi puis quand que qui sa sans ses si
        son sous sur tous tout un une vous""",
    "ita": """al alla anche ancora c'è che chi come con cosa così da dal dalla del della di dopo
        egli era erano fu gli ha hanno il in infine io l'altro la le lei lo loro lui ma mentre nel
        nella noi non ogni per perché poi quando quello questa questo se si sono su suo tutti un
        una""",
    "nld": """al alle als bij daar daarna dan dat de deze die dit door een en er haar heeft het hier
        hij hoe hun ik in is ja je maar met na naar nee niet nog nu of om ook op te toen tot uit van
        veel volgens voor waar wanneer want wat we wie wij ze zij zijn zo""",
    "pol": """ale był była było dlatego gdy jak jego jej jest jeśli kiedy na nie on ona oni po potem
        to za""",
    "por": """agora além ao aos após as assim até com como da das de depois desde do dos ela elas
        ele eles em então era essa esse esta este eu foi há isso isto já mas na não no nos nós onde
        os ou para pela pelo por porque quando que quem se sem seu sua também todos tudo um uma
        você""",
    "rus": """без был была были было во вот все где да для до его ее если еще ещё её за затем здесь
        из или их как когда которые кто мы на не нет но об однако он она они оно от по под после
        потом поэтому при сейчас со так также там то тогда только ты хотя что чтобы эта эти это
        этот""",
    "spa": """además ahora al algunos así aunque cada como con cuando de del desde después donde dos
        durante el ella ellas ellos en entonces era es esa ese eso esta este esto estos fue ha hasta
        hay la las le lo los luego más me mi muchos muy nada ni no nos nosotros otro para pero por
        porque qué que quién se según ser si sí sin sobre su sus también tan todo todos tras tu un
        una ya yo""",
    "ukr": """але був була були було ви від вона вони воно де для до його за коли ми на не після та
        так те то це цей що як її він""",
}

# Patterns for `Rules.goes_on`; the line break is where Punkt has cut.
# "3. 5. 2024": the numbers of a date.
_DATES = r"(?:^|\s)\d{1,4}\.\n\d{1,2}\.|\d{1,2}\. \d{1,2}\.\n\d{2,4}\b"
# A closing mark and a comma or the like after the cut.
_CLOSED = r"\n[»”“\"’)\]]+\s?[,;:.]"
# An ordinal in Roman numerals, as in "XIV. století".
_ROMAN = r"\b[IVXL]{1,5}\.\n"
_GERMAN_NOUNS = (
    "Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|"
    "Jahrhunderts?|Jh|Jahrtausend|Weltkrieg(?:es|s)?|Platz|Mal|Klasse|Kapitel|Stock|Etage|"
    "Lebensjahr|Geburtstag|Auflage|Tag|Woche|Monat|Spieltag|Liga|Bundesliga|Minute|Runde|"
    "Halbzeit|Semester|Reich|Republik|Teil|Band|Stelle|Hälfte"
)
# A German ordinal: before a noun that often has one, or after an article or a preposition.
_GERMAN = (
    rf"\b\d{{1,3}}\.\n(?:{_GERMAN_NOUNS})\b"
    r"|(?:\b(?:[Aa]m|[Ii]m|[Vv]om|[Zz]um|[Zz]ur|[Bb]eim|[Dd](?:er|ie|as|en|em|es)|[Ss]ein\w*|"
    r"[Ii]hr\w*|[Jj]ede\w*)\s\d{1,2}\.|\b[IVXL]{1,5}\.)"
    r"\n(?!(?:Er|Sie|Es|Ich|Wir|Der|Die|Das|Dann|Danach|Da|In|Im|Am|Ein|Eine|Nach|Und|Aber|Doch)\b)"
)


def _initials(block: int) -> str:
    """Return a pattern for initials in the South Indian script of a Unicode block.

    An initial is a syllable, or the English name of a letter (எம் for M), before a full stop.
    """
    vowels, letters, signs = ((block + a, block + b) for a, b in ((5, 20), (21, 57), (62, 77)))
    v, c, s = (f"{chr(a)}-{chr(b)}" for a, b in (vowels, letters, signs))
    virama = chr(block + 0x4D)
    return rf"(?:^|[\s.(])(?:[{v}{c}][{s}]?|[{v}]?[{c}]{virama})\.\n"


# language or script -> pattern for `Rules.goes_on`
GOES_ON = {
    "deu": _GERMAN,
    "ltz": _GERMAN,
    **dict.fromkeys("bos ces dan est fin hrv hun isl lvs nno nob slk slv tur".split(), _ROMAN),
    # A short Thai or Lao word before a full stop is an abbreviation: sentences end without one.
    "Thai": r"(?:^|[\s.(])[\u0e01-\u0e4e]{1,4}\.\n",
    "Laoo": r"(?:^|[\s.(])[\u0e81-\u0ecd]{1,4}\.\n",
    "Hang": r"\d{4}\. \d{1,2}\. \d{1,2}\.\n",
    "Taml": _initials(0xB80),
    "Telu": _initials(0xC00),
    "Knda": _initials(0xC80),
    "Mlym": _initials(0xD00),
}

# script -> words that continue a sentence: the space before them is not its end.
SPACES = {
    "Thai": """และ หรือ ที่ ซึ่ง อัน ว่า โดย เพื่อ เพราะ กับ ของ ใน จาก คือ เป็น ได้แก่ เช่น รวมถึง
        ตลอดจน""",
    "Laoo": "ແລະ ຫຼື ຫລື ທີ່ ເຊິ່ງ ຊຶ່ງ ວ່າ ໂດຍ ເພື່ອ ເພາະ ກັບ ຂອງ ໃນ ຈາກ ແມ່ນ ເປັນ ເຊັ່ນ",
}
# An ellipsis before white space. `sentences` ends a sentence there only before a capital.
_DOTS = r"| (?: (?<=…) | (?<=\.\.\.) )(?=[\"'»”’“)\]]*\s)"
# script -> further alternatives of `_MARKS`. Those of English are with its rules.
MARKS = {
    "Latn": _DOTS,
    "Cyrl": _DOTS,
    "Grek": _DOTS + r"| (?<=[\u0370-\u03ff\u1f00-\u1fff»”\")];)(?=[»”\")]*(?:\s|$))",
    "Armn": _DOTS + r"| (?<=[\u0561-\u0587]:)(?=\s+[\u0531-\u0556])",
}
# Languages whose quotation marks point inward: »so«.
_QUOTED_INWARD = frozenset("bos ces dan deu hrv ltz slk slv srp".split())
# language -> a related language that lends it its abbreviations
_RELATED = {"nno": "nob", "zsm": "ind", "bos": "hrv", "bel": "ukr", "ceb": "tgl", "war": "tgl"}


@cache
def rules(lang: str) -> Rules:
    """Return the rules of a FLORES-200 code: of its language, else its script, else Latin script.

    >>> rules("deu_Latn").model, rules("mar_Deva").model, rules("xxx_Xxxx") == rules("xxx_Latn")
    ('german', 'english', True)
    """
    code, _, script = lang.partition("_")
    if code == "eng":
        return ENGLISH
    script = script if script in _SCRIPTS else "Latn"
    cased = script in ("Latn", "Cyrl", "Grek", "Armn")
    related = _RELATED.get(code, code)
    listed = ABBREVIATIONS.get(related, ABBREVIATIONS.get(script, "")).split()
    own = MODELS.get(code, "")
    # Latin words in a text of a script without capitals are mostly English.
    guest = () if cased or own else ENGLISH.abbreviations
    pattern = "|".join(
        filter(None, (_DATES, _CLOSED, GOES_ON.get(code, GOES_ON.get(script)))),
    )
    conjunctions = "|".join(SPACES.get(script, "").split())
    return Rules(
        own or ("" if cased else "english"),
        (*listed, *guest),
        tuple(STARTERS.get(code, "").split()) if cased else ENGLISH.starters,
        closing=closing_marks("«") if code in _QUOTED_INWARD else closing_marks(),
        marks=marks(MARKS.get(script, "")),
        goes_on=re.compile(pattern),
        spaces=re.compile(conjunctions) if conjunctions else None,
        function_words=tuple(STARTERS.get(code, "").split()),
    )


_SCRIPTS = frozenset(
    """Arab Armn Beng Cyrl Deva Ethi Geor Grek Gujr Guru Hang Hans Hant Hebr Jpan Khmr Knda Laoo
    Latn Mlym Mymr Orya Sinh Taml Telu Tfng Thai Tibt""".split()
)
