"""Models of some 100,000 weights that are taught a few texts in seconds, each behind a chat template of a kind people train.

A taught model draws one of the texts for every prompt, so its rollouts differ in what they are worth.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from recipes.cpu.make_model import BOS, EOS, PAD, random_tiny, save

Messages = list[dict[str, str]]

_CHAT = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}{%- set f = call.function %}CALL{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\nOPENING' }}{%- endif %}
"""
_JSON = """\
{{- '\\n<tool_call>\\n{"name": "' + f.name + '", "arguments": ' }}{{ f.arguments | tojson }}{{- '}\\n</tool_call>' }}"""
_XML = """\
{{- '\\n<tool_call>\\n<function=' + f.name + '>\\n' }}
{%- for name, value in f.arguments.items() %}
{{- '<parameter=' + name + '>\\n' + (value | string) + '\\n</parameter>\\n' }}
{%- endfor %}{{- '</function>\\n</tool_call>' }}"""
TEMPLATES = {  # name -> (dialect, the template)
    "qwen3_thinking": ("hermes", _CHAT.replace("CALL", _JSON).replace("OPENING", "<think>\\n")),
    "qwen3_coder": ("qwen3_coder", _CHAT.replace("CALL", _XML).replace("OPENING", "")),
    "qwen3.5": ("qwen3_coder", _CHAT.replace("CALL", _XML).replace("OPENING", "<think>\\n")),
}


def make_tokenizer(template: str, texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Some hundred tokens, which are the words of the texts and every byte; digits stay single."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=[PAD, BOS, EOS], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD, clean_up_tokenization_spaces=False,
        padding_side="left", chat_template=template,
    )  # fmt: skip


def teach(folder: Path, template: str, rows: Sequence[tuple[Messages, str]], steps: int = 240) -> None:
    """Write a model that answers a prompt as one of the rows with it does, drawn evenly. A few seconds."""
    texts = [text for messages, answer in rows for text in (*(m["content"] for m in messages), answer)]
    tokenizer = make_tokenizer(template, texts)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors this small only wait for one another on several
    model = random_tiny(tokenizer).float()
    encoded = [_encode(tokenizer, *row) for row in rows]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    chosen = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = [encoded[i] for i in torch.randint(len(encoded), (12,), generator=chosen)]
        ids = torch.nn.utils.rnn.pad_sequence([ids for ids, _ in batch], batch_first=True)
        labels = torch.nn.utils.rnn.pad_sequence([labels for _, labels in batch], batch_first=True, padding_value=-100)
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)
    save(model.to(torch.bfloat16), tokenizer, folder)
    assert AutoTokenizer.from_pretrained(folder).chat_template == template


def _encode(tokenizer: PreTrainedTokenizerFast, messages: Messages, answer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, and the same with -100 where the model is not to learn them."""
    prompt = tokenizer.encode(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    own = tokenizer.encode(answer + EOS)
    return torch.tensor(prompt + own), torch.tensor([-100] * len(prompt) + own)


def render_call(template: str, name: str, arguments: dict) -> str:
    """A call as the template writes it."""
    import jinja2

    called = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}
    text = jinja2.Environment().from_string(template).render(messages=[called])
    return text.removeprefix("<|im_start|>assistant\n").removesuffix("<|im_end|>\n").strip()


TOOLS = json.dumps(
    [
        {
            "name": "add",
            "description": "Add.",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "required": ["a", "b"],
            },
        }
    ]
)
