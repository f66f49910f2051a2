"""Writes the folder of a test model: its files and the sluice.json that lists them."""

import hashlib
import json
from pathlib import Path
from typing import Any


def spec(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def write_manifest(
    folder: Path, name: str, model_format: str, inputs: list[Any], outputs: list[Any], **more: Any
) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "sluice.json"]
    manifest = {
        "schemaVersion": 1,
        "name": name,
        "version": "1",
        "format": model_format,
        "files": [
            {"path": path.relative_to(folder).as_posix(), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in files
        ],
        "inputs": inputs,
        "outputs": outputs,
        **more,
    }
    (folder / "sluice.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


X = spec("x", "FP32", -1, 16)
Y = spec("y", "FP32", -1, 3)
IDENTITY = {"f32": "FP32", "i64": "INT64", "b": "BOOL", "s": "BYTES"}


def identity_specs(names: list[str], suffix: str = "") -> list[Any]:
    return [spec(name + suffix, IDENTITY[name], -1, -1) for name in names]
