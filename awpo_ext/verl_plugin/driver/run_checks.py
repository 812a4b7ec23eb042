"""Is a verl configuration one that AWPO can train? Checked by the trainer before it starts, and by `awpo doctor`."""

import difflib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from awpo_ext.config import AwpoConfig
from awpo_ext.guard.options import GuardOptions
from awpo_ext.guard.second import check_second
from awpo_ext.record.examples import ExampleOptions
from awpo_ext.record.options import RecordOptions
from awpo_ext.verl_plugin.compat import AwpoSetupError, refuse_unavailable
from awpo_ext.verl_plugin.driver import estimator
from awpo_ext.verl_plugin.driver.group_check import check_group_judge
from awpo_ext.verl_plugin.driver.loss_check import check_loss, rollout_correction
from awpo_ext.verl_plugin.driver.reward_function import named_reward_errors, reward_function
from awpo_ext.verl_plugin.driver.setting_checks import check_settings
from awpo_ext.verl_plugin.driver.template_check import LOOP_DIALECTS, check_template
from awpo_ext.verl_plugin.worker import loss

logger = logging.getLogger(__name__)

OUTCOME_METRICS = ("reward", "score")  # what algorithm.filter_groups.metric may name without the judge in it
TURNS_AGENT_LOOP = "awpo_tool_agent"  # `turns.NAME`, whose import would load the agent loops


def uses_awpo(config: DictConfig) -> bool:
    """True where the run asks for the estimator `awpo`."""
    return config.algorithm.adv_estimator == estimator.NAME


def awpo_section(config: DictConfig) -> AwpoConfig:
    """The validated `algorithm.awpo` section; AwpoConfigError names key, value and what is allowed."""
    for key in config.algorithm:
        if key != "awpo" and difflib.get_close_matches(str(key), ["awpo"], cutoff=0.7):
            raise AwpoSetupError(f"algorithm.{key} is not read by anything; did you mean algorithm.awpo?")
    section = config.algorithm.get("awpo")
    if section is not None and not isinstance(section, Mapping | DictConfig):
        raise AwpoSetupError(f"algorithm.awpo={section!r} is not a section; set +algorithm.awpo.<key>=<value>")
    given = OmegaConf.to_container(section, resolve=True) if section is not None else {}
    for other in ("record", "guard", "examples"):  # `record_options`, `guard_options` and `example_options` read them
        given.pop(other, None)
    if not given.get("reward_components"):
        return AwpoConfig.from_mapping({**outcome_range(config), **given})
    named = AwpoConfig.from_mapping(
        {key: given[key] for key in ("reward_components", "component_range") if key in given}
    )
    stated = {name: ends for name, ends in component_ranges(config).items() if name in named.components}
    return AwpoConfig.from_mapping({**given, "component_range": {**stated, **named.component_range}})


def record_options(config: DictConfig) -> RecordOptions:
    """The validated `algorithm.awpo.record`; AwpoSetupError names key, value and what is allowed."""
    return _options(config, "record", RecordOptions.from_section)


def guard_options(config: DictConfig) -> GuardOptions:
    """The validated `algorithm.awpo.guard`; AwpoSetupError names key, value and what is allowed."""
    return _options(config, "guard", GuardOptions.from_section)


def example_options(config: DictConfig) -> ExampleOptions:
    """The validated `algorithm.awpo.examples`; AwpoSetupError names key, value and what is allowed."""
    return _options(config, "examples", ExampleOptions.from_section)


def _options(config: DictConfig, key: str, read: Callable[[Any], Any]) -> Any:
    section = (config.algorithm.get("awpo") or {}).get(key)
    try:
        return read(OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section)
    except ValueError as error:
        raise AwpoSetupError(str(error)) from error


def check_guard(config: DictConfig, section: AwpoConfig) -> None:
    """An action that would change nothing, or a second opinion that cannot be asked, is refused before the run."""
    options = guard_options(config)
    if not options.enable:
        return
    try:
        options.check_with(section)
        check_second(options.second)
    except ValueError as error:
        raise AwpoSetupError(str(error)) from error


def outcome_range(config: DictConfig) -> dict[str, float]:
    """`reward_min` and `reward_max` as the reward function states them; {} where it has no `outcome_range`."""
    stated = _stated(config, "outcome_range")
    return {} if stated is None else {"reward_min": stated[0], "reward_max": stated[1]}


def component_ranges(config: DictConfig) -> dict[str, tuple[float, float]]:
    """Columns that may be outcome components, with the range that the reward function states; {} where it states none."""
    return dict(_stated(config, "component_ranges") or {})


def _stated(config: DictConfig, name: str) -> Any:
    """What the reward function's attribute `name` gives for its kwargs; None where it has no such attribute."""
    function, kwargs = reward_function(config)
    stated = getattr(function, name, None)
    if stated is None:
        return None
    with named_reward_errors(config):
        return stated(**kwargs)


def check_run(config: DictConfig) -> AwpoConfig | None:
    """The AWPO section of a run that AWPO can train; None where the run does not use AWPO at all.

    Raises:
        AwpoSetupError, AwpoConfigError: naming the key to set.
    """
    if not uses_awpo(config):
        if config.actor_rollout_ref.actor.policy_loss.loss_mode == loss.NAME:
            raise AwpoSetupError(
                f"policy_loss.loss_mode=awpo needs algorithm.adv_estimator=awpo, which gives it the clip radius; "
                f"found algorithm.adv_estimator={config.algorithm.adv_estimator}"
            )
        return None
    refuse_unavailable("estimator and loss", "trainer")
    section = awpo_section(config)
    record_options(config)
    example_options(config)
    check_guard(config, section)
    if not config.trainer.use_v1:
        raise AwpoSetupError("trainer.use_v1=False: AWPO needs verl's V1 trainer; set trainer.use_v1=True")
    check_settings(config, section)
    check_loss(config, section)
    check_combinations(config, section)
    check_turns(config)
    check_reward_function(config)
    check_template(config)
    check_ground_truths(config)
    return section


