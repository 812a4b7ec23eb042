"""The estimate beside published sizes, transformers' own models, and what must hold of any estimate."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.plan.advice import changes, fits
from awpo_ext.plan.memory import GIB, LOG_PROBS, ROLLOUT, UPDATE, Setup, activation_bytes, peak, phases
from awpo_ext.plan.models import BUILT_IN, PlanError, find, read

# (parameters, without embeddings) in billions, from the model cards
PUBLISHED = {
    "Qwen3-0.6B": (0.6, 0.44),
    "Qwen3-1.7B": (1.7, 1.4),
    "Qwen3-4B": (4.0, 3.6),
    "Qwen3-8B": (8.2, 6.95),
    "Qwen2.5-0.5B": (0.49, 0.36),
    "Qwen2.5-1.5B": (1.54, 1.31),
    "Qwen2.5-3B": (3.09, 2.77),
    "Qwen2.5-7B": (7.61, 6.53),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_models_have_their_published_sizes(name):
    model = find(f"Qwen/{name}-Instruct")
    total, body = PUBLISHED[name]
    assert model.parameters / 1e9 == pytest.approx(total, rel=0.02)
    assert (model.parameters - model.embedding_parameters) / 1e9 == pytest.approx(body, rel=0.02)


def test_qwen3_4b_keeps_144_kib_of_kv_a_token():
    assert find("Qwen3-4B").kv_bytes_per_token() == 2 * 36 * 8 * 128 * 2 == 147456


@pytest.mark.parametrize(("kind", "tied"), [("qwen3", True), ("qwen2", False), ("llama", False)])
def test_parameters_are_those_of_transformers(tmp_path, kind, tied):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    sizes = {"hidden_size": 48, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 80}
    config = transformers.AutoConfig.for_model(
        kind, **sizes, num_hidden_layers=3, vocab_size=100, tie_word_embeddings=tied, head_dim=16
    )
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    assert read(tmp_path / "config.json").parameters == sum(item.numel() for item in model.parameters())


def test_lora_parameters_are_those_of_peft(tmp_path):
    transformers, peft = pytest.importorskip("transformers"), pytest.importorskip("peft")
    config = transformers.AutoConfig.for_model(
        "qwen3", hidden_size=48, num_attention_heads=6, num_key_value_heads=2, intermediate_size=80, head_dim=16,
        num_hidden_layers=3, vocab_size=100,
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_config(config)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = sum(item.numel() for item in adapted.parameters() if item.requires_grad)
    assert read(tmp_path / "config.json").lora_parameters(8) == trained


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_what_autograd_saves(kind, dtype):
    """Two models that differ in one layer: the difference of their saved tensors is that layer's."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from awpo_ext.plan.models import _from_config

    tokens, b = 64, getattr(torch, dtype).itemsize
    sizes = {"hidden_size": 256, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32}

    def saved(layers):
        config = transformers.AutoConfig.for_model(
            kind, **sizes, intermediate_size=640, num_hidden_layers=layers, vocab_size=50, attn_implementation="sdpa"
        )
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        weights = {item.untyped_storage().data_ptr() for item in model.parameters()}
        found = {}

        def keep(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                found[storage.data_ptr()] = (storage.nbytes(), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = model(input_ids=torch.zeros(1, tokens, dtype=torch.long))
        assert output.logits.requires_grad
        return sum(size for size, _ in found.values()), config

    small, _ = saved(1)
    large, config = saved(2)
    assert activation_bytes(_from_config(config.to_dict()), tokens, b) == pytest.approx(large - small, rel=0.15)


SETUPS = st.builds(
    Setup,
    model=st.sampled_from(list(BUILT_IN.values())),
    shards=st.sampled_from([1, 2, 8, 64]),
    update_tokens=st.integers(512, 65536),
    log_prob_tokens=st.integers(512, 65536),
    master=st.sampled_from([2, 4]),
    lora_rank=st.sampled_from([0, 8, 64]),
    checkpointing=st.booleans(),
    fused_kernels=st.booleans(),
    reshard=st.booleans(),
    param_offload=st.booleans(),
    optimizer_offload=st.booleans(),
    offload_all=st.booleans(),
    reference=st.booleans(),
    reference_offload=st.booleans(),
    colocated=st.booleans(),
    sleeps=st.booleans(),
    utilization=st.floats(0.1, 0.9),
)
GPU = 80 * GIB


@given(SETUPS)
def test_savings_never_cost_and_more_never_saves(setup):
    before = peak(setup, GPU)
    for key in (
        "checkpointing",
        "fused_kernels",
        "reshard",
        "param_offload",
        "optimizer_offload",
        "offload_all",
        "sleeps",
    ):
        assert peak(replace(setup, **{key: True}), GPU) <= before or key == "offload_all"
    assert peak(replace(setup, shards=2 * setup.shards), GPU) <= before + setup.model.parameters * setup.compute
    assert peak(replace(setup, update_tokens=2 * setup.update_tokens), GPU) >= before
    assert all(size > 0 for parts in phases(setup, GPU).values() for size in parts.values())


@given(SETUPS)
def test_the_engine_takes_its_share_and_no_more(setup):
    parts = phases(replace(setup, colocated=True), GPU)[ROLLOUT]
    engine = sum(size for name, size in parts.items() if name.startswith("vLLM"))
    assert engine >= int(setup.utilization * GPU) - 1
    if "vLLM KV cache" in parts:
        assert engine == pytest.approx(setup.utilization * GPU, rel=1e-6)


@given(SETUPS)
def test_each_change_does_what_it_says(setup):
    small = 24 * GIB
    before = peak(setup, small)
    for change in changes(setup, small):
        assert change.fits or change.peak < before


def test_what_each_component_is_for_full_training_of_qwen3_4b_on_eight_gpus():
    setup = Setup(find("Qwen3-4B"), shards=8, update_tokens=16384, log_prob_tokens=16384, utilization=0.6)
    parts = phases(setup, GPU)
    parameters = setup.model.parameters
    assert parts[UPDATE]["optimizer"] == parameters * 8 // 8 and parts[UPDATE]["gradients"] == parameters * 4 // 8
    assert parts[UPDATE]["logits"] == 16384 * 151936 * 8
    assert "gradients" not in parts[LOG_PROBS] and "vLLM weights" not in parts[UPDATE]
    assert parts[ROLLOUT]["vLLM weights"] == 2 * parameters
    assert fits(setup, GPU) and not fits(setup, 24 * GIB)


def test_offloads_empty_the_phases_that_they_are_for():
    setup = Setup(find("Qwen3-8B"), shards=8, update_tokens=8192, log_prob_tokens=8192)
    offloaded = phases(replace(setup, param_offload=True, optimizer_offload=True), GPU)
    assert not {"actor weights", "optimizer"} & offloaded[ROLLOUT].keys()
    assert "actor weights" in offloaded[LOG_PROBS] and "optimizer" in offloaded[UPDATE]
    assert (
        not {"actor weights", "optimizer", "gradients"} & phases(replace(setup, offload_all=True), GPU)[UPDATE].keys()
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "qwen3_moe"}, "model_type='qwen3_moe' is not counted"),
        ({"model_type": "qwen3"}, "KeyError"),
        ([], "not the config.json"),
    ],
)
def test_a_config_that_is_not_counted_is_named(tmp_path, config, message):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(PlanError, match=message):
        find(str(tmp_path))


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(PlanError, match="did you mean qwen3-4b"):
        find("Qwen3-4C")


def test_a_setup_is_plain_data():
    assert asdict(Setup(find("Qwen3-4B"), 1, 1, 1))["model"]["layers"] == 36
