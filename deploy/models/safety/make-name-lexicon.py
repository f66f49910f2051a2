"""Writes libs/safety/privacy/lexicon/*.json: names of people, words that are no names, and other proper nouns.

Sources (read from the folder given as the first argument, where each was unpacked):
  Faker 40.63 (MIT): the names of its person providers, in Latin, Cyrillic and Greek letters
  names 0.3.0 (MIT): the 1990 census lists of the United States (public domain)
  wamerican, wamerican-small 2020.12.07 and wbritish-small (SCOWL, a permissive licence): English words and proper nouns

  mkdir lists && cd lists
  pip download --no-deps faker==40.63.0 names==0.3.0 && unzip faker*.whl && tar xzf names*.tar.gz
  apt-get download wamerican wamerican-small wbritish-small && for each: dpkg-deb -x <package> .
  PYTHONPATH=. python3 make-name-lexicon.py .

The order is fixed, so the same sources give the same bytes.
"""

import importlib
import json
import os
import re
import sys
import unicodedata
from pathlib import Path

source = Path(sys.argv[1])
target = Path(__file__).resolve().parents[3] / "libs/safety/privacy/lexicon"
SURNAMES_OF_THE_CENSUS = 12_000
FREQUENT_SURNAMES = 3_000
FREQUENT_GIVEN = {"female": 900, "male": 600}
letters = re.compile(r"^[a-z\u0370-\u03ff\u0400-\u04ff]{2,20}$")


def folded(word):
    """Lower case without marks, as the recogniser looks words up; also the letters that have no marks to drop."""
    word = word.lower().replace("ł", "l").replace("ø", "o").replace("đ", "d").replace("ß", "ss")
    word = word.replace("æ", "ae").replace("œ", "oe").replace("ı", "i").replace("ð", "d").replace("þ", "th")
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def parts(names):
    for name in names:
        name = name[0] if isinstance(name, tuple) else name
        for part in re.split(r"[\s'’\-]+", name if isinstance(name, str) else ""):
            part = folded(part)
            if letters.match(part) and (len(part) > 2 or part in ("jo", "al", "ed", "bo", "li", "xu", "wu", "ng", "ho")):
                yield part


def provider_names(kind, locales=None):
    found = set()
    for locale in sorted(os.listdir(source / "faker/providers/person")):
        if locale.startswith("__") or (locales and locale not in locales):
            continue
        if locale in ("vi_VN",):  # Syllables: words of other languages.
            continue
        provider = importlib.import_module("faker.providers.person." + locale).Provider
        for attribute in dir(provider):
            if kind + "_name" in attribute and "pairs" not in attribute:
                value = getattr(provider, attribute)
                if hasattr(value, "__iter__") and not isinstance(value, str):
                    found.update(parts(value))
    return found


def census(file, limit=None):
    rows = (source / "names-0.3.0/names" / file).read_text().split("\n")
    return [row.split()[0].lower() for row in rows if row][:limit]


def dictionary(name):
    words = (source / "usr/share/dict" / name).read_text(encoding="utf8").split("\n")
    return [word for word in words if word and "'" not in word]


given = provider_names("first") | set(census("dist.female.first")) | set(census("dist.male.first"))
surnames = provider_names("last") | set(census("dist.all.last", SURNAMES_OF_THE_CENSUS))
frequent = set(census("dist.female.first", FREQUENT_GIVEN["female"])) | set(census("dist.male.first", FREQUENT_GIVEN["male"]))
frequent |= provider_names("first", {"en_US", "en_GB"})

large = dictionary("american-english")
small = dictionary("american-english-small") + dictionary("british-english-small")
large_lower = {folded(word) for word in large if word.islower()}
words = {folded(word) for word in small if word.islower()} | (large_lower & (given | surnames))
proper = {folded(word) for word in large if not word.islower()}

english = words | large_lower
proper -= given | set(census("dist.all.last", FREQUENT_SURNAMES))
proper -= words
frequent = {name for name in frequent if len(name) > 3 and name in given and name not in english}
surnames -= given - set(census("dist.all.last", FREQUENT_SURNAMES))
words = {word for word in words if letters.match(word)}
proper = {word for word in proper if letters.match(word)}


def write(name, entries):
    lines = {}
    for entry in sorted(entries):
        lines.setdefault(entry[:1], []).append(entry)
    text = json.dumps([" ".join(line) for _, line in sorted(lines.items())], ensure_ascii=False, indent=2)
    (target / f"{name}.json").write_text(text + "\n", encoding="utf8")
    print(name, len(entries), len(text.encode()), "bytes")


write("given-names", given)
write("frequent-given-names", frequent)
write("surnames", surnames)
write("common-words", words)
write("proper-nouns", proper)
