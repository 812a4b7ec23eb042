"""The system prompts, one versioned text file each, and their content hash for the manifest."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

_SLOT = "{tools}"


@dataclass(frozen=True)
class SystemPrompt:
    """A system prompt with a slot for the tools; `name` carries its version, `sha256` its exact content."""

    name: str
    text: str
    sha256: str

    def fill(self, tools: str) -> str:
        """The prompt with the rendered tools in its slot."""
        return self.text.replace(_SLOT, tools)


def load_prompt(name: str) -> SystemPrompt:
    """Read `<name>.txt` of this package. Raises FileNotFoundError, and ValueError where the slot is missing."""
    text = files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8").strip()
    if text.count(_SLOT) != 1:
        raise ValueError(f"prompt {name!r} must hold {_SLOT} exactly once")
    return SystemPrompt(name, text, hashlib.sha256(text.encode()).hexdigest())
