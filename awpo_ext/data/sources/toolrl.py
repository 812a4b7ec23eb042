"""ToolRL-style records -> verl rows: rows in verl's schema, {instruction, input, output}, and {system, user, answer}.

The prompts are kept as they are. Of a ground truth only its thought is touched: tags that it quotes lose their
brackets, because format rewards count tags.
"""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row, rl_row, sft_row
from awpo_ext.data.sources.toolrl_source import LICENCE, Record, ToolrlSource
from awpo_ext.data.sources.toolrl_text import parse_tools, user_messages
from awpo_ext.data.split import hash_order, question_key, split_rows
from awpo_ext.data.tagged import NO_THOUGHT, Tagged, TaggedTextError, parse_tagged, render_answer, strip_tags
from awpo_ext.data.validate import check_rl_row
from reward_models.parsing import ToolCall

# ToolRL fills the thought of its RL rows with one of these sentences; they teach no reasoning.
_PLACEHOLDER = re.compile(r"I should (?:use the appropriate tool|directly respond)[^.]*\.")


@dataclass(frozen=True)
class ToolrlOptions:
    """`val_rows` None means: the source's own test split, or 64 rows where it has none. `sft_rows` None keeps all.

    `drop_invalid` leaves out rows that do not validate, and lists them, instead of refusing the whole source.
    """

    val_rows: int | None = None
    sft_rows: int | None = None
    drop_invalid: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("val_rows", "sft_rows"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise DataError(f"--{name.replace('_', '-')}: must not be negative, got {value}")


def _api_bank_answer(answer: Any, where: str) -> str:
    answers = answer if isinstance(answer, list) else [answer]
    try:
        return render_answer(NO_THOUGHT, [ToolCall(call["name"], call["parameters"]) for call in answers])
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f"{where}, answer: not one or more {{name, parameters}} objects") from error


def _parts(record: Record, where: str) -> tuple[Any, Any, Any]:
    """(data_source, prompt, ground truth) of a record in any of the three forms; unchecked."""
    if "prompt" in record and "reward_model" in record:
        reward_model = record["reward_model"]
        truth = reward_model.get("ground_truth") if isinstance(reward_model, dict) else None
        return record.get("data_source", "rlla"), record["prompt"], truth
    if {"instruction", "input", "output"} <= record.keys():
        data_source, system, user, truth = "rlla", record["instruction"], record["input"], record["output"]
    elif {"system", "user", "answer"} <= record.keys():
        data_source, system, user = "api_bank", record["system"], record["user"]
        truth = _api_bank_answer(record["answer"], where)
    else:
        raise DataError(
            f"{where}: unknown form with the fields {', '.join(sorted(record)) or 'none'}; expected prompt and "
            "reward_model (verl), or instruction, input and output, or system, user and answer"
        )
    return data_source, [{"role": "system", "content": system}, {"role": "user", "content": user}], truth


def _category(answer: Tagged) -> str:
    if not answer.calls:
        return "response"
    kind = "single" if len(answer.calls) == 1 else "parallel"
    return kind if answer.response is None else f"{kind}_and_response"


def _clean(truth: str, thought: str) -> str:
    """The ground truth with tags quoted inside its thought made plain; calls and response stay byte for byte."""
    return truth.strip().replace(f"<think>{thought}</think>", f"<think>{strip_tags(thought)}</think>", 1)


def toolrl_row(record: Record, where: str) -> Row:
    """One record as a row whose id is a hash of its content, so that it is the same in every file that has it.

    Raises DataError where the form is unknown, and where the row does not validate (`where` names it).
    """
    data_source, prompt, truth = _parts(record, where)
    try:
        tagged = parse_tagged(truth if isinstance(truth, str) else "")
        truth = _clean(truth, tagged.thought)
    except TaggedTextError:
        tagged = None
    raw = {"data_source": data_source, "prompt": prompt, "reward_model": {"ground_truth": truth}, "extra_info": {}}
    problems = check_rl_row(0, raw)
    if problems:
        raise DataError(f"{where}, {problems[0].field}: {problems[0].message} (fix: {problems[0].fix})")
    if tagged is None:  # readable, but not ToolRL's text
        raise DataError(
            f"{where}, reward_model.ground_truth: not <think>..</think> and <tool_call> or <response> blocks"
        )
    messages = [{"role": message["role"], "content": message["content"]} for message in prompt]
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    texts = [f"{message['role']}\x1f{message['content']}" for message in messages]
    digest = hashlib.sha256("\x1e".join([*texts, truth]).encode()).hexdigest()[:16]
    return rl_row(
        data_source=data_source,
        prompt=messages,
        ground_truth=truth,
        row_id=f"{data_source}-{digest}",
        category=_category(tagged),
        question=_asked(messages)[-1],
        tools=parse_tools(system),
    )


