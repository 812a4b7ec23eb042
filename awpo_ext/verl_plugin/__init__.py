"""Where verl begins: the only sub-package that imports verl (and, on CPU, vLLM). A folder is a process of a run.

entry_point   every process: what `import verl` loads, post-import hooks and nothing heavy
compat        every process: the verl this was written for, and the shape of what it reaches into
doctor        the command line: `awpo doctor`; config_check resolves a configuration as main_ppo does
driver        the trainer's process: columns in, advantages and radius out, checks, the judge's health
worker        the actor's processes: the policy loss
rollout       the agent loop and the reward workers: turns, tools with state, groups
cpu           all processes of a run without an accelerator; inert unless VERL_PLATFORM=cpu

`trainer`, `turns`, `state_tool` and `group_reward` are the paths that users' configurations name.
"""
