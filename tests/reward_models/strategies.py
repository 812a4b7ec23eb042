"""Hypothesis strategies and text builders that the tests of `reward_models` share."""

import json

from hypothesis import strategies as st

# Few names and values, so that calls collide; True, 1 and 1.0 are among the values on purpose.
values = st.sampled_from([0, 1, True, 1.0, None, "a", "1", [1], {"k": "v"}])
parameters = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)
calls = st.fixed_dictionaries({"name": st.sampled_from(["f", "g", "h"]), "parameters": parameters})
call_lists = st.lists(calls, min_size=1, max_size=4)
# Without "<" no tag can appear by chance.
plain_text = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), max_size=40)
fragments = st.sampled_from(
    [
        "<think>", "</think>", "<tool_call>", "</tool_call>", "<response>", "</response>", "\n", " ", "text", "\x00",
        "\ud800", '{"name": "f", "parameters": {"a": 1}}', '{"name": "f"', "[" * 200, "NaN", "9" * 5000, "{}", "null",
    ]
)  # fmt: skip
tag_soup = st.one_of(st.text(max_size=80), st.lists(fragments, max_size=14).map("".join))


def call_block(calls, *, newline="\n"):
    return "<tool_call>\n" + newline.join(json.dumps(call) for call in calls) + "\n</tool_call>"


def tagged(thought, *, calls=None, response=None):
    """A response in ToolRL's layout."""
    blocks = [f"<think>{thought}</think>"]
    if calls is not None:
        blocks.append(call_block(calls))
    if response is not None:
        blocks.append(f"<response>{response}</response>")
    return "\n".join(blocks)
