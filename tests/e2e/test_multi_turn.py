"""Two user turns through stock verl: agent loop, tools with state, the verifier `state`, and a judge that sees it all.

A random model calls no tool, so the tiny one is first taught the toy task's form by some supervised steps (a minute).
"""

import json

import pytest
import torch

from tests.e2e.expected import RECORD, check_replay
from tests.e2e.stock_verl import ROOT, main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")


from awpo_ext.data.dataset import write_dataset
from recipes.multiturn.make_data import make
from reward_models.parsing import parse_response
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

CLASSES = {"Bank": "recipes.multiturn.bank:Bank"}
SFT_STEPS = 220


def encode(tokenizer, messages):
    """Token ids of a trajectory in ChatML, and which of them the model has to write."""
    ids, own = [], []
    for message in messages:
        head = tokenizer.encode(f"<|im_start|>{message['role']}\n")
        body = tokenizer.encode(f"{message['content']}<|im_end|>")
        tail = tokenizer.encode("\n")
        ids += head + body + tail
        own += [False] * len(head) + [message["role"] == "assistant"] * len(body) + [False] * len(tail)
    return torch.tensor(ids), torch.tensor(own)


@pytest.fixture(scope="module")
def taught_model(tiny_model, tmp_path_factory):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors this small only wait for one another on several
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    rows = [encode(tokenizer, row["messages"]) for row in make(train=1, val=0, sft_rows=300).sft]
    used = torch.cat([ids for ids, _ in rows]).unique()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    chosen = torch.Generator().manual_seed(0)
    for _ in range(SFT_STEPS):
        batch = [rows[i] for i in torch.randint(len(rows), (4,), generator=chosen)]
        ids = torch.nn.utils.rnn.pad_sequence([ids for ids, _ in batch], batch_first=True)
        own = torch.nn.utils.rnn.pad_sequence(
            [own for _, own in batch], batch_first=True
        )  # padding is nobody's, at the end
        hidden = model.model(ids).last_hidden_state[:, :-1][own[:, 1:]]
        # against the task's tokens and 1,000 others that stand for all: nearly all of the time would go to those 49,000
        others = torch.randint(model.config.vocab_size, (1000,), generator=chosen)
        classes = torch.cat([used, others]).unique()
        stand_for = torch.where(torch.isin(classes, used), 1.0, model.config.vocab_size / len(others)).log()
        logits = hidden @ model.lm_head.weight[classes].T + stand_for
        loss = torch.nn.functional.cross_entropy(logits, torch.searchsorted(classes, ids[:, 1:][own[:, 1:]]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    out = tmp_path_factory.mktemp("model") / "taught"
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def calls_in(turn):
    return [call for text in turn for call in parse_response(text, "hermes").calls]


def test_two_turns_train_and_everyone_sees_the_whole_trajectory(taught_model, tmp_path, monkeypatch):
    recorded = tmp_path / "recorded.jsonl"
    monkeypatch.setenv("RECORDED_ROLLOUTS", str(recorded))
    write_dataset(tmp_path, make(train=32, val=8, sft_rows=0))
    reward = "reward.custom_reward_function"
    run = main_ppo(
        tmp_path, taught_model,
        "data.max_response_length=320", "actor_rollout_ref.rollout.max_model_len=448",
        "actor_rollout_ref.actor.optim.lr=1e-4",
        "actor_rollout_ref.rollout.agent.default_agent_loop=awpo_tool_agent",
        "actor_rollout_ref.rollout.multi_turn.enable=True",
        f"actor_rollout_ref.rollout.multi_turn.tool_config_path={ROOT}/recipes/multiturn/tools.yaml",
        "actor_rollout_ref.rollout.multi_turn.max_assistant_turns=8",
        "actor_rollout_ref.rollout.multi_turn.max_parallel_calls=4",
        f"{reward}.path=pkg://reward_models.reward",
        f"+{reward}.reward_kwargs.judge=tests.e2e.recording_judge:RecordingJudge",
        f"+{reward}.reward_kwargs.verifier=state",
        f"+{reward}.reward_kwargs.verifier_kwargs.classes.Bank={CLASSES['Bank']}",
        "+algorithm.awpo.clip_higher=1.4", RECORD,
        "trainer.total_training_steps=2", "trainer.total_epochs=10", "trainer.test_freq=-1",
    )  # fmt: skip
    assert run.returncode == 0, run.console[-4000:]

    seen = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert len(seen) == 2 * 8 * 4
    whole = [one for one in seen if len(one["turns"]) == 2 and all(calls_in(turn) for turn in one["turns"])]
    assert len(whole) > len(seen) / 8  # both turns happen in many trajectories of a taught model
    for one in whole:
        for text in (text for turn in one["turns"] for text in turn):
            assert text in one["response"]  # the judge reads every turn
        assert '{"balance": ' in one["response"] or "Error: " in one["response"]  # and what the tools answered

    record = check_replay(tmp_path, {1: 32, 2: 32})  # and the record keeps every turn
    for row in record.rows([1, 2], "train"):
        assert any(row["response"] == one["response"] for one in seen)

    # what was trained on is the verifier's verdict on exactly these turns
    verifier = make_verifier("state", classes=CLASSES)
    outcomes = [verifier.verify(Rollout("", "", one["response"], one["truth"], "bank", one)).outcome for one in seen]
    verifier.close()
    assert len(set(outcomes)) > 1
    logged = [run.steps[step]["awpo/outcome/mean"] for step in (1, 2)]
    assert sum(logged) / 2 == pytest.approx(sum(outcomes) / 64)
    assert all(run.steps[step]["awpo/applied_clip_radius"] > 0 for step in (1, 2))
    assert run.steps[2]["training/rollout_actor_probs_pearson_corr"] > 0.9
