"""A record in which every text tries to run a script, to hide, or to turn the line around."""

import json

import numpy as np

from awpo_ext.explorer import demo
from awpo_ext.explorer.demo import DemoRun
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.reader import open_record

MARKER = "planted_script_ran"
SCRIPT = f"<script>window.{MARKER}=1</script><img src=x onerror=window.{MARKER}=1>"
HIDDEN = "\u202egnp.exe\u202c \u200bzero\u200b \x07bell \ufeff \U000e0041"
HOSTILE = f"{SCRIPT} </script></pre>--> {HIDDEN} <a href=javascript:window.{MARKER}=1>x</a> ${{window.{MARKER}=1}}"


def write_hostile_run(folder):
    """One step of two groups; the run's name, the words of the facets and all texts are hostile."""
    demo.write_demo_run(folder, DemoRun("x", steps=1, groups=2, size=2))
    record = open_record(folder)
    head = {**record.run, "name": HOSTILE}
    head["starts"] = [{**head["starts"][0], "reward": {HOSTILE: HOSTILE}}]
    (record.folder / "run.json").write_text(json.dumps(head), encoding="utf-8")
    (record.folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "metrics": {HOSTILE: 1.0, "awpo/x": 2}}) + "\n")
    call = f"<tool_call>\n{json.dumps({'name': HOSTILE, 'arguments': {HOSTILE: HOSTILE}})}\n</tool_call>"
    rows = record.rollouts().to_pylist()
    for row in rows:
        row |= {
            "response": f"<think>{HOSTILE}</think>{call}", "words": HOSTILE, "outcome_reason": HOSTILE,
            "outcome_reasons": [HOSTILE], "failure": HOSTILE, "unread": HOSTILE, "reasoning": None,
            "outcome_parts": json.dumps({HOSTILE: 1.0}), "columns": json.dumps({HOSTILE: np.pi}),
            "signals": [{"name": HOSTILE, "score": 0.1, "failure": ""}, {"name": "b", "score": None, "failure": HOSTILE}],
            "calls": json.dumps([[{"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}]]), "closed": HOSTILE,
            "extra": json.dumps({"tool_answers": [[[HOSTILE]]]}),
        }  # fmt: skip
    tool = {"name": HOSTILE, "description": HOSTILE, "parameters": {"type": "object", "properties": {HOSTILE: {}}}}
    groups = record.groups().to_pylist()
    for group in groups:
        group |= {
            "question": HOSTILE, "tools": json.dumps([tool]), "data_source": HOSTILE,
            "prompt": json.dumps([{"role": HOSTILE, "content": HOSTILE}]), "extra_info": json.dumps({HOSTILE: HOSTILE}),
            "ground_truth": json.dumps([{"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}]),
        }  # fmt: skip
    write_part(record.folder, PartKey(1), PartInfo(), rows, groups)
    return folder
