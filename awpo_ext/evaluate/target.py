"""The model under evaluation: an endpoint that is there, or a checkpoint that vLLM serves meanwhile."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from awpo_ext.evaluate import checkpoint as checkpoints
from awpo_ext.evaluate.chat import Chat, Sampling
from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.server import NAME, served


def check_target(base_url: str | None, name: str | None, checkpoint: Path | None) -> None:
    """EvalError unless exactly one model is named, and in full, an endpoint by a URL."""
    if (checkpoint is None) == (base_url is None):
        raise EvalError("name the model by --base-url and --model, or by --checkpoint")
    if base_url is not None and not re.match(r"https?://[^/]", base_url):
        raise EvalError(f"--base-url {base_url}: must be a URL with http:// or https://, such as {_as_url(base_url)}")
    if base_url is not None and not name:
        raise EvalError("--base-url needs --model, the model's name there")


def _as_url(text: str) -> str:
    """What was probably meant: `host:port` is what servers print, and `/v1` is where their API is."""
    host = text.split("://")[-1].strip("/") or "127.0.0.1:8000"
    return f"http://{host}" if "/" in host else f"http://{host}/v1"


@contextlib.contextmanager
def under_evaluation(
    base_url: str | None,
    name: str | None,
    key_env: str,
    checkpoint: Path | None,
    merge_to: Path | None,
    vllm_args: str,
    start_s: float,
    out: Path,
    say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """The model under evaluation: an endpoint, or a checkpoint served as long as this context lasts."""
    check_target(base_url, name, checkpoint)
    if base_url is not None:
        found = Chat(base_url, name, Sampling(), key_env).served()
        yield {"name": name, "base_url": base_url, "identity": {"name": name, "root": found.get("root")}, **found}
        return
    folder = checkpoints.resolve(checkpoint, merge_to)
    mark = checkpoints.fingerprint(folder)
    out.mkdir(parents=True, exist_ok=True)
    say(f"starting vLLM for {folder}; its output: {out / 'vllm.log'}")
    with served(folder, shlex.split(vllm_args), out / "vllm.log", start_s) as url:
        found = Chat(url, NAME, Sampling(), key_env).served()
        facts = {"name": checkpoint.resolve().name, "checkpoint": str(checkpoint), "fingerprint": mark}
        length = {"max_model_len": found.get("max_model_len"), "vllm_args": vllm_args.strip()}
        yield {
            **facts,
            **length,
            "base_url": url,
            "identity": {"fingerprint": mark, "vllm_args": vllm_args.strip()},
        }


def chat_with(model: dict[str, Any], sampling: Sampling, key_env: str, timeout_s: float, retries: int) -> Chat:
    name = NAME if "checkpoint" in model else model["name"]
    return Chat(model["base_url"], name, sampling, key_env, timeout_s, retries)
