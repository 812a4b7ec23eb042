"""Tiny models, on one thread: two that wait for each other take several times as long where the cores are shared."""

import pytest

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    from tests.reward_models.scorers.classifier.tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / "bert", "bert")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    from tests.reward_models.scorers.classifier.tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama")
