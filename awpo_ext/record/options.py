"""`algorithm.awpo.record.*`: whether a run is recorded, where, and how much of it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from reward_models.options import Options, Range, Text

KEY = "algorithm.awpo.record"


@dataclass(frozen=True)
class RecordOptions(Options, owner=KEY):
    """The numbers of every rollout are kept, and the texts of a share of the prompts.

    enable: whether to record.
    path: the record's folder; None: `record` in the run's trainer.default_local_dir.
    text_share: share of the prompts whose texts are kept, whole groups each; numbers are kept of all, so replays are exact.
    max_text: characters of one text that are kept. No parser of ours reads further than 65,536.
    max_gb: of the whole record; above it the oldest parts are removed.
    max_days: parts that are older are removed; None: none are.
    """

    enable: bool = True
    path: Annotated[str | None, Text("a folder, or null")] = None
    text_share: Annotated[float, Range(0.0, 1.0)] = 1.0
    max_text: Annotated[int, Range(100, 10_000_000)] = 65_536
    max_gb: Annotated[float, Range(0.001, 100_000.0)] = 20.0
    max_days: Annotated[float | None, Range(0.01, 36_500.0)] = None

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | bool | None) -> RecordOptions:
        """Of the section `algorithm.awpo.record`: a mapping, or true or false; a run without one is not recorded.

        Raises ValueError that names key, value and what is allowed.
        """
        if section is None or isinstance(section, bool):
            return cls(enable=bool(section))
        if not isinstance(section, Mapping):
            raise ValueError(f"{KEY}={section!r} must be true, false, or keys such as {KEY}.path=outputs/record")
        return cls.read(section)

    def keeps_text(self, group: str) -> bool:
        """Whether the texts of this prompt are kept: by the hash of its uid, so the same in each process."""
        digest = hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < self.text_share * 2**64
