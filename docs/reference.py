"""The site's reference pages, made from the code: a hook of mkdocs (mkdocs.yml). Every key, column, metric and command.

A key's text is the comment beside or above its field, or its line in the class's docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pkgutil import walk_packages
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import reward_models
from awpo_ext.config import AwpoConfig
from awpo_ext.guard.options import GuardOptions
from awpo_ext.record.options import RecordOptions
from reward_models.options import Options, Range
from reward_models.reward import RewardFunction
from reward_models.reward_columns import REWARD_COLUMNS

API = {
    "The method": ["awpo_ext.advantage", "awpo_ext.clipping", "awpo_ext.components", "awpo_ext.config",
                   "awpo_ext.gating", "awpo_ext.metrics"],
    "Interfaces": ["reward_models.types", "reward_models.judges.base", "reward_models.judges.llm.prompt_judge",
                   "reward_models.verifiers.base", "reward_models.rollout_view"],
    "Reward function": ["reward_models.reward", "reward_models.registry"],
}  # fmt: skip


def table(*heads: str) -> str:
    return f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"


def row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |\n"


def entries(text: str) -> dict[str, str]:
    """`name, other: what it is` lines of a docstring, with the deeper lines that follow each."""
    found: dict[str, str] = {}
    names: list[str] = []
    depth = 0
    for line in text.splitlines():
        entry = re.match(r"( *)((?:`?\w+`?, )*`?\w+`?): (.*)", line)
        indent = len(line) - len(line.lstrip())
        if entry and (not names or indent <= depth):
            names, depth = [name.strip("`") for name in entry[2].split(", ")], len(entry[1])
            found |= dict.fromkeys(names, entry[3])
        elif names and line.strip() and indent > depth:
            for name in names:
                found[name] += " " + line.strip()
        else:
            names = []
    return found


def comments(cls: type) -> dict[str, str]:
    """Field -> the comment at its line's end, or on the lines right above it."""
    found, above = {}, ""
    for line in inspect.getsource(cls).splitlines():
        field = re.match(r"    (\w+): [^#]*(?:#(.*))?$", line)
        if comment := re.match(r"    # ?(.*)", line):
            above = f"{above} {comment[1]}".strip()
            continue
        if field and (field[2] or above):
            found[field[1]] = (field[2] or above).strip()
        above = ""
    return found


def options() -> Iterator[type]:
    """Every dataclass of options in reward_models, in the order of their modules."""
    seen = set()
    for module in walk_packages(reward_models.__path__, "reward_models."):
        for _, cls in inspect.getmembers(import_module(module.name), inspect.isclass):
            if (
                issubclass(cls, Options)
                and cls.__module__ == module.name
                and is_dataclass(cls)
                and fields(cls)
                and cls not in seen
            ):
                seen.add(cls)
                yield cls


def keys(cls: type) -> str:
    notes = entries(inspect.getdoc(cls) or "") | comments(cls)
    types = get_type_hints(cls, include_extras=True)
    lines = table("key", "type", "default", "what it does")
    for field in fields(cls):
        value = field.default if field.default_factory is MISSING else field.default_factory()
        default = "required" if value is MISSING else f"`{value!r}`"
        lines += row(f"`{field.name}`", f"{kind(types[field.name])}", default, notes.get(field.name, ""))
    return lines


def kind(annotation: Any) -> str:
    """A type as the page shows it: `float` in [0, 1]."""
    if get_origin(annotation) is Annotated:
        base, *limits = get_args(annotation)
        return kind(base) + "".join(f" in {limit}" if isinstance(limit, Range) else "" for limit in limits)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    plain = re.sub(r"Annotated\[(.*?), [A-Z]\w*\(.*?\)\]", r"\1", inspect.formatannotation(annotation))
    return f"`{re.sub(r'[a-z_.]+[.](?=[A-Z])|typing[.]', '', plain)}`"


def config_page() -> str:
    page = "# Configuration keys\n\n## The method\n\n`+algorithm.awpo.<key>=<value>` in verl; [the method](../method.md).\n\n"
    page += keys(AwpoConfig)
    for cls, where in ((GuardOptions, "[the guard](../guard.md)"), (RecordOptions, "[the record](../record.md)")):
        page += f"\n## {cls.owner}\n\n`+{cls.owner}.<key>=<value>` in verl; {where}.\n\n{keys(cls)}"
    for cls in options():
        about = (inspect.getdoc(cls) or "").split("\n\n")[0].splitlines()
        module = cls.__module__.removeprefix("reward_models.")
        page += f"\n## {module}: {cls.__name__}\n\n{about[0] if about else ''}\n\n{keys(cls)}"
    return page


def columns_page() -> str:
    notes = entries(inspect.getdoc(RewardFunction.__call__) or "")
    page = (
        "# Reward columns\n\nWhat `pkg://reward_models.reward` returns for each rollout, all numbers but `details`.\n\n"
    )
    return (
        page
        + table("column", "what it says")
        + "".join(row(f"`{name}`", notes.get(name, "")) for name in REWARD_COLUMNS)
    )


def metrics_page() -> str:
    """The names that a step logs; what each says is in docs/plugin.md."""
    import torch

    from awpo_ext.advantage import awpo_advantages
    from awpo_ext.clipping import clip_radius
    from awpo_ext.metrics import awpo_metrics

    outcome, reasoning = torch.tensor([4.0, -3.0, 1.0, 1.0]), torch.tensor([0.9, 0.2, 0.4, 0.6])
    config, valid = AwpoConfig(), torch.ones(4, dtype=torch.bool)
    result = awpo_advantages(outcome, reasoning, ["a", "a", "b", "b"], config, valid)
    names = awpo_metrics(result, outcome, reasoning, valid, clip_radius(result.gate, config), config, valid)
    page = "# Metrics\n\nWhat a training step logs of the method with one signal. What each says: "
    page += "[the plugin](../plugin.md#what-is-logged); what the judge logs: [LLM judges](../judges.md).\n\n"
    return page + "".join(f"- `{name}`\n" for name in sorted(names))


def commands_page() -> str:
    import typer.main

    from awpo_ext.cli.main import app

    return "# Commands\n" + "".join(commands(typer.main.get_command(app), "awpo"))


def commands(command: Any, path: str) -> Iterator[str]:
    if inner := getattr(command, "commands", None):
        for name, one in sorted(inner.items()):
            yield from commands(one, f"{path} {name}")
        return
    text = f"\n## {path}\n\n{inspect.cleandoc(command.help or '')}\n\n" + table("option", "default", "what it does")
    for option in command.params:
        if not getattr(option, "hidden", False):
            name = (
                ", ".join([*option.opts, *option.secondary_opts])
                if option.param_type_name == "option"
                else option.name.upper()
            )
            default = "required" if option.required else "" if option.default is None else f"`{option.default}`"
            text += row(f"`{name}`", default, getattr(option, "help", None) or "")
    yield text


def api_page() -> str:
    page = "# Python interface\n"
    for title, modules in API.items():
        page += f"\n## {title}\n\n" + "".join(f"::: {module}\n\n" for module in modules)
    return page


PAGES: dict[str, Callable[[], str]] = {
    "config": config_page,
    "columns": columns_page,
    "metrics": metrics_page,
    "commands": commands_page,
    "api": api_page,
}


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files
