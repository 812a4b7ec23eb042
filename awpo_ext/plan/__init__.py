"""`awpo plan`: what a run needs of each GPU's memory, before it starts. An estimate from sizes; nothing is loaded.

`models` counts parameters, `memory` adds up a run's phases, `verl_setup` reads the run from verl's configuration,
`advice` looks for the key to change. docs/plan.md says how far it was checked.
"""
