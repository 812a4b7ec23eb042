import pytest

pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    from tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / "bert", "bert")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    from tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama")
