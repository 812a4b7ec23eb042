"""The record of a run: what each rollout said, what it got for it, and why. `schema` says what is stored, `reader` reads.

    from awpo_ext.record import open_record

    record = open_record("outputs/cpu/runs/20260801-120000")
    record.rollouts(steps=[12]).to_pandas()

Without this package: `pandas.read_parquet("RUN/record/rollouts")`.
"""

from awpo_ext.record.reader import Record, open_record
from awpo_ext.record.schema import RecordError

__all__ = ["Record", "RecordError", "open_record"]
