"""
Builds the test models in PyTorch's formats, with a real PyTorch 2.

    python torch_models.py <folder> [torchscript | torch-export]

Writes <folder>/{torchscript,torch-export}/<model>. Nothing is trained: the weights are seeded.
"""

import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from manifest import IDENTITY, X, Y, identity_specs, spec, write_manifest
from torch import Tensor, nn

warnings.filterwarnings("ignore", category=FutureWarning)

# About 100 ms on a two-core server. The matrices are too small to be worth a second thread.
SLOW_TURNS = 40_000
SLOW_WIDTH = 40


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 64)
        self.second = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.second(torch.relu(self.first(x))), 1)


class Identity(nn.Module):
    def forward(self, f32: Tensor, i64: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return f32.clone(), i64.clone(), b.clone()


class Slow(nn.Module):
    """In a loop that neither script nor export unrolls, whose outcome is multiplied by zero."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mixing", torch.rand(SLOW_WIDTH, SLOW_WIDTH).softmax(0))

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.mixing
        for _ in range(40_000):
            matrix = matrix @ self.mixing
        return x[:, :3] + matrix.mean() * 0


class SlowExport(nn.Module):
    """One product that takes the time: an export would unroll a loop."""

    def forward(self, x: Tensor) -> Tensor:
        big = torch.ones(1600, 1600) * x[0, 0]
        return x[:, :3] + (big @ big @ big).mean() * 0


class Broken(nn.Module):
    """Fails when the first value of a row is 5 or more: that row of the table does not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.ones(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.index_select(self.table, 0, x[:, 0].to(torch.int64)) * x[:, :3]


class Typed(nn.Module):
    """Every numeric datatype of the protocol, with an answer that shows that it was read as what it is."""

    def forward(self, f16: Tensor, bf16: Tensor, f64: Tensor, u8: Tensor, i8: Tensor, i16: Tensor, i32: Tensor):
        return f16 * 2, bf16 * 2, f64 * 2, u8 + 1, i8 - 1, i16 - 1, i32 - 1


class Named(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"difference": left - right, "sum": left + right}


class Swapped(nn.Module):
    def forward(self, right: Tensor, left: Tensor) -> Tensor:
        return left - right


class Reader(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_file("/etc/hostname", False, 1, dtype=torch.uint8).sum()


TYPED = {"f16": "FP16", "bf16": "BF16", "f64": "FP64", "u8": "UINT8", "i8": "INT8", "i16": "INT16", "i32": "INT32"}
WARM = [{"x": [[1.0] * 16]}]
COLUMNS = torch.export.Dim("columns", min=1)
ROWS = torch.export.Dim("rows", min=1)


def script(root: Path, name: str, module: nn.Module, inputs: list[Any], outputs: list[Any], **more: Any) -> None:
    folder = root / "torchscript" / name
    folder.mkdir(parents=True)
    torch.jit.script(module.eval()).save(str(folder / "model.pt"))
    write_manifest(folder, name, "torchscript", inputs, outputs, **more)


def export(
    root: Path, name: str, module: nn.Module, args: tuple[Any, ...], dynamic: Any, inputs: Any, outputs: Any, **more: Any
) -> None:
    folder = root / "torch-export" / name
    folder.mkdir(parents=True)
    program = torch.export.export(module.eval(), args, dynamic_shapes=dynamic)
    torch.export.save(program, str(folder / "model.pt2"))
    write_manifest(folder, name, "torch-export", inputs, outputs, **more)


def refused(root: Path) -> None:
    """Files that carry more than weights and a graph."""
    for name, content in (("pickle", Dense()), ("state-dict", Dense().state_dict())):
        folder = root / "torchscript" / name
        folder.mkdir()
        torch.save(content, folder / "model.pt")
        write_manifest(folder, name, "torchscript", [X], [Y])
    legacy = root / "torchscript" / "old-pickle"
    legacy.mkdir()
    torch.save(Dense().state_dict(), legacy / "model.pt", _use_new_zipfile_serialization=False)
    write_manifest(legacy, "old-pickle", "torchscript", [X], [Y])
    script(root, "reader", Reader(), [X], [spec("y", "FP32", -1, 16)])
    swapped = [spec("left", "FP32", -1, 2), spec("more", "FP32", -1, 2)]
    script(root, "swapped", Swapped(), swapped, [spec("y", "FP32", -1, 2)])
    script(root, "wrong-output", Dense(), [X], [spec("y", "INT64", -1, 3)])
    script(root, "too-many", Dense(), [X, spec("z", "FP32", -1, 16)], [Y])
    original = root / "torch-export" / "dense" / "model.pt2"
    changes = {
        "calls-system": ("models/model.json", b"torch.ops.aten.relu.default", b"torch.os.system"),
        "eval-size": ("models/model.json", b"Symbol('s", b"__import__('os').system('s"),
        "pickled-weight": ("data/weights/model_weights_config.json", b'"use_pickle": false', b'"use_pickle": true'),
        "named-code": ("models/model.json", b'"name": "relu"', b'"name": "relu=print(1)"'),
    }
    for name, (part, old, new) in changes.items():
        folder = root / "torch-export" / name
        folder.mkdir()
        with zipfile.ZipFile(original) as source, zipfile.ZipFile(folder / "model.pt2", "w") as target:
            for entry in source.infolist():
                content = source.read(entry)
                if entry.filename.endswith(part):
                    assert old in content, name
                    content = content.replace(old, new)
                target.writestr(entry.filename, content)
        write_manifest(folder, name, "torch-export", [X], [Y])
    folder = root / "torch-export" / "native-code"
    folder.mkdir()
    (folder / "model.pt2").write_bytes(original.read_bytes())
    with zipfile.ZipFile(folder / "model.pt2", "a") as target:
        target.writestr("model/data/aotinductor/model/code.so", b"\x7fELF")
    write_manifest(folder, "native-code", "torch-export", [X], [Y])


def main() -> None:
    root = Path(sys.argv[1])
    torch.manual_seed(7)
    dense = Dense()
    names = [name for name in IDENTITY if name != "s"]
    typed = [[spec(name + suffix, kind, -1, 2) for name, kind in TYPED.items()] for suffix in ("", "_out")]
    pair = [spec("left", "FP32", -1, 2), spec("right", "FP32", -1, 2)]
    named = [spec("sum", "FP32", -1, 2), spec("difference", "FP32", -1, 2)]

    only = sys.argv[2] if len(sys.argv) > 2 else None
    if only != "torch-export":
        scripts(root, dense, names, typed, pair, named)
    if only != "torchscript":
        exports(root, dense, names, typed, pair, named)
    if only is None:
        refused(root)


def scripts(root: Path, dense: nn.Module, names: list[str], typed: Any, pair: Any, named: Any) -> None:
    script(root, "dense", dense, [X], [Y])
    script(root, "identity", Identity(), identity_specs(names), identity_specs(names, "_out"))
    script(root, "slow", Slow(), [X], [Y], warmup=WARM)
    script(root, "broken", Broken(), [X], [Y], warmup=WARM)
    script(root, "typed", Typed(), *typed)
    script(root, "named", Named(), pair[::-1], named)


def exports(root: Path, dense: nn.Module, names: list[str], typed: Any, pair: Any, named: Any) -> None:
    types = (torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.int8, torch.int16, torch.int32)
    rows = ({0: ROWS},)
    export(root, "dense", dense, (torch.zeros(3, 16),), rows, [X], [Y])
    export(
        root, "identity", Identity(),
        (torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3, 2, dtype=torch.bool)),
        ({0: ROWS, 1: COLUMNS},) * 3, identity_specs(names), identity_specs(names, "_out"),
    )  # fmt: skip
    export(root, "slow", SlowExport(), (torch.zeros(3, 16),), rows, [X], [Y], warmup=WARM)
    export(root, "broken", Broken(), (torch.ones(3, 16),), rows, [X], [Y], warmup=WARM)
    export(root, "typed", Typed(), tuple(torch.ones(3, 2, dtype=kind) for kind in types), ({0: ROWS},) * 7, *typed)
    few = torch.export.Dim("few", min=1, max=8)
    export(root, "named", Named(), (torch.zeros(3, 2), torch.zeros(3, 2)), ({0: few},) * 2, pair[::-1], named)
    export(root, "fixed", dense, (torch.zeros(3, 16),), None, [X], [Y])


if __name__ == "__main__":
    main()
