"""A reward function for the end-to-end tests: every column follows from the response's hash, so a test can recompute it.

A random model's real reward is the same for all its responses; this one varies, and leaves some rollouts unscored. Its
`reasoning` goes with the outcome by two thirds, so that a gate which measures the judge comes to trust it.
"""

import hashlib

OUTCOMES = (-3.0, 0.5, 2.0, 4.0)


def columns(response: str) -> dict[str, float]:
    digest = hashlib.sha256(response.encode("utf-8", "surrogatepass")).digest()
    valid, rank = digest[2] % 5 != 0, digest[0] % len(OUTCOMES)
    return {
        "score": OUTCOMES[rank],
        "reasoning": (digest[1] / 255 + 2 * rank / 3) / 3 if valid else float("nan"),
        "reasoning_valid": float(valid),
        "grounding": digest[3] / 255,
        "grounding_valid": 1.0,
    }


async def compute_score(data_source, solution_str, ground_truth, extra_info=None) -> dict[str, float]:
    return columns(solution_str)


async def without_reasoning(data_source, solution_str, ground_truth, extra_info=None) -> dict[str, float]:
    return {"score": columns(solution_str)["score"]}
