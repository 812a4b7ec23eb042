"""Where a scorer's honest rows come from, and the files that are made of them: train, eval and a manifest."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row, load_rows
from awpo_ext.data.sources.bfcl import BfclOptions, convert_bfcl
from awpo_ext.data.sources.bfcl_source import find_source
from awpo_ext.data.sources.toolrl import ToolrlOptions, convert_toolrl
from awpo_ext.data.sources.toolrl_source import read_source
from awpo_ext.data.split import split_rows
from awpo_ext.data.tagged import parse_tagged, render_answer
from awpo_ext.data.thoughts import write_thought
from awpo_ext.data.tools import Tool
from awpo_ext.data.wordings import ENGLISH, other_wordings, write_in
from reward_models.encoders.unit import NO_ENCODER, load_encoder
from reward_models.labelled import HONEST, read_labelled, write_labelled
from reward_models.scorers.data.corruptions import CORRUPTIONS
from reward_models.scorers.data.dataset import HonestRow, build
from reward_models.scorers.data.original import Original, Writer
from reward_models.types import Rollout

_BFCL_THOUGHTS = "thought written by program"


@dataclass(frozen=True)
class Split:
    """Honest rows, apart by source, and what the manifest says of them; `write`: who writes thoughts, by half."""

    train: list[HonestRow]
    eval: list[HonestRow]
    about: dict[str, Any]
    write: Mapping[str, Writer] = field(default_factory=dict)


def from_toolrl(source: str, eval_rows: int, seed: int) -> Split:
    """Rows of ToolRL's form with recorded thoughts, split so that no question is on both sides."""
    found = read_source(source)
    dataset = convert_toolrl(found, ToolrlOptions(val_rows=eval_rows, drop_invalid=True, seed=seed))
    provenance = {"from": "toolrl", "file": found.name, "thought": "recorded"}
    train, val = ([_recorded(row, provenance) for row in rows] for rows in (dataset.train, dataset.val))
    return Split(train, val, {"from": "toolrl", "file": found.name, "licence": dataset.about["licence"]})


def from_bfcl(rows: Path | None, categories: Sequence[str], eval_rows: int, seed: int) -> Split:
    """BFCL rows with thoughts written by program: of a parquet file of `awpo data bfcl`, else of the installed package."""
    if rows is None:
        dataset: Dataset = convert_bfcl(
            find_source(), BfclOptions(categories=tuple(categories), val_rows=eval_rows, sft_rows=0, seed=seed)
        )
        train, val, name = dataset.train, dataset.val, "bfcl-eval"
    else:
        train, val = split_rows(load_rows(rows), eval_rows, seed)
        name = rows.name
    provenance = {"from": "bfcl", "file": name, "thought": _BFCL_THOUGHTS}
    sides = {"train": train, "eval": val}
    tools = {row["extra_info"]["id"]: json.loads(row["extra_info"]["tools"]) for row in [*train, *val]}
    honest = {
        half: [item for row in side for item in _written(row, provenance, half, seed)] for half, side in sides.items()
    }
    write = {half: _writer(tools, half, seed) for half in sides}
    return Split(honest["train"], honest["eval"], {"from": "bfcl", "file": name}, write)


def from_labelled(path: Path, eval_rows: int, seed: int) -> Split:
    """The honest rows of a labelled file, split by source; other kinds in it are left out."""
    try:
        found = [row for row in read_labelled(path) if row.kind == HONEST]
    except (OSError, ValueError) as error:
        raise DataError(str(error)) from error
    rows = [{"extra_info": {"id": row.id, "question": row.rollout.question}, "row": row} for row in found]
    if not rows:
        raise DataError(f"{path}: has no row of the kind {HONEST!r} to spoil")
    train, val = (
        [HonestRow(row["row"].source, row["row"].rollout, {**row["row"].provenance, "from": path.name}) for row in side]
        for side in split_rows(rows, eval_rows, seed, lambda row: [row["extra_info"]["question"], row["row"].source])
    )
    return Split(train, val, {"from": "labelled", "file": path.name})


