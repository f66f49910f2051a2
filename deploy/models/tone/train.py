"""Trains both versions of the tone classifier and writes each as model.onnx with its sluice.json.

    python train.py --data <folder of development data> --out <folder>

The same data and the same pinned packages give the same bytes.
"""

import argparse
import hashlib
import json
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
from scipy import sparse
from scipy.sparse.linalg import norm
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from threadpoolctl import threadpool_limits

from corpus import LABELS, Row, canonical_sha256, read_rows, split_rows
from graph import TOKEN, tone_graph

SEED = 20261101
DATASET_VERSION = "2026-11"
# Coefficients are rounded so that the last bits of the solver's arithmetic never reach the artifact.
DECIMALS = 4
VERSION_1_ROWS = 600
WARMUP = "Thank you for writing, we will look at it tomorrow."


@dataclass(frozen=True)
class Recipe:
    longest_term: int
    largest_vocabulary: int
    fewest_documents: int
    uses_idf: bool
    shortest_length: float
    balances_classes: bool
    inverse_regularisation: float


@dataclass(frozen=True)
class Fitted:
    vectorizer: CountVectorizer
    idf: np.ndarray
    shortest_length: float
    coefficients: np.ndarray
    intercepts: np.ndarray

    def features(self, texts: list[str]):
        weighted = self.vectorizer.transform(texts).astype(np.float64).log1p() @ sparse.diags_array(self.idf)
        # A text of one or two words is not stretched to full length, or a single "a" would be judged with full confidence.
        lengths = np.maximum(norm(weighted, axis=1), self.shortest_length)
        return (sparse.diags_array(1 / lengths) @ weighted).tocsr()

    def probabilities(self, texts: list[str]) -> np.ndarray:
        scores = self.features(texts) @ self.coefficients + self.intercepts
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)


def lower_ascii(text: str) -> str:
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in text)


def fit(rows: list[Row], recipe: Recipe) -> Fitted:
    texts = [row.text for row in rows]
    vectorizer = CountVectorizer(preprocessor=lower_ascii, token_pattern=TOKEN, ngram_range=(1, recipe.longest_term),
                                 max_features=recipe.largest_vocabulary, min_df=recipe.fewest_documents)
    documents = np.asarray((vectorizer.fit_transform(texts) > 0).sum(axis=0)).ravel()
    idf = np.log((1 + len(rows)) / (1 + documents)) + 1 if recipe.uses_idf else np.ones(len(documents))
    untrained = Fitted(vectorizer, np.round(idf, DECIMALS), recipe.shortest_length, np.empty(0), np.empty(0))
    solver = LogisticRegression(C=recipe.inverse_regularisation, class_weight="balanced" if recipe.balances_classes else None,
                                max_iter=2000, tol=1e-6)
    solver.fit(untrained.features(texts), [row.label for row in rows])
    assert list(solver.classes_) == LABELS
    return replace(untrained, coefficients=np.round(solver.coef_.T, DECIMALS), intercepts=np.round(solver.intercept_, DECIMALS))


def tune(train: list[Row], validation: list[Row]) -> Recipe:
    """The recipe with the best macro F1 on the validation rows; the first of equals."""
    grid = [Recipe(2, size, 1, True, shortest, balances, c) for size, shortest, balances, c in
            product((12000, 20000, 30000), (1.0, 8.0, 12.0), (False, True), (3.0, 10.0))]
    truth = [row.label for row in validation]
    texts = [row.text for row in validation]

    def score(recipe: Recipe) -> float:
        return f1_score(truth, predicted(fit(train, recipe).probabilities(texts)), average="macro")

    scores = [score(recipe) for recipe in grid]
    best = int(np.argmax(scores))
    print(f"tuned on {len(validation)} validation rows: {grid[best]} macro F1 {scores[best]:.4f}")
    return grid[best]


def predicted(probabilities: np.ndarray) -> list[str]:
    return [LABELS[column] for column in probabilities.argmax(axis=1)]


