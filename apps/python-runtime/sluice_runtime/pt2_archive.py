"""
What a `.pt2` may hold. `torch.export.load` reads some parts of it with pickle, compiles others as Python expressions and
looks functions up by name, so all of these are checked before it sees the file. Seen in PyTorch 2.15.
"""

import ast
import json
import re
import zipfile
from typing import Any

from .model_folder import LoadFailure

_ADVICE = "; allowCode in sluice.json allows it"

_FILES = re.compile(
    r"(models/model\.json|data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_\d+)"
    r"|data/sample_inputs/model\.pt|archive_format|archive_version|version|byteorder|\.data/[a-z_]+|extra/.*)$"
)
_LEGACY = re.compile(r"serialized_(exported_program\.json|state_dict\.(json|pt))$")

_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized|quantized_decomposed)\.(?!from_file\.)[A-Za-z_]\w*\.(?!__)\w+"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|associative_scan|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\._?sym_\w+"
    r"|math\.[a-z]\w*"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|inv|invert"
    r"|lshift|rshift|getitem|index|truth)"
)

# What the symbolic shapes of an export are made of.
_SYMBOLIC_CALLS = frozenset(
    "Symbol Integer Float Rational Add Mul Pow Mod Max Min Abs Identity Eq Ne Ge Gt Le Lt And Or Not floor ceiling sqrt "
    "FloorDiv CeilDiv CleanDiv IntTrueDiv FloatTrueDiv ModularIndexing PythonMod TruncToInt TruncToFloat ToFloat "
    "RoundToInt RoundDecimal CeilToInt FloorToInt PowByNatural FloatPow LShift RShift Where "
    "BitwiseFn_bitwise_and BitwiseFn_bitwise_or BitwiseFn_bitwise_xor "
    "IsNonOverlappingAndDenseIndicator".split()
)
_SYMBOLIC_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# Names of nodes and of weights become part of a generated function.
_NAME = re.compile(r"[\w.]*")
_NAMED_KEYS = frozenset(
    "name arg_name parameter_name buffer_name tensor_constant_name custom_obj_name class_fqn fqn user_input_name".split()
)
_TREE_KEYS = ("in_spec", "out_spec")


def check_archive(path: str) -> None:
    """Raises LoadFailure with the first thing that is more than weights and a graph of PyTorch's own operations."""
    if not zipfile.is_zipfile(path):
        raise LoadFailure("the .pt2 file is no archive of torch.export.save")
    with zipfile.ZipFile(path) as archive:
        files = {name.partition("/")[2]: name for name in archive.namelist()}
        if len(files) != len(archive.namelist()):
            raise LoadFailure("the .pt2 file holds a file twice")
        if any(_LEGACY.match(name) for name in archive.namelist()):
            raise LoadFailure("the .pt2 file has the form of PyTorch before 2.8: load and save it again with a newer one")
        for name in files:
            if not _FILES.match(name):
                raise LoadFailure(f"the .pt2 file holds {name[:200]}, which is neither weights nor graph{_ADVICE}")
        if "models/model.json" not in files:
            raise LoadFailure("the .pt2 file holds no exported program named model: write it with torch.export.save")
        for kind in ("weights", "constants"):
            config = files.get(f"data/{kind}/model_{kind}_config.json")
            if config is None:
                raise LoadFailure(f"the .pt2 file lacks the list of its {kind}")
            _check_payloads(_json_of(archive, config))
        _check_program(_json_of(archive, files["models/model.json"]))


def _json_of(archive: zipfile.ZipFile, name: str) -> Any:
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise LoadFailure(f"{name[:200]} in the .pt2 file is not JSON") from error


def _check_payloads(config: Any) -> None:
    entries = config.get("config") if isinstance(config, dict) else None
    for name, entry in (entries or {}).items():
        if not isinstance(entry, dict) or entry.get("use_pickle") is not False:
            raise LoadFailure(f"the .pt2 file keeps {name[:200]} as a pickle, and pickles are not read{_ADVICE}")


def _check_program(program: Any) -> None:
    waiting = [("", program)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            # A kept module's name is free text; the values below it are looked at like all others.
            waiting.extend(value.items())
            continue
        if isinstance(value, list):
            waiting.extend((key, entry) for entry in value)
            continue
        if isinstance(value, str):
            _check_text(key, value)


def _check_text(key: str, text: str) -> None:
    if key in ("target", "as_operator") and not _OPERATOR.fullmatch(text):
        raise LoadFailure(f"the exported program calls {text[:200]}, which is not one of PyTorch's own operations{_ADVICE}")
    if key in ("expr_str", "as_sym_expr") and not _is_symbolic(text):
        raise LoadFailure(f"a size in the exported program is no formula: {text[:200]}{_ADVICE}")
    if (key in _NAMED_KEYS or key == "forward_arg_names") and not _NAME.fullmatch(text):
        raise LoadFailure(f"the exported program has a name that is none: {text[:200]}{_ADVICE}")
    # The reader of trees imports what such an entry names.
    if key in _TREE_KEYS and "__enum__" in text:
        raise LoadFailure(f"the exported program takes or gives enumerations, which are not served{_ADVICE}")


def _is_symbolic(text: str) -> bool:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _SYMBOLIC_NODES):
            return False
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in _SYMBOLIC_CALLS:
                return False
        if isinstance(node, ast.Name) and "__" in node.id:
            return False
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if not _IDENTIFIER.fullmatch(node.value) or "__" in node.value:
                return False
    return True
