"""A dataset's files from the Hugging Face hub, for sources that are folders of files. Needs a network, or its cache."""

import re
from pathlib import Path

from awpo_ext.data.errors import DataError

_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def local_or_hub(source: Path) -> Path:
    """The path itself where it exists, else the folder with the files of the hub dataset `owner/name`.

    Raises DataError where it is neither, and where the hub's files cannot be loaded.
    """
    if source.exists() or not _ID.fullmatch(str(source)) or source.suffix in {".json", ".jsonl", ".parquet", ".whl"}:
        return source
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise DataError(f"{source}: no such path; as a hub id it needs `pip install huggingface_hub`") from error
    try:
        return Path(snapshot_download(str(source), repo_type="dataset"))
    except Exception as error:  # offline, not found, gated, no space: many unrelated types
        first = str(error).splitlines()[0] if str(error) else "no message"
        raise DataError(
            f"{source}: no such local path, and the hub dataset cannot be loaded ({type(error).__name__}: {first}); "
            "without a network, pass local files"
        ) from error