def to_onnx(fitted: Fitted) -> bytes:
    """Orders the columns words first, then pairs, as the graph wants them."""
    column = fitted.vectorizer.vocabulary_
    terms = sorted(column, key=lambda term: (term.count(" "), term))
    order = [column[term] for term in terms]
    model = tone_graph([tuple(term.split(" ")) for term in terms], fitted.idf[order], fitted.shortest_length,
                       fitted.coefficients[order], fitted.intercepts, LABELS, "sluice-tone-training")
    return model.SerializeToString(deterministic=True)


def evaluate(model: bytes, fitted: Fitted, test: list[Row]) -> dict[str, float]:
    """Figures of the artifact itself as the runtime answers, not of the Python estimator it came from."""
    texts = [row.text for row in test]
    truth = [row.label for row in test]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers, probabilities = session.run(["label", "probabilities"], {"text": np.array(texts, dtype=object)})
    np.testing.assert_allclose(probabilities, fitted.probabilities(texts), atol=1e-5)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, answers, labels=LABELS)
    figures = {
        "accuracy": accuracy_score(truth, answers),
        "macro_f1": f1_score(truth, answers, average="macro"),
        "log_loss": -np.mean(np.log(probabilities[np.arange(len(truth)), [LABELS.index(label) for label in truth]])),
    }
    for index, label in enumerate(LABELS):
        figures |= {f"{label}_precision": precision[index], f"{label}_recall": recall[index], f"{label}_f1": f1[index]}
    report_by_source(test, list(answers))
    return {name: round(float(value), 4) for name, value in figures.items()}


def report_by_source(test: list[Row], answers: list[str]) -> None:
    """Recall for each source and label: the figure that shows where the boundary merely follows the source."""
    for source, label in sorted({(row.source, row.label) for row in test}):
        hits = [answer == label for row, answer in zip(test, answers) if (row.source, row.label) == (source, label)]
        print(f"  {source:15} {label:11} rows {len(hits):5} recall {np.mean(hits):.3f}")


def manifest(version: str, description: str, model: bytes, rows: list[Row], test_rows: int, metrics: dict[str, float]) -> dict:
    return {
        "schemaVersion": 1,
        "name": "tone",
        "version": version,
        "format": "onnx",
        "description": description,
        "files": [{"path": "model.onnx", "sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)}],
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)], "labels": LABELS},
        ],
        "trainedOn": {
            "dataset": "tone-development",
            "version": DATASET_VERSION,
            "sha256": canonical_sha256(rows),
            "licence": "MIT AND Apache-2.0",
        },
        "evaluation": {"dataset": "tone-held-out", "split": "test", "rows": test_rows, "metrics": metrics},
        "warmup": [{"text": [WARMUP]}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of development data, one folder per set")
    parser.add_argument("--out", type=Path, required=True, help="folder that receives 1/ and 2/")
    options = parser.parse_args()

    splits = split_rows(read_rows(options.data), SEED)
    train, validation, test = splits["train"], splits["validation"], splits["test"]
    for name, part in splits.items():
        print(name, len(part), {label: sum(row.label == label for row in part) for label in LABELS})

    first = train[:VERSION_1_ROWS]
    # Tuning is over before version 2 takes the validation rows in as well; the test rows stay out of both.
    second = [*train, *validation]
    plans = [
        ("1", "Tone of a short English text: hostile, neutral or supportive. A small baseline of single words.",
         first, Recipe(1, 250, 2, False, 2.0, False, 1.0)),
        ("2", "Tone of a short English text: hostile, neutral or supportive. Words and word pairs, tuned.",
         second, tune(train, validation)),
    ]
    for version, description, rows, recipe in plans:
        fitted = fit(rows, recipe)
        model = to_onnx(fitted)
        print(f"version {version}: {len(rows)} training rows, {len(fitted.idf)} terms, {len(model)} bytes")
        written = manifest(version, description, model, rows, len(test), evaluate(model, fitted, test))
        folder = options.out / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(model)
        (folder / "sluice.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(written["evaluation"], indent=2))


if __name__ == "__main__":
    # Sums over several threads come out in an order that depends on the number of cores.
    with threadpool_limits(limits=1):
        main()
