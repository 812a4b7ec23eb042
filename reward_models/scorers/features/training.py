"""Train a feature scorer on labelled rollouts, and save it as a folder."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from scipy.special import expit

from reward_models.encoders.unit import Encoder, NoEncoder, encoder_name, load_encoder
from reward_models.labelled import LabelledRollout, read_labelled
from reward_models.options import Options, Range, Text
from reward_models.scorers.features.folder import (
    Metadata,
    check_folder,
    read_metadata,
    write_arrays,
    write_metadata,
)
from reward_models.scorers.features.head import Head, HeadConfig, Rows, train_head
from reward_models.scorers.features.measure import even_odds, summary
from reward_models.scorers.features.model import Scorer, load
from reward_models.scorers.features.order import OrderModel
from reward_models.scorers.features.trace import Trace, read_trace
from reward_models.scorers.features.vector import BASELINES, FEATURES_VERSION, columns_of, thought_lengths
from reward_models.scorers.sources import file_hash, refuse_trained_on, write_sources

_OWNER = "scorer training"
_FOLDS = 5
_CHUNK = 256
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainConfig(Options, owner=_OWNER):
    """How a scorer is trained. ValueError names key, value and what is allowed.

    encoder: as `load_encoder` takes it. device: as torch names it. threads: of torch on the CPU.
    val_fraction: share of the sources for early stopping and calibration. head: see `HeadConfig`.
    """

    encoder: Annotated[str, Text("a folder or a Hugging Face id")]
    device: str = "cpu"
    threads: Annotated[int, Range(1, 256)] = 1
    val_fraction: Annotated[float, Range(0.05, 0.5)] = 0.2
    head: HeadConfig = field(default_factory=HeadConfig)


def train_scorer(
    config: TrainConfig, data: Sequence[Path], out: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Train on the labelled rollouts of `data`, save to `out`, return the figures on the validation sources.

    Features are kept in `<out>.features` while it trains, by the hash of data and encoder: started again after a stop,
    it goes on from there. Same data, config and versions give the same scorer. progress: progress(what, done, of).
    ValueError, before anything is loaded, where the data cannot teach a scorer or `out` already exists.
    """
    if out.exists():
        raise ValueError(f"{out}: already exists: choose another folder, or remove it")
    rows, traces, blank = read_training_rows(data)
    held = _validation_sources({row.source for row in rows}, config)
    in_val = np.array([row.source in held for row in rows])
    import torch

    torch.set_num_threads(config.threads)
    encoder = load_encoder(config.encoder, config.device)
    order, features = _features(rows, traces, in_val, encoder, data, config, out, progress)
    train, val = (_head_rows(rows, features, mask) for mask in (~in_val, in_val))
    steps = config.head.epochs * config.head.members

    def report(member: int, epoch: int, loss: float) -> None:
        if progress is not None:
            progress("training the head", member * config.head.epochs + epoch + 1, steps)

    head = train_head(train, val, config.head, report)
    baselines = _baselines(traces, in_val, train, val, config.head)
    if progress is not None:
        progress("training the head", steps, steps)
    scorer = Scorer(encoder, order, head, None, baselines)
    logits = head.logits(features[in_val])
    held_rows = [row for row, kept in zip(rows, in_val, strict=True) if kept]
    calibration = _fit_calibration(logits, held_rows)
    metrics = summary(held_rows, calibration.apply(logits), expit(logits))
    training: dict[str, Any] = {
        "data_sha256": [file_hash(path) for path in data],
        "rows": len(rows),
        "rows_without_thought": blank,
        "sources": len({row.source for row in rows}),
        "validation_sources": len(held),
        "kinds": dict(sorted(Counter(row.kind for row in rows).items())),
        "options": asdict(config),
        "versions": {name: version(name) for name in ("torch", "sentence-transformers", "numpy")},
    }
    training["options"]["encoder"] = encoder_name(config.encoder)
    save(scorer, out, training, {"validation": metrics}, calibration.to_json(), [row.source for row in rows])
    shutil.rmtree(_feature_folder(out), ignore_errors=True)
    return metrics


