"""A judge that writes down what it was given: one JSON line a rollout in $RECORDED_ROLLOUTS. The score is a hash's."""

import json
import os
import zlib

from reward_models.judges.base import Judge
from reward_models.rollout_view import read_rollout
from reward_models.types import Scored


class RecordingJudge(Judge):
    async def score(self, rollout):
        seen = {"response": rollout.response, "truth": rollout.ground_truth}
        seen |= {key: rollout.extra_info.get(key) for key in ("turns", "executed")}
        view = read_rollout(rollout)
        seen |= {"thought": view.thought, "well_formed": view.well_formed}
        with open(os.environ["RECORDED_ROLLOUTS"], "a") as file:
            file.write(json.dumps(seen) + "\n")
        return Scored(zlib.crc32(rollout.response.encode()) % 101 / 100)
