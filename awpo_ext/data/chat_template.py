"""Which dialect and thinking form the chat template of a model on this machine has, by the model's path or name."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reward_models.parsing import TemplateReading, read_template
from reward_models.parsing.thoughts import THINKING_FORMS


def read_template_of(
    path: str, template: str | None = None, options: Mapping[str, Any] | None = None
) -> TemplateReading | None:
    """The reading of `template`, or else of the tokenizer's own, rendered with `options`; None where there is none here.

    `path` is a folder or a name of the Hugging Face hub. A tokenizer that cannot be loaded is no error: whoever runs the
    model says so. Where decoding drops the tag that ends a thought, as a special token, no response shows where its thought
    ends, and `thinking` is "auto": with "opened" none could be read.
    """
    tokenizer = _tokenizer(path)
    template = template or getattr(tokenizer, "chat_template", None)
    if tokenizer is None or not template:
        return None
    render = partial(tokenizer.apply_chat_template, **{**(options or {}), "chat_template": template})
    reading = read_template(SimpleNamespace(chat_template=template, apply_chat_template=render))
    closing = next((form.closing for form in THINKING_FORMS if form.name == reading.form), "")
    kept = closing in tokenizer.decode(tokenizer.encode(closing, add_special_tokens=False), skip_special_tokens=True)
    return reading if kept else replace(reading, thinking="auto")


@cache
def _tokenizer(path: str) -> Any | None:
    """Looked for once: on a machine without a network, a name of the hub takes its time to fail."""
    folder = Path(path).expanduser()
    try:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder if folder.is_dir() else path, trust_remote_code=False)
    except Exception:  # offline, not found, gated, broken: many unrelated types
        return None
