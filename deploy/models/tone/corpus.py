"""Reads the development data into labelled rows and splits them by document.

A row is one short English text with one of three labels. Every row names the group it was cut from (a counselling
question with its answers, a sentence template, a conversation opening), and a group falls wholly into one split.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

LABELS = ["hostile", "neutral", "supportive"]

# A reply with one of these phrases is kind whatever its source's own label says, so it is no example of neutral.
KIND = re.compile(r"sorry (to hear|for your|about)|hope (you|he|she|they|things)|thank|good luck|glad|congrat|hang in", re.I)
SECOND_PERSON = re.compile(r"\b(you|your|yours|yourself)\b", re.I)
# The counselling text often lacks the space after a full stop, hence the second alternative.
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[a-z][.!?])(?=[A-Z])|[\r\n]+")

SHORTEST_CHARACTERS = 12
LONGEST_CHARACTERS = 400


@dataclass(frozen=True)
class Row:
    text: str
    label: str
    source: str
    group: str


def read_rows(data: Path) -> list[Row]:
    """All usable rows, without duplicates. A text that turns up under two labels is left out altogether."""
    rows = [*_surge(data), *_rtp(data), *_diasafety(data), *_counsel(data), *_presidio(data)]
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        key = " ".join(re.findall(r"\w+", row.text.lower()))
        if key and SHORTEST_CHARACTERS <= len(row.text) <= LONGEST_CHARACTERS:
            by_key.setdefault(key, []).append(row)
    return [same[0] for same in by_key.values() if len({row.label for row in same}) == 1]


def split_rows(rows: list[Row], seed: int) -> dict[str, list[Row]]:
    """Splits by a hash of the group, so that adding a source moves no existing row to another split."""
    splits: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        place = _fraction(f"{seed}|{row.group}")
        splits["train" if place < 0.68 else "validation" if place < 0.80 else "test"].append(row)
    return {name: in_hash_order(part, seed) for name, part in splits.items()}


def in_hash_order(rows: list[Row], seed: int) -> list[Row]:
    return sorted(rows, key=lambda row: _fraction(f"{seed}|order|{row.text}"))


def canonical_sha256(rows: list[Row]) -> str:
    """The hash of the rows as sorted JSON lines, the same whatever order they were read in."""
    lines = sorted(json.dumps({"label": row.label, "text": row.text}, ensure_ascii=False) for row in rows)
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


def _surge(data: Path):
    for number, entry in enumerate(_lines(data / "surge_toxicity" / "train.jsonl")):
        yield Row(_tidy(entry["text"]), "hostile" if entry["label"] == 1 else "neutral", "surge_toxicity", f"surge:{number}")


def _rtp(data: Path):
    for number, entry in enumerate(_lines(data / "rtp_sample" / "train.jsonl")):
        # Toxicity alone also marks crude or sexual text that attacks nobody. Such text is neutral here, and what lies
        # between the two bounds is too doubtful to use.
        attack = max(entry["scores"][kind] for kind in ("insult", "threat", "identity_attack"))
        if attack >= 0.6 and entry["label"] >= 0.75:
            yield Row(_tidy(entry["text"]), "hostile", "rtp_sample", f"rtp:{number}")
        elif attack <= 0.35:
            yield Row(_tidy(entry["text"]), "neutral", "rtp_sample", f"rtp:{number}")


def _diasafety(data: Path):
    meaning = {
        ("Offending User", "Unsafe"): "hostile",
        ("Risk Ignorance", "Safe"): "supportive",
        ("Toxicity Agreement", "Safe"): "neutral",
    }
    for part in ("train", "validation"):
        for entry in _lines(data / "diasafety" / f"{part}.jsonl"):
            label = meaning.get((entry["category"], entry["label"]))
            if label is None or (label == "neutral" and KIND.search(entry["text"])):
                continue
            yield Row(_tidy(entry["text"]), label, "diasafety", f"diasafety:{_tidy(entry['context']).lower()}")


def _counsel(data: Path):
    for entry in _lines(data / "counsel_chat" / "answers.jsonl"):
        # Counsellors speak warmly where they open and close; the middle of an answer is mostly information.
        passages = _passages(entry["text"])
        for passage in dict.fromkeys([*passages[:2], *passages[-1:]]):
            if SECOND_PERSON.search(passage):
                yield Row(passage, "supportive", "counsel_chat", f"counsel:{entry['qid']}")
    for entry in _lines(data / "counsel_chat" / "questions.jsonl"):
        # Clients write about the same matters in another tone, which keeps the topic from giving the label away.
        for passage in dict.fromkeys([*_passages(entry["text"])[:1], *_passages(entry["text"])[-1:]]):
            if not KIND.search(passage):
                yield Row(passage, "neutral", "counsel_chat", f"counsel:{entry['qid']}")


def _presidio(data: Path):
    for entry in _lines(data / "presidio_synth" / "train.jsonl"):
        yield Row(_tidy(entry["text"]), "neutral", "presidio_synth", f"presidio:{entry['template_id']}")


def _passages(text: str) -> list[str]:
    """Sentences, with those under 40 characters joined to the next."""
    passages: list[str] = []
    pending = ""
    for sentence in SENTENCE_END.split(text):
        pending = _tidy(f"{pending} {sentence}")
        if len(pending) >= 40:
            passages.append(pending)
            pending = ""
    return [*passages, pending] if pending else passages


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _lines(path: Path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _fraction(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48
