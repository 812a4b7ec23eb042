"""The runner alone: what is under way when a run is stopped is kept."""

import threading
import time

import pytest

from awpo_ext.evaluate.runner import run
from awpo_ext.evaluate.store import Store


def test_ctrl_c_keeps_what_was_under_way_and_starts_nothing_more(tmp_path):
    store = Store(tmp_path / "answers.jsonl", {})
    asked, lock = [], threading.Lock()

    def unit(number):
        def ask():
            with lock:
                asked.append(number)
            time.sleep(0.02 * (1 + number % 3))
            return {"number": number}

        return f"k{number}", ask

    done = []

    def answered():
        done.append(1)
        if len(done) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([unit(number) for number in range(50)], store, 4, answered)
    store.close()
    assert len(asked) < 12
    again = Store(tmp_path / "answers.jsonl", {})
    assert again.answers == {f"k{number}": {"number": number} for number in asked}
    again.close()


def test_an_error_of_ours_is_not_hidden(tmp_path):
    store = Store(tmp_path / "answers.jsonl", {})
    with pytest.raises(ZeroDivisionError):
        run([("a", lambda: {"x": 1 / 0})], store, 2)
    store.close()
