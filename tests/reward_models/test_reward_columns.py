"""The parts of an outcome and what the row allows of them: what AWPO's outcome components go by."""

import pytest

from reward_models.reward import compute_score
from tests.reward_models.test_reward import EXTRA, TRUTH, run


@pytest.mark.parametrize(
    ("verifier", "options"),
    [
        ("toolrl", {}),
        ("toolrl", {"format_start": 2, "correctness_start": 2, "schedule_steps": 150, "schedule_form": "code"}),
        ("strict", {"format_max": 0.3}),
        ("format", {}),
        ("composite", {"parts": {"strict": 0.7, "format": 0.3}}),
    ],
)
@pytest.mark.parametrize("response", [TRUTH, "", "<think>t</think>\n<response>No.</response>"])
def test_each_part_is_in_its_range_and_the_ranges_add_up(verifier, options, response):
    options = {"verifier": verifier, "verifier_kwargs": options}
    columns = run(response, extra_info={**EXTRA, "global_steps": 75}, **options)
    stated = compute_score.component_ranges(**options)
    for part in ("format", "correctness"):
        low, high = columns[f"{part}_min"], columns[f"{part}_max"]
        assert low - 1e-9 <= columns[part] <= high + 1e-9
        assert stated[part][0] - 1e-9 <= low <= high <= stated[part][1] + 1e-9
    for end in ("min", "max"):
        assert columns[f"format_{end}"] + columns[f"correctness_{end}"] == pytest.approx(columns[f"outcome_{end}"])
