"""The folder of a feature scorer: an ordinary sentence-transformers one, and beside it what is ours.

awpo_scorer.json: what it is, how it was trained, its calibration and its figures.
awpo_head.safetensors: the head, the order model, and the heads of the baselines. No pickles.
awpo_sources.txt: hashes of the sources of its training rows, so that nobody measures it on them by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.encoders.unit import NO_ENCODER
from reward_models.scorers.features.vector import FEATURES, FEATURES_VERSION
from reward_models.scorers.metadata import METADATA, read_values, write_values
from reward_models.scorers.sources import file_hash

FAMILY = "features"
HEAD = "awpo_head.safetensors"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Metadata:
    """What `awpo_scorer.json` says of a feature scorer.

    encoder: the folder or hub id that the encoder came from, or NO_ENCODER. features: their names, in order.
    head_sha256: of the head's file. calibration: JSON of a `Calibration` of the head's logit, or None for the logistic
    function. training: data hash, kinds, options, versions. metrics: on the validation sources.
    """

    encoder: str
    head_sha256: str
    features_version: int = FEATURES_VERSION
    features: tuple[str, ...] = FEATURES
    calibration: Mapping[str, Any] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


def read_metadata(folder: Path) -> Metadata:
    """ValueError, with file and fix, where it is missing, broken, of another family, format or set of features."""
    path, values = folder / METADATA, read_values(folder, FAMILY, Metadata.__dataclass_fields__)
    if values["features_version"] != FEATURES_VERSION or tuple(values["features"]) != FEATURES:
        raise ValueError(
            f"{path}: features_version={values['features_version']!r} is not {FEATURES_VERSION} with this release's "
            "features: train the scorer again (`awpo scorer train`), or install the release that wrote it"
        )
    for key in ("training", "metrics"):
        if not isinstance(values[key], dict):
            raise ValueError(f"{path}: {key}={values[key]!r} must be an object")
    return Metadata(**values | {"features": FEATURES})


def write_metadata(folder: Path, metadata: Metadata) -> None:
    """Whole or not at all."""
    write_values(folder, FAMILY, {**vars(metadata), "features": list(metadata.features)})


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write the head's file; returns its SHA-256."""
    from safetensors.numpy import save_file

    save_file({name: np.asarray(array, dtype=np.float64, order="C") for name, array in arrays.items()}, folder / HEAD)
    return file_hash(folder / HEAD)


def read_arrays(folder: Path, sha256_wanted: str) -> dict[str, np.ndarray]:
    """The head's arrays; ValueError, with the fix, where the file is missing, cut short or another one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / HEAD
    if not path.is_file():
        raise ValueError(f"{path} is missing: copy the whole folder, or train the scorer again")
    if file_hash(path) != sha256_wanted:
        raise ValueError(f"{path}: is cut short, or not the one that {METADATA} names: copy the whole folder again")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}): copy the whole folder again") from None


def check_folder(folder: Path) -> Metadata:
    """The metadata; ValueError where a file is missing or does not belong to the others. Loads no encoder."""
    metadata = read_metadata(folder)
    read_arrays(folder, metadata.head_sha256)
    if metadata.encoder == NO_ENCODER:
        return metadata
    if not (folder / "modules.json").is_file():
        raise ValueError(
            f"{folder}: modules.json is missing, so it is not a sentence-transformers folder: copy all of it"
        )
    if not any(found.stat().st_size for name in _WEIGHTS for found in folder.rglob(name)):
        raise ValueError(f"{folder}: the encoder's weights ({_WEIGHTS[0]}) are missing or empty: copy the whole folder")
    return metadata
