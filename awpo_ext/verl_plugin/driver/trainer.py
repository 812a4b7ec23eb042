"""Extends verl's V1 trainers: brings reward columns to the estimator and the clip radius to the workers' loss.

This is the one place that reaches beyond verl's hooks. verl's registered trainers are replaced by subclasses of
themselves under the same names, so stock `python -m verl.trainer.main_ppo` finds them; runs with another estimator pass
through untouched. A trainer class of your own needs `class MyTrainer(AwpoTrainerMixin, PPOTrainerSync)`.
"""

import math

import ray
from verl.utils.config import omega_conf_to_dataclass

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver.channel import build_channel, put_radius, radius_of_rollouts, read_responses
from awpo_ext.verl_plugin.driver.estimator import step_channel
from awpo_ext.verl_plugin.driver.example_tables import ExampleTables
from awpo_ext.verl_plugin.driver.first_step import FirstResponses
from awpo_ext.verl_plugin.driver.group_check import has_group_manager
from awpo_ext.verl_plugin.driver.group_filter import asks_estimator, install
from awpo_ext.verl_plugin.driver.group_sizes import write_group_sizes
from awpo_ext.verl_plugin.driver.guarding import RunGuard
from awpo_ext.verl_plugin.driver.judge_monitor import JudgeSteps, criteria_metrics
from awpo_ext.verl_plugin.driver.recording import RunRecorder
from awpo_ext.verl_plugin.driver.run_checks import check_run, example_options, record_options, uses_awpo
from awpo_ext.verl_plugin.driver.state import load_guard, load_state, save_state
from awpo_ext.verl_plugin.driver.template_check import tell_thinking
from awpo_ext.verl_plugin.worker.loss import worker_loss
from reward_models.llm_client.step_stats import StepCollector


class AwpoTrainerMixin:
    """Put before one of verl's PPOTrainer classes. Does nothing unless algorithm.adv_estimator=awpo.

    But for one thing: where the reward manager is the group judge's, prompts are told how many rollouts they have.
    """

    def __init__(self, config):
        gathers = uses_awpo(config) and ray.is_initialized()
        collector = StepCollector() if gathers else None  # first: the check asks the judge, and that counts
        self._awpo: AwpoConfig | None = check_run(config)
        self._judge = JudgeSteps(self._awpo, collector) if self._awpo is not None else None
        self._first = FirstResponses.of(self._awpo, config) if self._awpo is not None else None
        self._reliability = ReliabilityState()
        self._recorder = RunRecorder(config, self._awpo, record_options(config))
        self._examples = ExampleTables(example_options(config))
        if self._awpo is not None:
            tell_thinking(config)
        self._guard = RunGuard.of(config, self._awpo)
        super().__init__(config)

    def _build_replay_buffer(self):
        buffer = super()._build_replay_buffer()
        if self._awpo is not None and asks_estimator(self.config):
            install(buffer, lambda: self._guard.method, lambda: self._reliability)
        return buffer

    def _setup(self):
        super()._setup()
        if self._awpo is not None:
            actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
            self.actor_rollout_wg.set_loss_fn(worker_loss(actor, self._awpo.clip_higher))

    def fit(self, agent_loop_manager):
        if has_group_manager(self.config):
            write_group_sizes(agent_loop_manager, self.config.actor_rollout_ref.rollout)
        if self._awpo is not None:
            self._recorder.start(self.global_steps)
        try:
            super().fit(agent_loop_manager)
        finally:
            self._recorder.close()
            self._guard.close()

    def _compute_advantage(self, batch, metrics):
        if self._awpo is None:
            return super()._compute_advantage(batch, metrics)
        method = self._guard.method
        channel = build_channel(batch, method, self.config.algorithm.use_kl_in_reward)
        tokenizer = self.tokenizer
        self._first.check(channel.unread, lambda numbers: read_responses(batch, channel, numbers, tokenizer), tokenizer)
        channel.reliability = self._reliability
        with step_channel(channel):
            batch = super()._compute_advantage(batch, metrics)
        if channel.result is None:
            raise AwpoSetupError("verl computed advantages without calling the estimator awpo")
        self._reliability = channel.result.reliability
        radius = clip_radius(channel.result.gate, method, channel.result.verified)
        columns = (channel.outcome, channel.reasoning, channel.valid)
        metrics.update(awpo_metrics(channel.result, *columns, radius, method, channel.outcome_valid))
        metrics.update(self._judge.add(channel.valid, channel.failure))
        metrics.update(criteria_metrics(channel.criteria))
        self._guard.update(batch, channel, self.global_steps, tokenizer)
        place, radii = (self.global_steps, self.local_trigger_step), radius_of_rollouts(radius, channel)
        metrics.update(self._recorder.update(batch, channel, radii, place, tokenizer))
        self._examples.update(getattr(self, "logger", None), batch, channel, radii, self.global_steps, tokenizer)
        return put_radius(batch, radius, channel)

    def _validate(self):
        with self._recorder.validation(self.replay_buffer, self.global_steps, self.tokenizer):
            metrics = super()._validate()
        self._recorder.metrics(self.global_steps, metrics)
        return metrics

    def _save_checkpoint(self):
        if self._awpo is not None:
            self._recorder.flush()
            save_state(self.config, self.global_steps, self._reliability, self._guard.as_dict())
        super()._save_checkpoint()

    def _load_checkpoint(self):
        super()._load_checkpoint()
        if self._awpo is not None:
            self._reliability = load_state(self.config, self.global_steps, self._awpo)
            load_guard(self.config, self.global_steps, self._guard.restore)

    def on_train_begin(self):
        if self._judge is not None:
            self._judge.end_step(self.global_steps - 1)  # what was asked before the first step
        super().on_train_begin()

    def on_step_begin(self):
        if self._judge is not None:
            self._judge.begin_step()
        self._guard.begin_step()
        super().on_step_begin()

    def on_validate_begin(self):
        if self._judge is not None:
            self._judge.begin_validation()
        super().on_validate_begin()

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        if self._judge is not None:
            metrics.update(self._judge.end_step(global_steps))
        metrics.update(self._guard.end_step(global_steps))
        self._recorder.metrics(global_steps, metrics)

    def _val_metrics_update(
        self, data_sources, sample_uids, reward_extra_infos_dict, sample_turns, expected_acc_counts=None
    ):
        """verl averages a column over its rollouts and leaves None out: an unscored rollout is None, not NaN."""
        if self._awpo is not None:
            reward_extra_infos_dict = {
                name: [None if isinstance(value, float) and math.isnan(value) else value for value in values]
                for name, values in reward_extra_infos_dict.items()
            }
        return super()._val_metrics_update(
            data_sources, sample_uids, reward_extra_infos_dict, sample_turns, expected_acc_counts
        )

    def _update_actor(self, batch, metrics):
        batch = super()._update_actor(batch, metrics)
        for key in [key for key in metrics if key.startswith("actor/awpo/")]:  # verl puts "actor/" before them
            metrics[key.removeprefix("actor/")] = metrics.pop(key)
        return batch
