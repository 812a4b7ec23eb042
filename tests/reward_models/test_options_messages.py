"""The refusals of every judge, verifier and training option: the table of inputs and messages."""

import importlib

import pytest

from reward_models.judges import make_judge
from reward_models.verifiers import make_verifier

_SERVER = {"base_url": "http://h/v1", "model": "m"}
_PATH = "the path of a text file, or null"

# name, options, message after the owner.
JUDGES = [
    ("none", {"a": 1}, "unknown key 'a'; known keys: "),
    ("embedding", {"window": 3}, "unknown key 'window'; did you mean 'window_ms'? known keys: "),
    ("embedding", {"window_ms": -1}, "window_ms=-1 must be a number in [0, 1000]"),
    ("embedding", {"window_ms": "1"}, "window_ms='1' must be a number in [0, 1000]"),
    ("embedding", {"max_batch": 1.5}, "max_batch=1.5 must be an integer in [1, 4096]"),
    ("embedding", {"threads": True}, "threads=True must be an integer in [1, 256]"),
    ("embedding", {"model": " "}, "model=' ' must be a folder, a Hugging Face id, or null"),
    ("scorer", {"scorer": ""}, "scorer='' must be a text that is not empty"),
    ("scorer", {"scorer": "x", "device": 3}, "device=3 must be a text that is not empty"),
    ("scorer", {"scorer": "x", "max_queue": 0}, "max_queue=0 must be an integer in [1, 1000000]"),
    ("llm", {"votes": 0}, "votes=0 must be an integer in [1, 64]"),
    ("llm", {"structured": "yes"}, "structured='yes' must be true or false"),
    ("llm", {"aggregate": "max"}, "aggregate='max' is not known; known: mean, median, majority"),
    ("llm", {"verdict": "no"}, "verdict='no' is not known; known: score, yes_no"),
    ("llm", {"scale": "10"}, "scale='10' must be an integer in [1, 100]"),
    ("llm", {"rubric": 3}, "rubric=3 must be the path of a file, a built-in rubric's name, or null"),
    ("llm", {"temperature": 3}, "temperature=3 must be a number in [0, 2]"),
    (
        "llm",
        {"votes": 3, "temperature": 0},
        "votes=3 at temperature=0 are the same vote; leave temperature out, or set votes=1",
    ),
    ("llm", {"max_tokens": 8}, "max_tokens=8 must be an integer in [16, 32768]"),
    ("llm", {"expected": True, "max_tokens": 2000}, "max_tokens=2000 must be an integer in [16, 1024]"),
    (
        "llm",
        {"verdict": "yes_no", "votes": 3},
        "votes=3 has no meaning with verdict=yes_no, "
        "which scores by the probability of one word: leave votes out, or set verdict=score",
    ),
    (
        "llm",
        {"expected": True, "structured": False},
        "expected=true needs structured=true, so that the answer ends with the score",
    ),
    ("llm", {"timeout_s": 0}, "judge client: timeout_s=0 must be a number in [0.01, 3600]"),
    ("llm", {"retries": -1}, "judge client: retries=-1 must be an integer in [0, 20]"),
    ("llm", {"requests_per_minute": 0}, "judge client: requests_per_minute=0 must be a number in [1, 1000000000.0]"),
    ("llm", {"step_deadline_s": 0}, "judge client: step_deadline_s=0 must be a number in [0.01, 86400]"),
    ("llm", {"cache_dir": ""}, "judge client: cache_dir='' must be a path or None"),
    ("llm", {"ledger": 3}, "judge client: ledger=3 must be a path or None"),
    (
        "llm",
        {"price_per_million_tokens": 1},
        "judge client: price_per_million_tokens=1 must be two numbers: prompt, completion",
    ),
    (
        "llm",
        {"price_per_million_tokens": [1, -1]},
        "judge client: price_per_million_tokens=-1 must be a number in [0, 1000000.0]",
    ),
    ("llm", {"model": ""}, "judge client: model='' must be the name of a model at base_url"),
    (
        "llm",
        {"api_key_env": "sk-1"},
        "judge client: api_key_env must be the name of an environment variable, not the key itself",
    ),
    ("llm", {"base_url": []}, "judge client: base_url=[] must name at least one URL"),
    (
        "llm",
        {"base_url": "ftp://x"},
        "judge client: base_url='ftp://x' must be a http(s) URL like http://127.0.0.1:8000/v1",
    ),
    ("llm", {"vote": 3}, "unknown key 'vote'; did you mean 'votes'? known keys: "),
    ("llm_group", {"mode": "all"}, "mode='all' is not known; known: listwise, pairwise"),
    ("llm_group", {"reference": 1}, "reference=1 must be true or false"),
    ("llm_group", {"wait_s": 0}, "wait_s=0 must be a number in [1, 86400]"),
    ("llm_group", {"max_comparisons": 0}, "max_comparisons=0 must be an integer in [1, 2016]"),
    ("llm_group", {"rubric": ""}, "rubric='' must be the path of a text file, or null"),
]
VERIFIERS = [
    ("strict", {"dialect": "x"}, "dialect='x' is not known; known: auto, toolrl, "),
    ("strict", {"ordered": 1}, "ordered=1 must be true or false"),
    ("strict", {"strings": "fuzzy"}, "strings='fuzzy' is not known; known: exact, bfcl"),
    ("strict", {"format_max": -1}, "format_max=-1 must be a number in [0.0, 1000000.0]"),
    ("strict", {"correctness_min": 3}, "correctness_min=3.0 must be below correctness_max=3.0"),
    ("strict", {"order": True}, "unknown key 'order'; did you mean 'ordered'? known keys: "),
    ("toolrl", {"format_max": "1"}, "format_max='1' must be a number in [0.0, 1000000.0]"),
    ("toolrl", {"correctness_max": 0}, "correctness_max=0 must be a number in [0.01, 1000000.0]"),
    ("toolrl", {"schedule_steps": 1.5}, "schedule_steps=1.5 must be an integer in [0, 1000000000]"),
    ("format", {"dialect": 3}, "dialect=3 must be a text that is not empty"),
    ("format", {"min_thought_chars": -1}, "min_thought_chars=-1 must be an integer in [0, 1000000]"),
    (
        "format",
        {"min_thought_chars": 9, "max_thought_chars": 3},
        "max_thought_chars=3 must be an integer in [9, 1000000]",
    ),
    ("irrelevance", {"dialect": "x"}, "dialect='x' is not known; known: auto, toolrl, "),
    ("ast", {"dialect": "x"}, "dialect='x' is not known; known: auto, toolrl, "),
    ("ast", {"language": "c"}, "language='c' is not known; known: auto, python, java, javascript"),
    ("ast", {"underscore_names": 1}, "underscore_names=1 must be true or false"),
    ("composite", {"parts": [1]}, "parts=[1] must be a mapping of verifier names"),
    ("composite", {}, "parts={} names no verifier; for example {format: 1, strict: 3}"),
    ("composite", {"parts": {"strict": -1}}, "parts.strict=-1 must be a number in [0.0, 1000000.0]"),
    ("composite", {"parts": {"strict": 0}}, "parts.strict=0 must be above 0; leave the part out"),
    (
        "composite",
        {"parts": {"strict": 1}, "gates": {"strict": "format"}},
        "gates.strict='format' must be another one of the parts ['strict']",
    ),
    (
        "composite",
        {"parts": {"strict": 1}, "options": {"toolrl": {}}},
        "options: unknown key 'toolrl'; known keys: ",
    ),
    ("exec", {}, "tools_module=() must be 'package.module', or a list of such"),
    ("exec", {"tools_module": ["a", 3]}, "tools_module=['a', 3] must be 'package.module', or a list of such"),
    ("exec", {"tools_module": "a", "float_tolerance": 2}, "float_tolerance=2 must be a number in [0.0, 1.0]"),
    ("exec", {"tools_module": "a", "sandbox": {"workers": 0}}, "sandbox: workers=0 must be an integer in [1, 256]"),
    (
        "exec",
        {"tools_module": "a", "sandbox": {"worker": 1}},
        "sandbox: unknown key 'worker'; did you mean 'workers'? known keys: ",
    ),
    (
        "exec",
        {"tools_module": "a", "sandbox": {"environment": {"A": 1}}},
        "sandbox: environment={'A': 1} must map names to texts",
    ),
    ("state", {}, "classes={} must map class names to 'package.module:Class'"),
    ("state", {"classes": {"A": "b"}}, "classes.A='b' must be 'package.module:Class'"),
    ("state", {"classes": {"A": "b:C"}, "turn_separator": ""}, "turn_separator='' must be a text that is not empty"),
    ("state", {"classes": {"A": "b:C"}, "extra_call_cost": -1}, "extra_call_cost=-1 must be a number in [0.0, 1.0]"),
]
# The dataclass, its options, the whole message.
CONFIGS = [
    ("awpo_ext.evaluate.chat:Sampling", {"top_p": 2}, "sampling: top_p=2 must be a number in [0.0, 1.0]"),
    (
        "reward_models.sandbox.types:SandboxConfig",
        {"memory_mb": 1},
        "sandbox: memory_mb=1 must be an integer in [16, 1048576]",
    ),
    (
        "reward_models.scorers.features.training:TrainConfig",
        {"encoder": ""},
        "scorer training: encoder='' must be a folder or a Hugging Face id",
    ),
    (
        "reward_models.scorers.features.training:TrainConfig",
        {"encoder": "e", "val_fraction": 0.9},
        "scorer training: val_fraction=0.9 must be a number in [0.05, 0.5]",
    ),
    (
        "reward_models.scorers.features.head:HeadConfig",
        {"hidden": 0},
        "scorer head: hidden=0 must be an integer in [1, 1024]",
    ),
    (
        "reward_models.scorers.features.head:HeadConfig",
        {"dropout": 1},
        "scorer head: dropout=1 must be a number in [0, 0.9]",
    ),
    (
        "reward_models.scorers.classifier.training:TrainConfig",
        {"base_model": " "},
        "train-classifier: base_model=' ' must be a folder or a Hugging Face id",
    ),
    (
        "reward_models.scorers.classifier.training:TrainConfig",
        {"base_model": "m", "objective": "x"},
        "train-classifier: objective='x' is not known; known: pairs, scores, labels",
    ),
    (
        "reward_models.scorers.classifier.training:TrainConfig",
        {"base_model": "m", "device": "tpu"},
        "train-classifier: device='tpu' is not known; known: auto, cpu",
    ),
    (
        "reward_models.scorers.classifier.training:TrainConfig",
        {"base_model": "m", "max_tokens": 8},
        "train-classifier: max_tokens=8 must be an integer in [64, 32768]",
    ),
    (
        "reward_models.scorers.classifier.training:TrainConfig",
        {"base_model": "m", "warmup": 1},
        "train-classifier: warmup=1 must be a number in [0, 0.9]",
    ),
    (
        "reward_models.scorers.classifier.training:TrainConfig",
        {"base_model": "m", "bf16": "x"},
        "train-classifier: bf16='x' must be true or false",
    ),
    ("reward_models.judge_eval.limits:Limits", {"min_auc": 1.5}, "judge eval: min_auc=1.5 must be a number in [0, 1]"),
    (
        "reward_models.judge_eval.run:EvalConfig",
        {"votes": 0},
        "judge eval: votes=0 must be an integer in [1, 64]",
    ),
    (
        "reward_models.judge_eval.run:EvalConfig",
        {"seed": -1},
        "judge eval: seed=-1 must be an integer in [0, 4294967295]",
    ),
]


@pytest.mark.parametrize(("name", "options", "message"), JUDGES)
def test_a_judge_says_what_is_wrong_with_an_option(name, options, message):
    with pytest.raises(ValueError) as error:
        make_judge(name, **{**(_SERVER if name.startswith("llm") else {}), **options})
    _check(str(error.value), message, f"judge '{name}'")


@pytest.mark.parametrize(("name", "options", "message"), VERIFIERS)
def test_a_verifier_says_what_is_wrong_with_an_option(name, options, message):
    with pytest.raises(ValueError) as error:
        make_verifier(name, **options)
    _check(str(error.value), message, f"verifier '{name}'")


def _check(said: str, message: str, owner: str) -> None:
    """`message` is the beginning, so that a row need not list all known keys; the owner may be a part's."""
    assert said.startswith((f"{owner}: {message}", message))


@pytest.mark.parametrize(("path", "options", "message"), CONFIGS)
def test_a_config_says_what_is_wrong_with_a_field(path, options, message):
    module, name = path.split(":")
    with pytest.raises(ValueError) as error:
        getattr(importlib.import_module(module), name)(**options)
    assert str(error.value) == message
