"""The guard of a run: statistics of each step's rollouts, sequential tests on them, alarms. Pure: no verl, no torch.

`statistics` measures a step, `evidence` has the tests, `alarms` says what is watched and what an alarm says, `second` asks
for a second opinion, `from_record` reads a recorded run. In training: `awpo_ext.verl_plugin.driver.guarding` (docs/guard.md).
"""
