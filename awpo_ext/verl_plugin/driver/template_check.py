"""Do data, verifier and chat template agree on how calls and thoughts are written? Looked at before a GPU is.

What cannot be known is not an error: data without a manifest of `awpo data`, a tokenizer that is not on this machine.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from awpo_ext.data.chat_template import read_template_of
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver.reward_function import reward_function
from reward_models.parsing import TemplateReading
from reward_models.reward import RewardFunction

REWARD_KEY = "reward.custom_reward_function.reward_kwargs"
VERIFIER_KEY = f"{REWARD_KEY}.verifier_kwargs"
_READS_THINKING = ("strict", "format", "irrelevance", "ast", "exec", "state", "composite")
# The dialect of each of verl's tool parsers that has one.
LOOP_DIALECTS = {
    "hermes": "hermes",
    "qwen3_coder": "qwen3_coder",
    "gpt-oss": "harmony",
    "glm": "glm",
    "minimax": "minimax",
    "kimi": "kimi",
    "gemma4": "gemma",
}

logger = logging.getLogger(__name__)


def check_template(config: DictConfig) -> None:
    """AwpoSetupError where the verifier would misread every response: another dialect than the data's, or an opened thought
    that a reward function of one's own is not told of; and where the agent loop would run no call that the template writes.
    """
    kwargs = _reward_kwargs(config)
    options = kwargs.get("verifier_kwargs") or {}
    dialect, manifest = options.get("dialect"), data_manifest(config)
    made_for = manifest.get("dialect")
    if dialect and made_for and dialect not in ("auto", made_for) and ":" not in dialect:
        raise AwpoSetupError(
            f"data.train_files is made for dialect={made_for} (its manifest.json), and the verifier reads {VERIFIER_KEY}."
            f"dialect={dialect}, in which no right call counts; set it to {made_for} (DIALECT={made_for} in the recipes), or "
            "convert the data anew"
        )
    reading = read_model_template(config)
    if reading is None:
        return
    if manifest.get("tokenizer") and reading.dialect and reading.dialect != made_for:
        raise AwpoSetupError(
            f"data.train_files is made for the chat template of {manifest['tokenizer']} (dialect={made_for}), and that of "
            f"actor_rollout_ref.model.path={config.actor_rollout_ref.model.path} writes dialect={reading.dialect}: "
            f"{reading.example[:200]!r}; convert the data with its --tokenizer"
        )
    _check_loop(config, reading)
    told = "thinking" in options or "thinking" in kwargs
    if reading.thinking == "opened" and not told and kwargs.get("verifier") in _READS_THINKING and not _is_ours(config):
        raise AwpoSetupError(
            f"the chat template of {config.actor_rollout_ref.model.path} ends its prompt in an open thought ({reading.form}), "
            f"so a thought that is cut off has no tag and would count as an answer; set +{VERIFIER_KEY}.thinking=opened"
        )


def _check_loop(config: DictConfig, reading: TemplateReading) -> None:
    """verl's tool parser has to be the one for the template's calls, where both are known."""
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    tools = multi_turn.tool_config_path or multi_turn.function_tool_path
    runs = LOOP_DIALECTS.get(multi_turn.format)
    if tools and runs and reading.dialect and runs != reading.dialect:
        fitting = [name for name, dialect in LOOP_DIALECTS.items() if dialect == reading.dialect]
        fix = f"set it to {fitting[0]} (FORMAT={fitting[0]} in the recipes)" if fitting else "verl has no parser for it"
        raise AwpoSetupError(
            f"actor_rollout_ref.rollout.multi_turn.format={multi_turn.format}: the agent loop would run none of the calls that "
            f"the chat template of {config.actor_rollout_ref.model.path} writes, dialect={reading.dialect}: "
            f"{reading.example[:200]!r}; {fix}"
        )


def tell_thinking(config: DictConfig) -> None:
    """Set `reward_kwargs.thinking=opened`, for verifier, judge and columns, where the model's chat template opens the
    thought in the prompt, the reward function is ours and the configuration does not say.

    Called before verl hands the configuration to its workers.
    """
    if template_thinking(config) != "opened":
        return
    logger.warning(
        "awpo-ext: the chat template of %s ends its prompt in an open thought, so responses are read with +%s.thinking=opened",
        config.actor_rollout_ref.model.path,
        REWARD_KEY,
    )
    with open_dict(config):
        function = config.reward.custom_reward_function
        function.reward_kwargs = {**(function.get("reward_kwargs") or {}), "thinking": "opened"}


def template_thinking(config: DictConfig) -> str | None:
    """What the template says for `reward_kwargs.thinking`; None where that is set, not at hand, or not for us to say."""
    kwargs = _reward_kwargs(config)
    if "thinking" in kwargs or "thinking" in (kwargs.get("verifier_kwargs") or {}) or not _is_ours(config):
        return None
    reading = read_model_template(config)
    return reading.thinking if reading else None


def _reward_kwargs(config: DictConfig) -> Mapping[str, Any]:
    return (config.reward.get("custom_reward_function") or {}).get("reward_kwargs") or {}


def _is_ours(config: DictConfig) -> bool:
    return isinstance(reward_function(config)[0], RewardFunction)


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
        ("responses are read with thinking", _thinking_in_use(config)),
    ]


def _thinking_in_use(config: DictConfig) -> str:
    kwargs = _reward_kwargs(config)
    given = kwargs.get("thinking") or (kwargs.get("verifier_kwargs") or {}).get("thinking")
    chosen = template_thinking(config)
    return f"{given} (configured)" if given else f"{chosen} (the chat template's)" if chosen else "auto"


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
    given = config.data.get("apply_chat_template_kwargs") or {}
    options = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given
    return read_template_of(str(model.get("tokenizer_path") or model.path), model.get("custom_chat_template"), options)
