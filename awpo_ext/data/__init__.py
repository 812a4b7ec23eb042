"""Data for tool-use RL: sources -> verl's parquet schema, and the checks of it. Imports neither torch nor verl."""

from awpo_ext.data.dataset import Dataset, write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import content_sha256, load_rows
from awpo_ext.data.validate import Problem, validate_file, validate_rows

__all__ = [
    "DataError",
    "Dataset",
    "Problem",
    "content_sha256",
    "load_rows",
    "validate_file",
    "validate_rows",
    "write_dataset",
]
