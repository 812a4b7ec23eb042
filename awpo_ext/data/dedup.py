"""Training rows that ask what an evaluation set asks: found exactly and nearly, left out, and listed with what they resemble.

Near means: the share of character 5-grams that two normalised questions have in common (Jaccard), counted exactly. Rows of
the evaluation sets are never touched.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row

NEAR = 0.7
_GRAM = 5
_NO_WORD = re.compile(r"[\W_]+")
_BLOCK = 512  # training questions compared at once: bounds the memory of the overlaps
_EXACT, _CLOSE = "asks the same as a row of {}", "asks nearly the same as a row of {}"


@dataclass(frozen=True)
class Match:
    """A question and the evaluation question that it resembles most; `similarity` is 1 where their 5-grams are the same."""

    question: int
    other: int
    similarity: float


def normalise(text: str) -> str:
    """The text as questions are compared: letters and digits of any script, in lower case, single spaces between words."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return _NO_WORD.sub(" ", folded).strip()


def grams_of(text: str) -> set[str]:
    """The character 5-grams of a normalised text; a shorter one is its own, and an empty one has none."""
    return {text[i : i + _GRAM] for i in range(max(1, len(text) - _GRAM + 1))} if text else set()


def matches(questions: Sequence[str], others: Sequence[str], near: float = NEAR) -> list[Match]:
    """For each question that has one, the most similar of `others` at a similarity of at least `near`, in (0, 1].

    Empty questions match nothing. Questions shorter than 5 characters match only their equals.
    """
    if not 0.0 < near <= 1.0:
        raise DataError(f"--near: must be above 0 and at most 1, got {near}")
    if not questions or not others:
        return []
    vocabulary: dict[str, int] = {}
    theirs = _grams(others, vocabulary)
    known = len(vocabulary)
    mine = _grams(questions, vocabulary)
    theirs.resize(len(others), len(vocabulary))
    my_sizes, their_sizes = np.diff(mine.indptr), np.diff(theirs.indptr)
    mine, theirs = mine[:, :known], theirs[:, :known].T.tocsr()
    found = []
    for start in range(0, len(questions), _BLOCK):
        overlap = (mine[start : start + _BLOCK] @ theirs).tocoo()
        rows = overlap.row + start
        jaccard = overlap.data / (my_sizes[rows] + their_sizes[overlap.col] - overlap.data)
        best: dict[int, tuple[float, int]] = {}
        for i in np.flatnonzero(jaccard >= near):
            candidate = (float(jaccard[i]), -int(overlap.col[i]))
            best[int(rows[i])] = max(best.get(int(rows[i]), candidate), candidate)
        found += [Match(row, -other, similarity) for row, (similarity, other) in sorted(best.items())]
    return found


def _grams(texts: Sequence[str], vocabulary: dict[str, int]) -> sparse.csr_matrix:
    """`(len(texts), len(vocabulary))` which 5-grams each text has; new ones are added to the vocabulary."""
    columns, ends = [], [0]
    for text in map(normalise, texts):
        columns += [vocabulary.setdefault(gram, len(vocabulary)) for gram in sorted(grams_of(text))]
        ends.append(len(columns))
    ones = np.ones(len(columns), dtype=np.int32)
    return sparse.csr_matrix((ones, columns, ends), shape=(len(texts), len(vocabulary)))


def without(dataset: Dataset, evaluation: Mapping[str, Sequence[Row]], near: float = NEAR) -> tuple[Dataset, list[str]]:
    """The dataset without training and SFT rows that resemble a row of an evaluation set (name -> RL rows).

    Returns it with the reasons in `skipped`, and a line for each row left out that shows both questions. Raises DataError
    where nothing would be left to train on.
    """
    dropped: dict[str, str] = {}  # id -> reason
    shown = []
    train = list(dataset.train)
    for name, rows in evaluation.items():
        theirs = [_question(row) for row in rows]
        for match in matches([_question(row) for row in train], theirs, near):
            row = train[match.question]
            exact = normalise(_question(row)) == normalise(theirs[match.other])
            row_id = row["extra_info"]["id"]
            if row_id not in dropped:
                dropped[row_id] = (_EXACT if exact else _CLOSE).format(name)
                shown.append(f"{match.similarity:.2f}  {_question(row)!r}\n      {name}: {theirs[match.other]!r}")
    shown.sort()  # the least alike first: those are the ones to look at
    kept = [row for row in train if row["extra_info"]["id"] not in dropped]
    if train and not kept:
        raise DataError(
            f"all {len(train)} training rows ask what {', '.join(evaluation)} asks; nothing is left to train on"
        )
    skipped = {reason: list(ids) for reason, ids in dataset.skipped.items()}
    for row_id, reason in dropped.items():
        skipped.setdefault(reason, []).append(row_id)
    about = {**dataset.about, "kept_apart_from": {name: len(rows) for name, rows in evaluation.items()}, "near": near}
    sft = [row for row in dataset.sft if row["id"] not in dropped]
    return dataclasses.replace(dataset, train=kept, sft=sft, about=about, skipped=skipped), shown


def _question(row: Row) -> str:
    info = row.get("extra_info") or {}
    return info.get("question") or row["prompt"][-1]["content"]
