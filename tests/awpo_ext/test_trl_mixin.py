"""AWPO as a library: two steps with TRL's GRPOTrainer on the CPU, and the plain loop of docs/library.md."""

import re

import pytest
import torch

from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig, AwpoConfigError
from awpo_ext.trl_mixin import AwpoMixin
from tests.paths import ROOT

WORDS = ["<pad>", "<eos>", "<unk>", *"abcdefgh"]
AWPO = AwpoConfig(reward_min=0.0, reward_max=1.0, integration="reasoning", gate="signal")


def outcome(completions, **_):
    """One in two, by its length; the last of each four could not be verified."""
    return [None if i % 4 == 3 else float(len(text.split()) % 2) for i, text in enumerate(completions)]


def judge(completions, **_):
    return [None if i % 4 == 0 else text.count("a") / (1 + len(text)) for i, text in enumerate(completions)]


@pytest.fixture
def trainer(tmp_path):
    trl = pytest.importorskip("trl", reason="needs TRL: the extra trl")
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(WORDS), num_key_value_heads=2, pad_token_id=0, **shape))

    class Trainer(AwpoMixin, trl.GRPOTrainer):
        pass

    def make(awpo=AWPO, functions=(outcome, judge)):
        args = trl.GRPOConfig(
            output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=8, num_generations=4, learning_rate=1e-2,
            max_completion_length=6, logging_steps=1, report_to=[], use_cpu=True, save_strategy="no", bf16=False,
        )  # fmt: skip
        prompts = Dataset.from_dict({"prompt": ["a b", "c d", "e f", "g h"]})
        return Trainer(
            model, reward_funcs=list(functions), args=args, train_dataset=prompts, processing_class=tokenizer, awpo=awpo
        )

    return make


PARTS = AwpoConfig(**vars(AWPO) | {"reward_components": {"even": 1.0, "short": 0.5}, "reward_max": 1.5})


@pytest.mark.parametrize(("awpo", "functions"), [(AWPO, (outcome, judge)), (PARTS, (outcome, outcome, judge))])
def test_two_steps_with_trl(trainer, awpo, functions):
    run = trainer(awpo, functions)
    seen = []
    generate = run._generate_and_score_completions
    run._generate_and_score_completions = lambda inputs: seen.append(generate(inputs)) or seen[-1]
    before = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    run.train()

    assert run.state.global_step == 2 and len(seen) == 2
    assert any((value != before[name]).any() for name, value in run.model.named_parameters())
    rewards = run._awpo_rewards.double()
    first, scores = rewards[:, :-1] if awpo.components else rewards[:, 0], rewards[:, -1:]
    known, scored = rewards[:, 0].isfinite(), scores.isfinite()
    expected = awpo_advantages(first, scores, [0] * 4 + [1] * 4, awpo, scored, known)
    assert torch.allclose(seen[-1]["advantages"].double(), expected.advantages, atol=1e-6)
    assert (seen[-1]["advantages"][~known] == 0).all()  # not verified: not trained
    assert run.epsilon_low == pytest.approx(float(clip_radius(expected.gate, awpo, expected.verified)))
    logged = [entry for entry in run.state.log_history if "awpo/leverage/mean" in entry or "awpo/gate/mean" in entry]
    assert len(logged) == 2 and run.reliability.groups == 4


def test_what_trl_cannot_do_is_refused(trainer):
    with pytest.raises(AwpoConfigError, match="clip_scope=batch"):
        trainer(AwpoConfig(clip_scope="group"))
    with pytest.raises(AwpoConfigError, match="reward_funcs has 1 functions"):
        trainer(functions=[outcome])
    with pytest.raises(AwpoConfigError, match=r"3 functions; give one for each of reward_components=\['even'\] first"):
        trainer(AwpoConfig(reward_components=["even"]), [outcome, outcome, judge])


def test_the_loop_of_the_docs_learns():
    (code,) = re.findall(r"```python\n(import torch.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)
    room = {}
    exec(code, room)  # our own documentation
    assert room["success"][-1] > room["success"][0] + 0.3
