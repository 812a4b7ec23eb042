"""Do data, verifier and chat template agree on how calls and thoughts are written? Looked at before a GPU is.

What cannot be known is not an error: data without a manifest of `awpo data`, a tokenizer that is not on this machine.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from awpo_ext.verl_plugin.compat import AwpoSetupError
from reward_models.parsing import TemplateReading, read_template

VERIFIER_KEY = "reward.custom_reward_function.reward_kwargs.verifier_kwargs"
_READS_THINKING = ("strict", "format", "irrelevance", "ast", "exec", "state", "composite")


def check_template(config: DictConfig) -> None:
    """AwpoSetupError where the verifier would misread every response: another dialect than the data's, or an opened thought
    that it is not told of."""
    kwargs = (config.reward.get("custom_reward_function") or {}).get("reward_kwargs") or {}
    options = kwargs.get("verifier_kwargs") or {}
    dialect, manifest = options.get("dialect"), data_manifest(config)
    made_for = manifest.get("dialect")
    if dialect and made_for and dialect not in ("auto", made_for) and ":" not in dialect:
        raise AwpoSetupError(
            f"data.train_files is made for dialect={made_for} (its manifest.json), and the verifier reads {VERIFIER_KEY}."
            f"dialect={dialect}, in which no right call counts; set it to {made_for} (DIALECT={made_for} in the recipes), or "
            "convert the data anew"
        )
    if not made_for and kwargs.get("verifier") not in _READS_THINKING:
        return
    reading = read_model_template(config)
    if reading is None:
        return
    if manifest.get("tokenizer") and reading.dialect and reading.dialect != made_for:
        raise AwpoSetupError(
            f"data.train_files is made for the chat template of {manifest['tokenizer']} (dialect={made_for}), and that of "
            f"actor_rollout_ref.model.path={config.actor_rollout_ref.model.path} writes dialect={reading.dialect}: "
            f"{reading.example[:200]!r}; convert the data with its --tokenizer"
        )
    if reading.thinking == "opened" and kwargs.get("verifier") in _READS_THINKING and "thinking" not in options:
        raise AwpoSetupError(
            f"the chat template of {config.actor_rollout_ref.model.path} ends its prompt in an open thought ({reading.form}), "
            f"so a thought that is cut off has no tag and would count as an answer; set +{VERIFIER_KEY}.thinking=opened"
        )


def template_facts(config: DictConfig) -> list[tuple[str, str]]:
    """For `awpo doctor`: what the model's template writes, and what the data was made for."""
    made_for = data_manifest(config).get("dialect", "not stated: no manifest.json of `awpo data` beside it")
    reading = read_model_template(config)
    if reading is None:
        return [("data made for dialect", made_for), ("chat template", "the tokenizer is not on this machine")]
    return [
        ("data made for dialect", made_for),
        ("chat template's dialect", reading.dialect or f"none: {reading.problem}"),
        (
            "chat template's thought",
            f"{reading.form or 'none'}{', opened by the prompt' * (reading.thinking == 'opened')}",
        ),
        ("chat template's call", repr(reading.example[:300])),
    ]


def data_manifest(config: DictConfig) -> dict[str, Any]:
    """The manifest.json beside the first training file; {} where there is none that can be read."""
    files = config.data.train_files
    first = Path(str(files if isinstance(files, str) else files[0])).expanduser()
    try:
        manifest = json.loads((first.parent / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def read_model_template(config: DictConfig) -> TemplateReading | None:
    """The reading of the run's chat template with its `data.apply_chat_template_kwargs`; None where it is not at hand."""
    model = config.actor_rollout_ref.model
    path = str(model.get("tokenizer_path") or model.path)
    try:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(Path(path).expanduser() if Path(path).expanduser().is_dir() else path)
    except Exception:  # offline, not found, gated, broken: many unrelated types; verl says so when it loads the model
        return None
    template = model.get("custom_chat_template") or tokenizer.chat_template
    if not template:
        return None
    given = config.data.get("apply_chat_template_kwargs") or {}
    options: Mapping[str, Any] = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given
    tokenizer.chat_template = template
    return read_template(
        SimpleNamespace(chat_template=template, apply_chat_template=partial(tokenizer.apply_chat_template, **options))
    )
