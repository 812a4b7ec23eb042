"""Make the multi-turn recipe's toy data: `python make_data.py OUT [--train 64] [--val 16] [--sft 96]`.

Each row has two user turns, "Deposit 7." and then "Withdraw 3.", in varied words; sft.parquet has whole trajectories in
which a program wrote the thoughts, so that a small model learns the form. The amounts of validation occur in no other row.
"""

import argparse
import json
import random
from pathlib import Path

from awpo_ext.data.dataset import Dataset, write_dataset
from awpo_ext.data.rows import MULTI_TURN_SCHEMA, Row, multi_turn_row, rl_row
from recipes.multiturn.bank import Bank

WORDS = {
    "deposit": ("Deposit {}.", "Please pay in {}.", "Put {} into the account."),
    "withdraw": ("Withdraw {}.", "Please take out {}.", "I need {} from the account."),
}
START = 40
LARGEST = 20
TOOLS = [
    {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
    }
    for name, description in (
        ("deposit", "Put money into the account."),
        ("withdraw", "Take money out of the account."),
    )
]
SYSTEM = (
    "Tools: deposit(amount: int), withdraw(amount: int). Think, call one tool, then tell the balance.\n"
    '<think>why</think>\n<tool_call>\n{"name": "tool", "arguments": {"amount": 1}}\n</tool_call>'
)


def call_text(name: str, amount: int) -> str:
    call = json.dumps({"name": name, "arguments": {"amount": amount}})
    return f"<think>The user asks to {name} {amount}.</think>\n<tool_call>\n{call}\n</tool_call>"


def rl(row_id: str, steps: list[tuple[str, int]], words: random.Random) -> Row:
    asked = [words.choice(WORDS[name]).format(amount) for name, amount in steps]
    truth = {
        "involved_classes": ["Bank"],
        "initial_config": {"Bank": {"balance": START}},
        "turns": [[{"name": name, "arguments": {"amount": amount}}] for name, amount in steps],
    }
    row = rl_row(
        data_source="bank", prompt=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked[0]}],
        ground_truth=json.dumps(truth), row_id=row_id, category="two_turns", question=" ".join(asked), tools=TOOLS,
    )  # fmt: skip
    return multi_turn_row(row, asked[1:], [tool["name"] for tool in TOOLS])


def sft(row: Row, steps: list[tuple[str, int]]) -> Row:
    """The perfect trajectory of a row."""
    bank = Bank(START)
    messages = list(row["prompt"])
    for i, (name, amount) in enumerate(steps):
        if i:
            messages.append({"role": "user", "content": row["extra_info"]["user_turns"][i - 1]})
        answer = getattr(bank, name)(amount)
        messages += [
            {"role": "assistant", "content": call_text(name, amount)},
            {"role": "tool", "content": json.dumps(answer)},
            {"role": "assistant", "content": f"The balance is {bank.balance}."},
        ]
    info = row["extra_info"]
    return {"messages": messages, "data_source": "bank", "id": info["id"], "category": info["category"]}


def make(train: int, val: int, sft_rows: int, seed: int = 0) -> Dataset:
    """Rows with amounts of their own for validation; SFT rows are further ones like the training rows."""
    draw = random.Random(seed)
    pairs = [(first, second) for first in range(1, LARGEST + 1) for second in range(1, LARGEST + 1)]
    draw.shuffle(pairs)
    held_out, rest = pairs[:val], pairs[val:]
    rows = []
    for i in range(val + train + sft_rows):
        amounts = held_out[i] if i < val else draw.choice(rest)
        steps = list(zip(draw.choices(["deposit", "withdraw"], k=2), amounts, strict=True))
        rows.append((rl(f"bank_{i}", steps, draw), steps))
    about = {
        "source": {"name": "recipes/multiturn/make_data.py", "seed": seed},
        "licence": "Apache-2.0 (made by a program)",
    }
    return Dataset(
        train=[row for row, _ in rows[val : val + train]],
        val=[row for row, _ in rows[:val]],
        sft=[sft(row, steps) for row, steps in rows[val + train :]],
        about=about,
        schema=MULTI_TURN_SCHEMA,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=64)
    parser.add_argument("--val", type=int, default=16)
    parser.add_argument("--sft", type=int, default=96)
    args = parser.parse_args()
    manifest = write_dataset(args.out, make(args.train, args.val, args.sft))
    for name, file in manifest["files"].items():
        print(f"{args.out}/{name}: {file['rows']} rows")


if __name__ == "__main__":
    main()
