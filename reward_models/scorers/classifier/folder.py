"""The folder of a classifier: an ordinary Hugging Face one, and beside it what is ours.

awpo_scorer.json: what the model is, how it was trained, its calibration and its figures.
awpo_template.txt: the text that it was trained to read.
awpo_sources.txt: hashes of the sources of its training rows, so that nobody measures it on them by mistake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from reward_models.options import OneOf, Options, Range
from reward_models.scorers.calibration import Calibration
from reward_models.scorers.classifier.text import MAX_TOKENS, MIN_TOKENS, read_template, template_hash
from reward_models.scorers.metadata import METADATA, read_values, write_values

FAMILY = "classifier"
OBJECTIVES = ("pairs", "scores", "labels")
PROBLEM_TYPE = "regression"  # transformers' name for one output without an activation
TEMPLATE_COPY = "awpo_template.txt"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class ClassifierMetadata(Options, owner=METADATA):
    """What `awpo_scorer.json` says of a classifier.

    base_model: the folder or hub id that the training began with.
    objective: one of OBJECTIVES.
    max_tokens: the longest input, special tokens included.
    template: hash of `awpo_template.txt`, see `template_hash`.
    calibration: from the model's logit to [0, 1]; None: the logistic function.
    training: data file's SHA-256, rows, seed, steps, versions.
    metrics: by name of the data they were measured on, `validation` (at the end of training) or `calibration`.
    """

    base_model: str
    objective: Annotated[str, OneOf(OBJECTIVES)]
    max_tokens: Annotated[int, Range(MIN_TOKENS, MAX_TOKENS)]
    template: str
    calibration: Calibration | None = None
    training: Annotated[Mapping[str, Any], "an object"] = field(default_factory=dict)
    metrics: Annotated[Mapping[str, Any], "an object"] = field(default_factory=dict)

    def with_calibration(self, calibration: Calibration, metrics: Mapping[str, Any]) -> ClassifierMetadata:
        return replace(self, calibration=calibration, metrics={**self.metrics, "calibration": dict(metrics)})


def read_metadata(folder: Path) -> ClassifierMetadata:
    """ValueError, with the file and the fix, where it is missing, broken, of another family or another format."""
    values = read_values(folder, FAMILY, ClassifierMetadata.__dataclass_fields__)
    try:
        if values["calibration"] is not None:
            values["calibration"] = Calibration.from_json(values["calibration"])
        return ClassifierMetadata(**values)
    except ValueError as error:
        raise ValueError(f"{folder / METADATA}: {error}") from None


def write_metadata(folder: Path, metadata: ClassifierMetadata) -> None:
    """Whole or not at all."""
    calibration = metadata.calibration.to_json() if metadata.calibration else None
    write_values(folder, FAMILY, {**vars(metadata), "calibration": calibration})


def check_folder(folder: Path) -> tuple[ClassifierMetadata, str]:
    """The metadata and the template; ValueError where a file is missing or does not belong to the others. Loads nothing."""
    metadata = read_metadata(folder)
    template = read_template(folder / TEMPLATE_COPY)
    if template_hash(template) != metadata.template:
        raise ValueError(
            f"{folder / TEMPLATE_COPY}: its hash {template_hash(template)} is not {metadata.template}, the one that the "
            "model was trained with: put the file back as it was"
        )
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: {name} is missing: copy the whole folder, or train the scorer again")
    if _problem_type(folder / "config.json") != PROBLEM_TYPE:
        raise ValueError(
            f"{folder / 'config.json'}: problem_type is not {PROBLEM_TYPE!r}, by which servers know to return the output as "
            "it is: train the scorer again"
        )
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise ValueError(f"{folder}: no weights ({_WEIGHTS[0]}): copy the whole folder, or train the scorer again")
    return metadata, template


def _problem_type(config: Path) -> Any:
    try:
        return json.loads(config.read_text(encoding="utf-8")).get("problem_type")
    except (OSError, ValueError, RecursionError, AttributeError) as error:
        raise ValueError(f"{config}: cannot be read as a model's configuration: {error}") from None
