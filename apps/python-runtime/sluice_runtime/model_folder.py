"""The folder with `sluice.json` that this process serves."""

import hashlib
import json
import os
import posixpath
from dataclasses import dataclass, field
from typing import Any

from .datatypes import DATATYPES


class LoadFailure(Exception):
    """A model that cannot be served as it lies there. The message says why, in one sentence."""


@dataclass(frozen=True)
class TensorSpec:
    """What the manifest declares. -1 in `shape` stands for a size that a request chooses."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files have been compared with their hashes."""

    folder: str
    name: str
    version: str
    format: str
    files: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    allows_code: bool
    warmup: tuple[dict[str, Any], ...] = field(default=())

    def sole_file(self, is_main: "Any", what: str) -> str:
        """The one file that the format starts from. Raises LoadFailure when there is none, or more."""
        found = [path for path in self.files if is_main(path)]
        if len(found) != 1:
            raise LoadFailure(f"format {self.format} needs exactly one {what}, and sluice.json names {len(found)}")
        return os.path.join(self.folder, found[0])


def open_model_folder(folder: str) -> ModelFolder:
    """Reads the manifest and compares every file with its sha256. Raises LoadFailure."""
    manifest = _read_manifest(os.path.join(folder, "sluice.json"))
    for file in manifest["files"]:
        actual = _sha256_of(os.path.join(folder, file["path"]))
        if actual != file["sha256"]:
            raise LoadFailure(f"{file['path']} has sha256 {actual}, but sluice.json says {file['sha256']}")
    return ModelFolder(
        folder=folder,
        name=manifest["name"],
        version=manifest["version"],
        format=str(manifest.get("format")),
        files=tuple(file["path"] for file in manifest["files"]),
        inputs=_specs(manifest["inputs"]),
        outputs=_specs(manifest["outputs"]),
        allows_code=manifest.get("allowCode") is True,
        warmup=tuple(manifest.get("warmup") or ()),
    )


# The registry has held the manifest against its whole schema; what is read here again is what serving stands on.
def _read_manifest(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise LoadFailure(f"sluice.json cannot be read: {error}") from error
    is_complete = (
        isinstance(manifest, dict)
        and isinstance(manifest.get("name"), str)
        and isinstance(manifest.get("version"), str)
        and _are_files(manifest.get("files"))
        and _are_specs(manifest.get("inputs"))
        and _are_specs(manifest.get("outputs"))
    )
    if not is_complete:
        raise LoadFailure("sluice.json lacks a name, a version, files, inputs or outputs")
    return manifest


def _are_files(files: Any) -> bool:
    if not isinstance(files, list):
        return False
    for file in files:
        if not isinstance(file, dict) or not isinstance(file.get("sha256"), str):
            return False
        path = file.get("path")
        if not isinstance(path, str) or path.startswith(("/", "\\")) or "\\" in path:
            return False
        if ".." in path.split(posixpath.sep):
            return False
    return True


def _are_specs(specs: Any) -> bool:
    if not isinstance(specs, list) or not specs:
        return False
    for spec in specs:
        if not isinstance(spec, dict) or not isinstance(spec.get("name"), str) or spec.get("datatype") not in DATATYPES:
            return False
        shape = spec.get("shape")
        if not isinstance(shape, list) or not all(type(size) is int and size >= -1 for size in shape):
            return False
    return True


def _specs(specs: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(spec["name"], spec["datatype"], tuple(spec["shape"])) for spec in specs)


def _sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise LoadFailure(f"{os.path.basename(path)} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
