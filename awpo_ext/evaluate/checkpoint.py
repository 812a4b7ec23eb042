"""What kind of folder a checkpoint is, what it is called by, and what to do where vLLM cannot serve it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from awpo_ext.evaluate.errors import EvalError

_PEEK = 1 << 20
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_ADAPTER = "lora_adapter"  # where verl's merger leaves what LoRA trained; the weights beside it are the base model's


def resolve(path: Path, merge_to: Path | None) -> Path:
    """The Hugging Face folder to serve: `path` itself, the hub's model of that name, or what is merged into `merge_to`.

    EvalError for what is none of them, and, where `merge_to` is None, for verl's sharded format, with the command.
    """
    if not path.exists() and _HUB_ID.fullmatch(str(path)):
        path = _from_hub(str(path))
    if not path.is_dir():
        raise EvalError(f"--checkpoint {path}: no such folder")
    shards = shard_folder(path)
    if shards is not None:
        return _merged(shards, merge_to)
    if (path / "adapter_config.json").is_file():
        raise EvalError(
            f"--checkpoint {path}: a LoRA adapter; merge it into its base model first (peft: merge_and_unload)"
        )
    if not (path / "config.json").is_file():
        raise EvalError(f"--checkpoint {path}: no config.json in it; is this a Hugging Face folder or one of verl's?")
    if not _weights(path):
        raise EvalError(f"--checkpoint {path}: no weights (*.safetensors or *.bin) in it")
    return path


def shard_folder(path: Path) -> Path | None:
    """The folder with verl's shards: `path`, or its `actor`."""
    for folder in (path, path / "actor"):
        if any(folder.glob("model_world_size_*_rank_*.pt")) or (folder / "fsdp_config.json").is_file():
            return folder
        if (folder / "dist_ckpt").is_dir():
            return folder
    return None


def merge_command(shards: Path, target: Path) -> list[str]:
    backend = "megatron" if (shards / "dist_ckpt").is_dir() else "fsdp"
    paths = ["--local_dir", str(shards), "--target_dir", str(target)]
    return [sys.executable, "-m", "verl.model_merger", "merge", "--backend", backend, *paths]


def fingerprint(path: Path) -> str:
    """A hash of every file's name, size, first and last MiB: another training step is another model."""
    digest = hashlib.sha256()
    for file in sorted(item for item in path.iterdir() if item.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with open(file, "rb") as stream:
            digest.update(stream.read(_PEEK))
            stream.seek(max(0, size - _PEEK))
            digest.update(stream.read(_PEEK))
    return digest.hexdigest()[:16]


def _merged(shards: Path, target: Path | None) -> Path:
    if target is None:
        command = " ".join(["python", *merge_command(shards, Path("MERGED"))[1:]])
        raise EvalError(
            f"--checkpoint: {shards} is in verl's sharded format; add --merge-to FOLDER to have it merged, or run\n"
            f"  {command}\nand pass --checkpoint MERGED"
        )
    if (target / "config.json").is_file() and _weights(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as partial:
        made = Path(partial) / "model"  # named `target` when it is whole: a killed merge leaves nothing to be served
        done = subprocess.run(merge_command(shards, made), capture_output=True, text=True)
        if done.returncode != 0 or not _weights(made):
            raise EvalError(f"verl's merger failed on {shards}:\n{(done.stderr or done.stdout)[-2000:]}")
        if (made / _ADAPTER).is_dir():
            _add_adapter(made)
        made.rename(target)
    return target


def _add_adapter(folder: Path) -> None:
    """Add what LoRA trained to the base model's weights that verl's merger left beside it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False
    )  # the sum is rounded once, at its end
    whole = PeftModel.from_pretrained(base, folder / _ADAPTER).merge_and_unload()
    for file in (*folder.glob("*.safetensors"), *folder.glob("*.index.json"), *folder.glob("*.bin")):
        file.unlink()
    whole.to(torch.bfloat16).save_pretrained(folder)


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]))
    except Exception as error:  # not installed, offline, not found, gated, no space: many unrelated types
        first = str(error).splitlines()[0] if str(error) else "no message"
        raise EvalError(
            f"--checkpoint {name}: no such folder, and the hub's model cannot be loaded ({type(error).__name__}: {first})"
        ) from error


def _weights(path: Path) -> bool:
    return any(path.glob("*.safetensors")) or any(path.glob("*.bin"))
