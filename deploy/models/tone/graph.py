"""Writes the bag-of-words classifier as an ONNX graph: text [n] -> label [n], probabilities [n, classes]."""

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

# Letters and digits, and the two marks that carry tone. An apostrophe of any kind parts a word, so that a typewriter
# apostrophe and a curly one give the same tokens.
TOKEN = "[a-z0-9]+|[!?]"


def tone_graph(terms: list[tuple[str, ...]], idf: np.ndarray, shortest_length: float, coefficients: np.ndarray,
               intercepts: np.ndarray, labels: list[str], producer: str) -> ModelProto:
    """`terms[i]` is the word or the pair of words behind column i; words come first. `coefficients` is [terms, classes]."""
    words = [term for term in terms if len(term) == 1]
    pairs = [term for term in terms if len(term) == 2]
    assert terms == words + pairs
    constants = {
        "one": np.float32(1),
        "shortest_length": np.float32(shortest_length),
        "columns": np.array([1], np.int64),
        "idf": idf.astype(np.float32),
        "coefficients": coefficients.astype(np.float32),
        "intercepts": intercepts.astype(np.float64),
        "labels": np.array(labels, dtype=object),
    }
    nodes = [
        # The C locale lower-cases A to Z only, and is the one locale every machine has.
        helper.make_node("StringNormalizer", ["text"], ["lowered"], case_change_action="LOWER", is_case_sensitive=1, locale="C"),
        # Rows are padded to the longest with a space, which is never a token.
        helper.make_node("Tokenizer", ["lowered"], ["tokens"], domain="com.microsoft", mark=0, mincharnum=1,
                         pad_value=" ", tokenexp=TOKEN),
        helper.make_node("TfIdfVectorizer", ["tokens"], ["counts"], mode="TF", min_gram_length=1,
                         max_gram_length=2 if pairs else 1, max_skip_count=0, ngram_counts=[0, len(words)] if pairs else [0],
                         ngram_indexes=list(range(len(terms))), pool_strings=[word for term in terms for word in term]),
        helper.make_node("Add", ["counts", "one"], ["counts_and_one"]),
        helper.make_node("Log", ["counts_and_one"], ["damped"]),
        helper.make_node("Mul", ["damped", "idf"], ["weighted"]),
        helper.make_node("ReduceL2", ["weighted", "columns"], ["length"], keepdims=1),
        # A text without a known word has length zero, so the lower bound also guards the division.
        helper.make_node("Max", ["length", "shortest_length"], ["bounded_length"]),
        helper.make_node("Div", ["weighted", "bounded_length"], ["features"]),
        # One row and many rows take different multiplication kernels that add in different orders. In double precision
        # that difference vanishes when the result goes back to float, so a row's answer is free of its neighbours.
        helper.make_node("Cast", ["features"], ["features_double"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["coefficients"], ["coefficients_double"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["features_double", "coefficients_double"], ["products"]),
        helper.make_node("Add", ["products", "intercepts"], ["scores_double"]),
        helper.make_node("Cast", ["scores_double"], ["scores"], to=TensorProto.FLOAT),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
        helper.make_node("Gather", ["labels", "best"], ["label"], axis=0),
    ]
    graph = helper.make_graph(
        nodes, "tone",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]),
         helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(labels)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name=producer, ir_version=9)
    checker.check_model(model)
    return model
