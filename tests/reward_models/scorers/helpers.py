"""Rows and a tiny encoder for the tests of scorers."""

import json

from reward_models import Rollout
from reward_models.scorers.data.dataset import HonestRow
from reward_models.scorers.features.head import HeadConfig

SMALL = HeadConfig(epochs=12, members=2)

CITIES = (
    "Paris",
    "Lyon",
    "Rome",
    "Oslo",
    "Bern",
    "Cairo",
    "Lima",
    "Quito",
    "Accra",
    "Delhi",
    "Tokyo",
    "Seoul",
    "Turin",
)
JOBS = ("weather forecast", "hotel booking", "train ticket", "museum guide")


def tool(name, about, *parameters):
    properties = {key: {"type": "string", "description": f"the {key}"} for key in parameters}
    return {"name": name, "description": about, "parameters": {"type": "object", "properties": properties}}


TOOLS = json.dumps([tool(f"get_{job.replace(' ', '_')}", f"Gives a {job} for a city.", "city", "days") for job in JOBS])


def honest_rollout(number):
    city, job, days = CITIES[number % len(CITIES)], JOBS[number % len(JOBS)], number + 2
    name = f"get_{job.replace(' ', '_')}"
    thought = (
        f"Okay, the user wants a {job} in {city} for {days} days. Let me look at the tools. "
        f"The tool {name} gives this, so I will call {name}. The other tools do not fit here. "
        f"Its city is {city}, as the user said. The number of days is {days}. So the call is complete."
    )
    call = json.dumps({"name": name, "parameters": {"city": city, "days": days}})
    response = f"<think>{thought}</think>\n<tool_call>\n{call}\n</tool_call>"
    return Rollout(f"I need a {job} in {city} for {days} days, please.", TOOLS, response, "", "test")


def honest_rows(count):
    return [HonestRow(f"row-{number}", honest_rollout(number), {"from": "test"}) for number in range(count)]


def make_tiny_encoder(folder):
    """A sentence-transformers folder with a random encoder of two small layers, whose words are its own."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word for number in range(64) for word in honest_rollout(number).response.lower().split()})
    plain = folder / "plain"
    plain.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(code) for code in range(33, 127)), *words]
    vocabulary += [f"##{chr(code)}" for code in range(97, 123)]
    (plain / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)))
    tokenizer = BertTokenizerFast.from_pretrained(plain, model_max_length=128)
    assert len(tokenizer) > 200  # a constructor that does not know vocab_file gives five special tokens
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = models.Transformer(str(plain), max_seq_length=128)
    model = SentenceTransformer(modules=[transformer, models.Pooling(32)], device="cpu")
    model.save(str(folder / "encoder"))
    return folder / "encoder"