def first_sources(rows: Sequence[HonestRow], count: int | None) -> list[HonestRow]:
    """The rows of the first `count` sources; None: all."""
    kept = set(list(dict.fromkeys(row.source for row in rows))[:count])
    return [row for row in rows if row.source in kept]


def _recorded(row: Row, provenance: dict[str, Any]) -> HonestRow:
    return _honest(row, row["reward_model"]["ground_truth"], provenance)


def _written(row: Row, provenance: dict[str, Any], half: str, seed: int) -> list[HonestRow]:
    """The row with the cold start's thought, and with the same in other words."""
    info = row["extra_info"]
    tools = json.loads(info["tools"])
    calls = list(parse_tagged(row["reward_model"]["ground_truth"]).calls)
    thoughts = [
        write_thought(info["id"], info["question"], calls, tools, seed),
        *other_wordings(info["id"], info["question"], calls, tools, half, seed),
    ]
    return [_honest(row, render_answer(thought, calls), provenance) for thought in thoughts]


def _writer(tools: Mapping[str, list[Tool]], half: str, seed: int) -> Writer:
    """As the honest rows of a half are written: every second one as the cold start's, the others in English wordings."""

    def write(row: Original, rng: random.Random) -> str | None:
        calls, own = list(row.calls), tools[row.source]
        known = {tool["name"]: set(tool["parameters"]["properties"]) for tool in own}
        if not all(set(call.arguments) <= known.get(call.name, set()) for call in calls):
            return None
        if rng.random() < 0.5:
            return write_thought(row.source, row.question, calls, own, seed + rng.randrange(100))
        return write_in(rng.choice(ENGLISH[half]), row.question, calls, own, rng)

    return write


def _honest(row: Row, response: str, provenance: dict[str, Any]) -> HonestRow:
    info = row["extra_info"]
    truth = row["reward_model"]["ground_truth"]
    rollout = Rollout(info["question"], info["tools"], response, truth, row["data_source"], {"id": info["id"]})
    return HonestRow(info["id"], rollout, provenance)


def write_scorer_data(
    out: Path, split: Split, held_out: Sequence[str], seed: int, suffix: str = ".jsonl", encoder: str = NO_ENCODER
) -> dict[str, Any]:
    """Write train and eval files and manifest.json into `out`; returns the manifest.

    Train has every kind but `held_out`, eval all of them; sources, questions and phrases of one are not in the other.
    encoder: a sentence-transformers folder by which the nearest row is found; NO_ENCODER: by shared words.
    """
    unknown = [kind for kind in held_out if kind not in CORRUPTIONS]
    if unknown:
        raise DataError(f"--hold-out: {unknown[0]!r} is not a kind; the kinds are {', '.join(CORRUPTIONS)}")
    if len(held_out) >= len(CORRUPTIONS):
        raise DataError("--hold-out: all kinds are held out, nothing is left to train on")
    kinds = {"train": [kind for kind in CORRUPTIONS if kind not in held_out], "eval": list(CORRUPTIONS)}
    sides = {"train": split.train, "eval": split.eval}
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for half, honest in sides.items():
        vectors = None if encoder == NO_ENCODER else _embedded([row.rollout.question for row in honest], encoder)
        try:
            rows = list(build(honest, kinds[half], half, seed, vectors, split.write.get(half)))
        except ValueError as error:
            raise DataError(f"the {half} side: {error}; choose another --eval-rows") from error
        path = out / f"{half}{suffix}"
        write_labelled(path, rows)
        files[path.name] = {
            "rows": len(rows),
            "sources": len({row.source for row in rows}),
            "kinds": dict(Counter(row.kind for row in rows)),
            "sha256": sha256(path.read_bytes()).hexdigest(),
        }
    manifest = {"format": 1, **split.about, "seed": seed, "held_out_kinds": list(held_out), "files": files}
    manifest["nearest"] = "by shared words" if encoder == NO_ENCODER else f"by {Path(encoder).name}"
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def _embedded(texts: list[str], encoder: str) -> np.ndarray:
    vectors = load_encoder(encoder).embed([text[:1000] for text in texts])
    return np.array([vectors[text[:1000]] for text in texts])