def _asked(messages: list[dict[str, str]]) -> list[str]:
    """What the user said, in order: ToolRL keeps a whole dialogue in one message, other data a message a turn."""
    contents = [message["content"] for message in messages if message["role"] == "user"]
    return [text for content in contents or [messages[-1]["content"]] for text in user_messages(content)]


def _rows(records: list[Record], name: str, options: ToolrlOptions, skipped: dict[str, list[str]]) -> list[Row]:
    rows: dict[str, Row] = {}
    for number, record in enumerate(records):
        where = f"{name}, row {number}"
        try:
            row = toolrl_row(record, where)
        except DataError as error:
            if not options.drop_invalid:
                raise DataError(f"{error}; --drop-invalid leaves such rows out") from error
            skipped["not valid"].append(f"{where}: {error}")
            continue
        row_id = row["extra_info"]["id"]
        if row_id in rows:
            skipped["the same as an earlier row"].append(where)
        rows.setdefault(row_id, row)
    if not rows:
        raise DataError(f"{name}: no valid row is left")
    return list(rows.values())


def _questions(row: Row) -> list[str]:
    """What ties rows to one side of the split: the steps of a conversation share its first message or the last one."""
    asked = _asked(row["prompt"])
    return [asked[0], asked[-1]]


def _apart(rows: list[Row], val: list[Row]) -> list[Row]:
    """The rows that share no question with validation."""
    held_out = {question_key(text) for row in val for text in _questions(row)}
    return [row for row in rows if held_out.isdisjoint(map(question_key, _questions(row)))]


def _has_own_thought(row: Row) -> bool:
    thought = parse_tagged(row["reward_model"]["ground_truth"]).thought.strip()
    return bool(thought) and _PLACEHOLDER.fullmatch(thought) is None


def convert_toolrl(source: ToolrlSource, options: ToolrlOptions, sft_source: ToolrlSource | None = None) -> Dataset:
    """Convert the records; SFT rows are those with a thought of their own, from `sft_source` or else from training.

    The source's own test split is the validation split unless `options.val_rows` asks for another size; rows of the
    other files that share a question with validation are left out and counted. Raises DataError on an invalid row
    unless `options.drop_invalid`, and where nothing is left to train on.
    """
    skipped: dict[str, list[str]] = defaultdict(list)
    rows = _rows(source.train, source.name, options, skipped)
    if source.val and options.val_rows is None:
        val = _rows(source.val, f"{source.name} (test split)", options, skipped)
        train = hash_order(_apart(rows, val), options.seed, "train")
        if not train:
            raise DataError(f"{source.name}: every training row shares its question with the test split")
        kept = {row["extra_info"]["id"] for row in train}
        shared = [row["extra_info"]["id"] for row in rows if row["extra_info"]["id"] not in kept]
        if shared:
            skipped["shares a question with validation"] = shared
    else:
        train, val = split_rows(rows, 64 if options.val_rows is None else options.val_rows, options.seed, _questions)
    candidates = train
    if sft_source is not None:
        candidates = _apart(_rows(sft_source.train, sft_source.name, options, skipped), val)
    reasoned = [row for row in hash_order(candidates, options.seed, "sft") if _has_own_thought(row)]
    sft = [sft_row(row, row["reward_model"]["ground_truth"]) for row in reasoned[: options.sft_rows]]
    about: dict[str, Any] = {
        "source": {"name": source.name, "sft": None if sft_source is None else sft_source.name},
        "licence": LICENCE,
        "options": {
            "val_rows": options.val_rows,
            "sft_rows": options.sft_rows,
            "drop_invalid": options.drop_invalid,
            "seed": options.seed,
        },
    }
    return Dataset(train, val, sft, about, dict(skipped))