def refuse_legacy(config: DictConfig, trainer: str) -> None:
    """Raise AwpoSetupError where a trainer that is none of V1's is made for a run with AWPO."""
    if uses_awpo(config):
        raise AwpoSetupError(
            f"verl's {trainer} hands advantage estimators no reward columns: AWPO needs the V1 trainer; set "
            "trainer.use_v1=True and start python -m verl.trainer.main_ppo; for asynchronous training "
            "trainer.v1.trainer_mode=colocate_async or separate_async"
        )


def check_combinations(config: DictConfig, section: AwpoConfig) -> None:
    """Features of verl that AWPO cannot share a run with, and a warning where two work against each other."""
    if config.get("distillation") and config.distillation.get("enabled"):
        raise AwpoSetupError("distillation.enabled=True replaces the policy loss; AWPO cannot be combined with it")
    if config.critic.enable:
        raise AwpoSetupError(
            "critic.enable=True trains a critic that AWPO's group-relative advantages never read; set critic.enable=False"
        )
    correction = rollout_correction(config)
    unread = [key for key in ("rollout_is", "rollout_rs") if correction.get(key)]
    if correction.get("bypass_mode") and unread:
        raise AwpoSetupError(
            f"algorithm.rollout_correction.{unread[0]}={correction.get(unread[0])} is not read with bypass_mode=True by "
            "verl's V1 trainer; set bypass_mode=False, or leave it out and let the clip bound the ratio"
        )
    groups = config.algorithm.get("filter_groups") or {}
    if groups.get("enable") and groups.get("metric") in OUTCOME_METRICS and section.gate != "none":
        logger.warning(
            "awpo-ext: algorithm.filter_groups.metric=%s drops the groups whose outcomes are all equal, which is where "
            "AWPO leans on the judge; to keep them, set it to awpo, which drops the groups whose advantages are all 0",
            groups.metric,
        )


def check_turns(config: DictConfig) -> None:
    """The verifier `state` needs to know who wrote what and what was run, in the loop's own format."""
    rollout = config.actor_rollout_ref.rollout
    tools = rollout.multi_turn.tool_config_path or rollout.multi_turn.function_tool_path
    kwargs = (config.reward.get("custom_reward_function") or {}).get("reward_kwargs") or {}
    if not tools or kwargs.get("verifier") != "state":
        return
    refuse_unavailable("agent loop")
    if rollout.agent.default_agent_loop != TURNS_AGENT_LOOP:
        raise AwpoSetupError(
            f"actor_rollout_ref.rollout.agent.default_agent_loop={rollout.agent.default_agent_loop} gives the verifier "
            f"'state' one text in which tools and model cannot be told apart; set it to {TURNS_AGENT_LOOP}"
        )
    dialect = (kwargs.get("verifier_kwargs") or {}).get("dialect", "auto")
    runs = rollout.multi_turn.format
    fitting = ("auto", LOOP_DIALECTS[runs], f"verl:{runs}") if runs in LOOP_DIALECTS else (dialect,)
    if dialect not in fitting:
        raise AwpoSetupError(
            f"the agent loop runs calls in the format {runs} (actor_rollout_ref.rollout.multi_turn.format), and the verifier "
            f"'state' reads texts with verifier_kwargs.dialect={dialect}; set that to {LOOP_DIALECTS[runs]}, or the format to "
            "what the model's chat template writes"
        )


def check_reward_function(config: DictConfig) -> None:
    """Let the reward function check itself before the run, where it has a `preflight` (reward_models.reward has one).

    verl loads it lazily inside its reward workers, where an error turns into failed prompt groups in mid-training.
    """
    function, kwargs = reward_function(config)
    needs_group = getattr(function, "needs_group", None)
    if needs_group is not None:
        with named_reward_errors(config):
            ranks = needs_group(**kwargs)
        if ranks:
            check_group_judge(config)
    preflight = getattr(function, "preflight", None)
    if preflight is not None:
        with named_reward_errors(config):
            preflight(**kwargs)


def check_ground_truths(config: DictConfig) -> None:
    """Every row of the local data files must be one that the reward function can score, where it has a `row_check`.

    In mid-training such a row is a failed prompt group, which verl drops or waits for. `awpo data validate` checks more.
    """
    function, kwargs = reward_function(config)
    make_check = getattr(function, "row_check", None)
    if make_check is None:
        return
    with named_reward_errors(config):
        check = make_check(**kwargs)
    for key in ("train_files", "val_files"):
        files = config.data[key]
        for name in [files] if isinstance(files, str) else files:
            path = Path(name).expanduser()
            if path.suffix != ".parquet" or not path.is_file():
                continue  # verl itself says so, or downloads it
            for number, row in enumerate(_rows(path)):
                try:
                    check(
                        row.get("data_source"),
                        (row.get("reward_model") or {}).get("ground_truth"),
                        row.get("extra_info"),
                    )
                except ValueError as error:
                    raise AwpoSetupError(
                        f"data.{key}={path}, row {number}: {error}; `awpo data validate` lists all such rows"
                    ) from error


def _rows(path: Path) -> Iterator[dict]:
    """The columns that a reward function sees, as far as the file has them, a batch of rows in memory at a time."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    columns = [name for name in ("data_source", "reward_model", "extra_info") if name in file.schema_arrow.names]
    for batch in file.iter_batches(columns=columns):
        yield from batch.to_pylist()