def save(
    scorer: Scorer,
    out: Path,
    training: dict[str, Any],
    metrics: dict[str, Any],
    calibration: dict[str, Any] | None,
    sources: Sequence[str],
) -> None:
    """Write a scorer's folder; it gets its name when it is whole."""
    unfinished = out.with_name(out.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    if scorer.encoder.model is None:
        unfinished.mkdir(parents=True)
    else:
        scorer.encoder.model.save(str(unfinished))
    arrays = {f"head/{name}": array for name, array in scorer.head.to_arrays().items()}
    arrays["order/weights"] = scorer.order.weights
    for baseline, head in scorer.baselines.items():
        arrays.update({f"{baseline}/{name}": array for name, array in head.to_arrays().items()})
    digest = write_arrays(unfinished, arrays)
    write_sources(unfinished, sources)
    encoder = training["options"]["encoder"]
    write_metadata(unfinished, Metadata(encoder, digest, calibration=calibration, training=training, metrics=metrics))
    check_folder(unfinished)
    unfinished.rename(out)


def calibrate(folder: Path, data: Path, device: str = "cpu", *, even: bool = True) -> dict[str, Any]:
    """Fit the calibration again on rows that were not trained on, keep it in the folder, return the figures.

    even: as if good and bad rows were equally many; otherwise at the odds of `data`. ValueError where rows were trained
    on, or there is only one kind of label.
    """
    metadata = read_metadata(folder)
    rows = read_labelled(data)
    refuse_trained_on(folder, (row.source for row in rows), data)
    logits = load(folder, device).logits([row.rollout for row in rows])
    read = np.isfinite(logits)
    rows = [row for row, kept in zip(rows, read, strict=True) if kept]
    calibration = _fit_calibration(logits[read], rows, even=even)
    found = summary(rows, calibration.apply(logits[read]), expit(logits[read]), even=even)
    values = {key: getattr(metadata, key) for key in Metadata.__dataclass_fields__}
    values |= {"calibration": calibration.to_json(), "metrics": {**metadata.metrics, "calibration": found}}
    write_metadata(folder, Metadata(**values))
    return found


def read_training_rows(data: Sequence[Path]) -> tuple[list[LabelledRollout], list[Trace], int]:
    """The rows that can teach, their traces, and how many were left out since they hold no thought, or no evidence.

    ValueError where too few sources, or only good or only bad rows are left, or an id is in two files.
    """
    rows, traces, blank, ids = [], [], 0, set()
    for path in data:
        for row in read_labelled(path):
            if row.id in ids:
                raise ValueError(f"{path}: id {row.id!r} is in an earlier file too")
            ids.add(row.id)
            trace = read_trace(row.rollout)
            if trace.thought.strip() and trace.has_evidence:
                rows.append(row)
                traces.append(trace)
            else:
                blank += 1
    sources = {row.source for row in rows}
    good = sum(row.label > 0.5 for row in rows)
    if len(sources) < 2 * _FOLDS:
        raise ValueError(f"{len(sources)} sources are too few to train a scorer on: give at least {2 * _FOLDS}")
    if not good or good == len(rows):
        raise ValueError(
            f"{good} of {len(rows)} rows are good (label above 0.5): a scorer needs good and bad ones; "
            "`awpo scorer data` makes bad ones out of good ones"
        )
    return rows, traces, blank


def _validation_sources(sources: set[str], config: TrainConfig) -> set[str]:
    names = sorted(sources)
    count = max(1, round(config.val_fraction * len(names)))
    chosen = np.random.default_rng(config.head.seed).permutation(len(names))[:count]
    return {names[number] for number in chosen}


def _features(
    rows, traces, in_val, encoder: Encoder | NoEncoder, data, config, out, progress
) -> tuple[OrderModel, np.ndarray]:
    """The order model, and all features. A training row's order features come from a model that has not read its source."""
    good = [(row.source, trace.thought) for row, trace in zip(rows, traces, strict=True) if row.label > 0.5]
    held = {row.source for row, kept in zip(rows, in_val, strict=True) if kept}
    names = sorted({row.source for row in rows} - held)
    fold = {name: number % _FOLDS for number, name in enumerate(names)}
    learnt = [(source, thought) for source, thought in good if source not in held]
    order = OrderModel.fit([thought for _, thought in learnt])
    partial = [
        OrderModel.fit([thought for source, thought in learnt if fold[source] != number]) for number in range(_FOLDS)
    ]
    scorer = Scorer(encoder, order, None, None, {})  # type: ignore[arg-type]  # its features alone are asked for
    features = _cached_features(traces, scorer, data, config, out, progress)
    places = columns_of("order")
    for number, (row, trace) in enumerate(zip(rows, traces, strict=True)):
        if row.source in fold:
            features[number, places] = partial[fold[row.source]].features(trace.thought)
    return order, features


def _cached_features(traces, scorer: Scorer, data, config: TrainConfig, out: Path, progress) -> np.ndarray:
    stamp = "\x1f".join(
        [*(file_hash(path) for path in data), config.encoder, str(FEATURES_VERSION), str(config.head.seed)]
    )
    folder = _feature_folder(out) / hashlib.sha256(f"{stamp}\x1f{config.val_fraction}".encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    chunks = []
    for start in range(0, len(traces), _CHUNK):
        path = folder / f"{start}.npy"
        if path.is_file():
            chunks.append(np.load(path, allow_pickle=False))
        else:
            chunks.append(scorer.features(traces[start : start + _CHUNK]))
            partial = path.with_suffix(".part")
            with open(partial, "wb") as file:
                np.save(file, chunks[-1])
            partial.rename(path)
        if progress is not None:
            progress("reading the rollouts", min(start + _CHUNK, len(traces)), len(traces))
    return np.concatenate(chunks)


def _feature_folder(out: Path) -> Path:
    return out.with_name(out.name + ".features")


def _head_rows(rows: Sequence[LabelledRollout], features: np.ndarray, mask: np.ndarray) -> Rows:
    """The rows of `mask`; good and bad ones weigh the same in all, and so do the kinds among each."""
    chosen = [row for row, kept in zip(rows, mask, strict=True) if kept]
    good = np.array([row.label > 0.5 for row in chosen])
    counts = Counter((row.kind, row.label > 0.5) for row in chosen)
    kinds = Counter(is_good for _, is_good in counts)
    weights = [1 / (counts[row.kind, row.label > 0.5] * kinds[row.label > 0.5]) for row in chosen]
    number_of = {row.id: number for number, row in enumerate(chosen)}
    better = [number_of.get(row.pair, -1) if row.pair else -1 for row in chosen]
    if good.all() or not good.any():
        raise ValueError("one side of the split holds only good or only bad rows: give more sources")
    labels = np.array([row.label for row in chosen], dtype=float)
    return Rows(features[mask], labels, np.array(weights), np.array(better))


def _baselines(traces, in_val, train: Rows, val: Rows, config: HeadConfig) -> dict[str, Head]:
    """Heads of one member that see one group of features only, and one that sees nothing but the thought's length."""
    one = HeadConfig(**{**asdict(config), "members": 1})

    def only(rows: Rows, features: np.ndarray) -> Rows:
        return Rows(features, rows.labels, rows.weights, rows.better)

    heads = {}
    for name, groups in BASELINES.items():
        places = columns_of(*groups)
        heads[name] = train_head(only(train, train.features[:, places]), only(val, val.features[:, places]), one)
    lengths = thought_lengths(traces)
    heads["length"] = train_head(only(train, lengths[~in_val]), only(val, lengths[in_val]), one)
    return heads


def _fit_calibration(logits: np.ndarray, rows: Sequence[LabelledRollout], *, even: bool = True):
    """Platt's curve, not isotonic steps: those are flat in places, and rewards that tie teach a policy nothing."""
    from reward_models.scorers.calibration import fit_platt

    labels = np.array([row.label for row in rows])
    chosen = even_odds(labels) if even else np.arange(len(labels))
    return fit_platt(logits[chosen], labels[chosen])
