"""Metrics files of verl's file logger, as short as can be."""

import json


def metrics(step, gate):
    judge = {"awpo/leverage/mean": gate / 2, "awpo/leverage/equal": gate, "awpo/reliability": gate}
    judge |= {"awpo/reliability/low": gate - 0.1, "awpo/reliability/high": gate + 0.1}
    outcome = {"awpo/outcome/mean": float(step), "awpo/gate/mean": gate, "awpo/clip_radius": 0.2 - gate / 10}
    return json.dumps({"step": step, "data": outcome | judge})


def validation(step, value):
    return json.dumps({"step": step, "data": {"val-core/bfcl/simple_python/reward/mean@1": value}})


def metrics_files(folder):
    """A run that was killed as it wrote step 3, and its resumption from step 1."""
    first, resumed = folder / "metrics-1.jsonl", folder / "metrics-2.jsonl"
    first.write_text("\n".join([validation(0, -2.0), metrics(1, 0.1), metrics(2, 0.9), '{"step": 3, "da']))
    resumed.write_text("\n".join([metrics(2, 0.2), metrics(3, 0.3), validation(3, 1.5)]) + "\n")
    return [str(first), str(resumed)]
