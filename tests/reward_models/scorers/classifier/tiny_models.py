"""Small labelled rollouts, and models of a few thousand random weights, for the tests of classifiers."""

import json
import random

from reward_models.labelled import HONEST, LabelledRollout
from reward_models.types import Rollout

CITIES = ["Paris", "Oslo", "Lima", "Rome", "Cairo", "Quito", "Delhi", "Bonn"]
TOOLS = json.dumps(
    [
        {"name": "get_weather", "description": "The weather.", "parameters": {"city": {"type": "string"}}},
        {"name": "get_time", "description": "The time.", "parameters": {"city": {"type": "string"}}},
    ]
)


def rollout(thought, city="Paris", question=None, tools=TOOLS):
    call = json.dumps({"name": "get_weather", "parameters": {"city": city}})
    return Rollout(
        question=f"How is the weather in {city}?" if question is None else question,
        tools=tools,
        response=f"<think>{thought}</think>\n<tool_call>\n{call}\n</tool_call>",
        ground_truth="",
        data_source="test",
    )


def labelled_rows(n_sources, seed=0):
    """An honest and a bad thought for each source; the bad one is told by a word."""
    rng = random.Random(seed)
    rows = []
    for number in range(n_sources):
        city = rng.choice(CITIES)
        good = rollout(f"The user wants the weather in {city}, so get_weather fits.", city)
        bad = rollout(f"Bananas are yellow, bananas are {rng.choice(CITIES)}.", city)
        source = f"row {number}"
        rows.append(LabelledRollout(f"{number} good", source, HONEST, 1.0, good))
        rows.append(LabelledRollout(f"{number} bad", source, "off_topic", 0.0, bad, pair=f"{number} good"))
    return rows


def save_tiny(folder, kind, seed=0):
    """A random `bert` or `llama` with its tokenizer, as a Hugging Face folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import AutoModel, BertConfig, LlamaConfig, PreTrainedTokenizerFast

    words = [row.rollout.response + row.rollout.question + TOOLS for row in labelled_rows(20)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["[PAD]", "[CLS]", "[SEP]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(words, trainer)
    if kind == "bert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=512
    )
    # One head of 32: vLLM's attention on CPUs knows no smaller one.
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 64}
    torch.manual_seed(seed)
    config = (BertConfig if kind == "bert" else LlamaConfig)(
        vocab_size=len(fast), max_position_embeddings=512, pad_token_id=0, initializer_range=0.2, **shape
    )
    AutoModel.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
