"""The pure halves import and work where neither verl nor anything heavy is installed."""

import subprocess
import sys

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {absent!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import awpo_ext, reward_models
from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import awpo_policy_loss, clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics
import reward_models.reward
print(float(awpo_advantages([0., 1.], [0., 1.], [0, 0], AwpoConfig()).gate[0]))
"""


def test_pure_parts_need_torch_and_numpy_only():
    absent = {"verl", "ray", "vllm", "transformers", "tensordict", "omegaconf", "sentence_transformers", "pyarrow"}
    program = PROGRAM.replace("{absent!r}", repr(absent))
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert 0.5 < float(result.stdout) < 1.0
