"""Where verl begins: the only sub-package that imports verl (and, on CPU, vLLM).

entry_point   what `import verl` loads: post-import hooks, nothing heavy
compat        the version of verl this was written for, and the shape of what it reaches into
estimator     the advantage estimator `awpo` that verl calls
trainer       carries reward components to the estimator and the clip radius to the workers
loss          the policy loss `awpo` that verl calls, and the worker loss that hands it the radius
gloo_checkpoint  weights to separate vLLM replicas without NCCL, for separate_async
cpu, vllm_cpu the CPU platform, inert unless VERL_PLATFORM=cpu
doctor        `awpo doctor`
"""
