"""No model's own code is run: whatever loads one from a folder or the Hub says trust_remote_code=False.

Left out, transformers asks on the terminal, or goes by the code's own default.
"""

import ast

import pytest

from tests.paths import ROOT


def loads(tree):
    """Calls that may run a model's code: from_pretrained of an Auto class, or a SentenceTransformer of a name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        auto = called.split(".")[-1] in ("from_pretrained", "from_config") and "Auto" in called
        named = called.split(".")[-1] in ("SentenceTransformer", "CrossEncoder", "pipeline") and node.args
        if auto or named:
            yield node


@pytest.mark.parametrize("folder", ["reward_models", "awpo_ext", "recipes"])
def test_whatever_loads_a_model_trusts_no_code_of_it(folder):
    found = []
    for path in (ROOT / folder).rglob("*.py"):
        for call in loads(ast.parse(path.read_text(encoding="utf-8"))):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            found.append((f"{path.relative_to(ROOT)}:{call.lineno}", given.get("trust_remote_code")))
    assert found or folder == "recipes"
    assert [place for place, trusted in found if trusted != "False"] == []
