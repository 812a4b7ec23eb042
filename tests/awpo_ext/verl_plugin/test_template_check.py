"""Data, verifier and chat template that do not agree stop a run before it starts, with the key to set."""

import json

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
from omegaconf import OmegaConf

from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver import template_check
from awpo_ext.verl_plugin.driver.template_check import check_template, tell_thinking, template_facts
from reward_models.parsing import TemplateReading

OURS = {"path": "pkg://reward_models.reward", "name": "compute_score"}


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """A configuration with one combination of manifest, verifier and template."""

    def make(manifest=None, reading=None, verifier="strict", loop=None, ours=False, kwargs=None, **options):
        if manifest is not None:
            (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        monkeypatch.setattr(template_check, "read_model_template", lambda config: reading)
        kwargs = {"verifier": verifier, "verifier_kwargs": options, **(kwargs or {})}
        turns = {
            "format": loop or "hermes",
            "tool_config_path": "tools.yaml" if loop else None,
            "function_tool_path": None,
        }
        config = OmegaConf.create(
            {
                "data": {"train_files": str(tmp_path / "train.parquet")},
                "actor_rollout_ref": {"model": {"path": "org/model"}, "rollout": {"multi_turn": turns}},
                "reward": {"custom_reward_function": {"reward_kwargs": kwargs, **(OURS if ours else {})}},
            }
        )
        OmegaConf.set_struct(config, True)  # as Hydra's are
        return config

    return make


@pytest.fixture
def agree(configured):
    """Checks one combination of manifest, verifier and template."""

    def run(*given, facts=False, **options):
        config = configured(*given, **options)
        return template_facts(config) if facts else check_template(config)

    return run


HERMES = TemplateReading("hermes", "auto", "think", "<tool_call>..</tool_call>")
XML = TemplateReading("qwen3_coder", "opened", "think", "<tool_call><function=f>")


def test_what_agrees_and_what_is_not_known_goes_on(agree):
    agree(dialect="hermes")
    agree({"dialect": "toolrl", "tokenizer": None}, HERMES, dialect="toolrl")
    agree({"dialect": "hermes", "tokenizer": "org/model"}, HERMES, dialect="hermes")
    agree({"dialect": "hermes", "tokenizer": "org/model"}, HERMES, dialect="vllm:hermes")
    agree({"dialect": "qwen3_coder", "tokenizer": "m"}, XML, dialect="auto", thinking="opened")
    agree({"dialect": "toolrl"}, XML, verifier="toolrl")
    agree(None, XML, ours=True)
    agree(None, XML, loop="qwen3_coder", kwargs={"thinking": "opened"})
    agree(None, TemplateReading(None, "auto", None, "", "the template drops calls"), loop="hermes")


@pytest.mark.parametrize(
    ("reading", "loop", "message"),
    [
        (XML, "hermes", r"multi_turn\.format=hermes: .* dialect=qwen3_coder: .*<function=f>.*FORMAT=qwen3_coder"),
        (TemplateReading("llama3", "auto", None, "{..}"), "hermes", "dialect=llama3.*verl has no parser for it"),
    ],
)
def test_the_loop_runs_what_the_template_writes(agree, reading, loop, message):
    with pytest.raises(AwpoSetupError, match=message):
        agree(None, reading, verifier="state", loop=loop)


@pytest.mark.parametrize(
    ("reading", "given", "told"),
    [
        (XML, {"ours": True}, "opened"),
        (XML, {"ours": True, "verifier": "toolrl"}, "opened"),
        (HERMES, {"ours": True}, None),
        (None, {"ours": True}, None),
        (XML, {"ours": True, "kwargs": {"thinking": "auto"}}, "auto"),
        (XML, {"ours": True, "thinking": "auto"}, None),
        (XML, {}, None),  # a function of one's own may not take it
    ],
)
def test_the_reward_function_is_told_of_a_thought_that_the_template_opens(configured, reading, given, told):
    config = configured(None, reading, **given)
    before = OmegaConf.to_container(config.reward.custom_reward_function.reward_kwargs)
    tell_thinking(config)
    after = OmegaConf.to_container(config.reward.custom_reward_function.reward_kwargs)
    assert after == before | ({"thinking": told} if told else {})
    tell_thinking(config)
    assert OmegaConf.to_container(config.reward.custom_reward_function.reward_kwargs) == after


@pytest.mark.parametrize(
    ("manifest", "reading", "options", "message"),
    [
        (
            {"dialect": "hermes"},
            None,
            {"dialect": "toolrl"},
            r"made for dialect=hermes .*verifier_kwargs\.dialect=toolrl",
        ),
        (
            {"dialect": "hermes", "tokenizer": "a/b"},
            XML,
            {"dialect": "hermes"},
            "writes dialect=qwen3_coder.*its --tokenizer",
        ),
        ({"dialect": "toolrl"}, XML, {"dialect": "toolrl"}, r"open thought.*verifier_kwargs\.thinking=opened"),
        (None, XML, {"dialect": "qwen3_coder"}, r"verifier_kwargs\.thinking=opened"),
    ],
)
def test_what_does_not_agree_names_the_key(agree, manifest, reading, options, message):
    with pytest.raises(AwpoSetupError, match=message):
        agree(manifest, reading, **options)


@pytest.mark.parametrize("verifier", ["ast", "exec", "state", "composite", "irrelevance"])
def test_every_verifier_that_reads_texts_must_know_of_an_open_thought(agree, verifier):
    with pytest.raises(AwpoSetupError, match=r"verifier_kwargs\.thinking=opened"):
        agree(None, XML, verifier=verifier)
    agree(None, XML, verifier=verifier, thinking="opened")


def test_doctor_shows_a_call_as_the_template_writes_it(agree):
    facts = dict(agree({"dialect": "hermes"}, XML, facts=True))
    assert facts["data made for dialect"] == "hermes" and facts["chat template's dialect"] == "qwen3_coder"
    assert (
        facts["chat template's thought"] == "think, opened by the prompt"
        and "<function=f>" in facts["chat template's call"]
    )
    assert (
        dict(agree(None, XML, facts=True, ours=True))["responses are read with thinking"]
        == "opened (the chat template's)"
    )
    assert (
        dict(agree(None, XML, facts=True, thinking="auto"))["responses are read with thinking"] == "auto (configured)"
    )
    assert dict(agree(facts=True))["chat template"] == "the tokenizer is not on this machine"
