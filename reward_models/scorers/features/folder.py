"""The folder of a feature scorer: an ordinary sentence-transformers one, and beside it what is ours.

awpo_scorer.json: what it is, how it was trained, its calibration and its figures.
awpo_head.safetensors: the head, the order model, and the heads of the baselines. No pickles.
awpo_sources.txt: hashes of the sources of its training rows, so that nobody measures it on them by mistake.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.encoders.unit import NO_ENCODER
from reward_models.scorers.features.vector import FEATURES, FEATURES_VERSION
from reward_models.scorers.sources import file_hash

FORMAT = 1
FAMILY = "features"
METADATA, HEAD = "awpo_scorer.json", "awpo_head.safetensors"
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


def read_family(folder: Path) -> str:
    """The scorer's family; ValueError, with the fix, where the folder is no scorer's or of another format."""
    return str(_read_json(folder).get("family"))


def read_metadata(folder: Path) -> Metadata:
    """ValueError, with file and fix, where it is missing, broken, of another family, format or set of features."""
    data, path = _read_json(folder), folder / METADATA
    if data.get("family") != FAMILY:
        raise ValueError(f"{path}: family={data.get('family')!r} is not {FAMILY!r}")
    wanted = {"format", "family", *Metadata.__dataclass_fields__}
    if set(data) != wanted:
        off = ", ".join(repr(key) for key in sorted(set(data) ^ wanted))
        raise ValueError(f"{path}: missing or unknown: {off}; the keys are {', '.join(sorted(wanted))}")
    if data["features_version"] != FEATURES_VERSION or tuple(data["features"]) != FEATURES:
        raise ValueError(
            f"{path}: features_version={data['features_version']!r} is not {FEATURES_VERSION} with this release's "
            "features: train the scorer again (`awpo scorer train`), or install the release that wrote it"
        )
    for key in ("training", "metrics"):
        if not isinstance(data[key], dict):
            raise ValueError(f"{path}: {key}={data[key]!r} must be an object")
    return Metadata(**{key: data[key] for key in Metadata.__dataclass_fields__} | {"features": FEATURES})


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: is no scorer's folder, {METADATA} is missing; `awpo scorer train` makes such folders"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else data
        raise ValueError(
            f"{path}: format={found!r} is not {FORMAT}, the one this release reads: train the scorer again, or install "
            "the release that wrote it"
        )
    return data


def write_metadata(folder: Path, metadata: Metadata) -> None:
    """Whole or not at all."""
    values = {key: getattr(metadata, key) for key in Metadata.__dataclass_fields__}
    data = {"format": FORMAT, "family": FAMILY, **values, "features": list(metadata.features)}
    temporary = folder / f".{METADATA}.new"
    temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, folder / METADATA)


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
        raise ValueError(f"{path}: is cut short, or not the one that {METADATA} speaks of: copy the whole folder again")
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
        raise ValueError(f"{folder}: modules.json is missing, so it is no sentence-transformers folder: copy it whole")
    if not any(found.stat().st_size for name in _WEIGHTS for found in folder.rglob(name)):
        raise ValueError(f"{folder}: the encoder's weights ({_WEIGHTS[0]}) are missing or empty: copy the whole folder")
    return metadata
