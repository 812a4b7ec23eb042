"""The template of a model on this machine says how its responses are read; what is not here says nothing."""

import pytest

pytest.importorskip("transformers")

from awpo_ext.cli.eval_options import Asking
from awpo_ext.data.chat_template import read_template_of
from tests.e2e.taught_model import TEMPLATES, make_tokenizer


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder for each template, in which `awpo eval` sees a model to be served."""
    folders = tmp_path_factory.mktemp("models")
    for name, (_, template) in TEMPLATES.items():
        make_tokenizer(template, ["Why."]).save_pretrained(folders / name)
        (folders / name / "config.json").write_text('{"model_type": "qwen3"}')
        (folders / name / "model.safetensors").touch()
    return folders


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_folder_is_read_by_its_template(models, name):
    dialect, template = TEMPLATES[name]
    thinking = "opened" if "<think>" in template else "auto"
    found = read_template_of(str(models / name))
    assert (found.dialect, found.thinking, found.problem) == (dialect, thinking, "")
    assert Asking(out=models, checkpoint=models / name, extra_body={}).thinking() == thinking


def test_options_and_another_template_decide(models):
    switched = TEMPLATES["qwen3.5"][1].replace("<think>\\n", "<think>\\n' + ('' if thinks else '</think>') + '")
    for thinks, thinking in ((True, "opened"), (False, "auto")):
        assert read_template_of(str(models / "qwen3.5"), switched, {"thinks": thinks}).thinking == thinking
    assert read_template_of(str(models / "qwen3_coder"), TEMPLATES["qwen3_thinking"][1]).dialect == "hermes"


def test_a_closing_tag_that_decoding_drops_ends_no_thought(tmp_path):
    tokenizer = make_tokenizer(TEMPLATES["qwen3.5"][1], ["Why."])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    tokenizer.save_pretrained(tmp_path)
    found = read_template_of(str(tmp_path))
    assert (found.dialect, found.form, found.thinking) == ("qwen3_coder", "think", "auto")


def test_what_is_not_here_says_nothing(tmp_path):
    assert read_template_of(str(tmp_path)) is None
    assert Asking(out=tmp_path, base_url="http://127.0.0.1:1/v1", model="m", extra_body={}).thinking() == "auto"
