"""The model card of a classifier's folder: README.md, from its metadata and the figures measured."""

from __future__ import annotations

import math
from pathlib import Path

from reward_models.scorers.classifier.folder import check_folder

_TEMPLATES = Path(__file__).parent / "templates"


def write_card(folder: Path) -> Path:
    """Write the card and return its path; an older one is replaced.

    ValueError where the folder is not whole, and where it holds no figures: a card without them says nothing.
    """
    metadata, _ = check_folder(folder)
    measured = [found for found in metadata.metrics.values() if found.get("auc") is not None]
    if not measured:
        raise ValueError(
            f"{folder}: its metadata holds no measured AUC, so the card would be empty: measure it with `awpo "
            "scorer calibrate` on held-out rows, good and bad ones"
        )
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; names in it are our own metadata's
    )
    environment.filters["figure"] = _figure
    try:
        text = environment.get_template("model_card.txt").render(name=folder.resolve().name, metadata=metadata)
    except jinja2.UndefinedError as error:
        raise ValueError(f"{folder}: its metadata lacks what a card says ({error}): train the scorer again") from None
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def _figure(value: float | None) -> str:
    return "not determined" if value is None or not math.isfinite(value) else f"{value:.3f}"
