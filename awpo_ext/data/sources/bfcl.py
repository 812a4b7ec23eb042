"""BFCL's single-turn Python categories -> verl rows with tagged ground truths and program-written SFT answers.

The multi-turn categories, which need another schema, are in `bfcl_multi_turn.py`. The Java and JavaScript ones (arguments in
another language's syntax) and live_relevance (16 rows without an answer to compare with) are not converted.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.prompts import SystemPrompt, load_prompt
from awpo_ext.data.rows import Row, prompt_chars, rl_row, sft_row
from awpo_ext.data.sources.bfcl_answers import NoAcceptableCall, first_call
from awpo_ext.data.sources.bfcl_source import LICENCE, BfclSource, read_category
from awpo_ext.data.split import hash_order, split_rows
from awpo_ext.data.tagged import NO_THOUGHT, NO_TOOL_FITS, parse_tagged, render_answer, render_reply
from awpo_ext.data.thoughts import write_thought
from awpo_ext.data.tools import TOOL_FORMATS, normalise_tool, render_tools

CATEGORIES = (
    "simple_python",
    "multiple",
    "parallel",
    "parallel_multiple",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
)

# Rows in which no tool fits: right is to call none.
IRRELEVANCE = ("irrelevance", "live_irrelevance")
GROUPS = {
    "python": CATEGORIES[:4],
    "live": CATEGORIES[4:],
    "irrelevance": IRRELEVANCE,
}


# By tool format, and by whether rows of IRRELEVANCE are among them: then the prompt must say what to do without a tool.
_PROMPTS = {
    ("compact", False): "compact_v1",
    ("json", False): "json_v1",
    ("compact", True): "compact_v2",
    ("json", True): "json_v2",
}


@dataclass(frozen=True)
class BfclOptions:
    """What to convert, checked on construction (DataError names the option).

    `max_prompt_chars` drops rows with a longer prompt; None keeps all. `sft_rows` asks for at most that many of
    the training rows. `tool_format` is `json` (whole schemas) or `compact` (signatures, for very small models).
    """

    categories: tuple[str, ...] = CATEGORIES
    val_rows: int = 64
    sft_rows: int = 300
    max_prompt_chars: int | None = None
    tool_format: str = "json"
    seed: int = 0

    def __post_init__(self) -> None:
        known = (*CATEGORIES, *IRRELEVANCE)
        unknown = [name for name in self.categories if name not in known]
        if unknown or not self.categories:
            raise DataError(f"--categories: {unknown[0] if unknown else 'none'!r}; choose from {', '.join(known)}")
        if len(set(self.categories)) != len(self.categories):
            raise DataError("--categories: a category is named twice")
        for name in ("val_rows", "sft_rows"):
            if getattr(self, name) < 0:
                raise DataError(f"--{name.replace('_', '-')}: must not be negative, got {getattr(self, name)}")
        if self.max_prompt_chars is not None and self.max_prompt_chars < 1:
            raise DataError(f"--max-prompt-chars: must be positive, got {self.max_prompt_chars}")
        if self.tool_format not in TOOL_FORMATS:
            raise DataError(f"--tool-format: {self.tool_format!r}; choose from {', '.join(TOOL_FORMATS)}")


def bfcl_row(
    entry: dict[str, Any], answers: list[dict[str, Any]], category: str, prompt: SystemPrompt, tool_format: str
) -> Row:
    """One entry of BFCL as a row, without `answers` one whose tools do not fit.

    Its `data_source` is `bfcl/<category>`, so verl reports validation by category. System messages of the entry
    follow ours in the same message; what was said before the last question stays a message each. Raises
    NoAcceptableCall where the answers do not fit the tools, and DataError where the entry is not one turn that ends
    with the user.
    """
    turns = entry["question"]
    messages = turns[0]
    if len(turns) != 1 or messages[-1]["role"] != "user":
        raise DataError(f"{category}, id {entry['id']!r}: expected one turn that ends with the user's message")
    tools = [normalise_tool(tool) for tool in entry["function"]]
    calls = [first_call(answer, tools) for answer in answers]
    given = [message["content"] for message in messages if message["role"] == "system"]
    system = "\n\n".join([prompt.fill(render_tools(tools, tool_format)), *given])
    said = [{"role": m["role"], "content": m["content"]} for m in messages if m["role"] != "system"]
    question = messages[-1]["content"]
    return rl_row(
        data_source=f"bfcl/{category}",
        prompt=[{"role": "system", "content": system}, *said],
        ground_truth=render_answer(NO_THOUGHT, calls) if calls else render_reply(NO_THOUGHT, NO_TOOL_FITS),
        row_id=entry["id"],
        category=category,
        question=question,
        tools=tools,
        possible_answer=answers or None,
    )


def _sft_answer(row: Row, tools: list[dict[str, Any]], seed: int) -> Row:
    info = row["extra_info"]
    calls = list(parse_tagged(row["reward_model"]["ground_truth"]).calls)
    return sft_row(row, render_answer(write_thought(info["id"], info["question"], calls, tools, seed), calls))


def convert_bfcl(source: BfclSource, options: BfclOptions) -> Dataset:
    """Convert the categories, split by a stable hash, and write thoughts for the SFT rows.

    Rows whose answer fits no call of their tools, whose question is empty, or whose prompt is too long are left out and
    listed by reason. The same source and options give the same rows. Raises DataError where nothing is left.
    """
    prompt = load_prompt(_PROMPTS[options.tool_format, not set(IRRELEVANCE).isdisjoint(options.categories)])
    rows: list[Row] = []
    tools_of: dict[str, list[dict[str, Any]]] = {}
    skipped: dict[str, list[str]] = defaultdict(list)
    for category in options.categories:
        for entry, answers in read_category(source, category, category not in IRRELEVANCE):
            try:
                row = bfcl_row(entry, answers, category, prompt, options.tool_format)
            except NoAcceptableCall as error:
                skipped[str(error)].append(entry["id"])
                continue
            except (AttributeError, IndexError, KeyError, TypeError) as error:
                raise DataError(f"{category}, id {entry['id']!r}: not in the form of BFCL v4 ({error!r})") from error
            if not row["extra_info"]["question"].strip():
                skipped["the question is empty"].append(entry["id"])
            elif options.max_prompt_chars is not None and prompt_chars(row) > options.max_prompt_chars:
                skipped["the prompt is longer than --max-prompt-chars"].append(entry["id"])
            else:
                rows.append(row)
                tools_of[entry["id"]] = [normalise_tool(tool) for tool in entry["function"]]
    if not rows:
        raise DataError("no row is left to convert; see --categories and --max-prompt-chars")
    train, val = split_rows(rows, options.val_rows, options.seed)
    with_calls = [row for row in train if row["extra_info"]["category"] not in IRRELEVANCE]
    chosen = hash_order(with_calls, options.seed, "sft")[: options.sft_rows]
    sft = [_sft_answer(row, tools_of[row["extra_info"]["id"]], options.seed) for row in chosen]
    about = {
        "source": {"name": "bfcl-eval", "kind": source.kind, "version": source.version},
        "licence": LICENCE,
        "options": {**asdict(options), "categories": list(options.categories)},
        "prompt": {"name": prompt.name, "sha256": prompt.sha256},
    }
    return Dataset(train, val, sft, about, dict(skipped))
