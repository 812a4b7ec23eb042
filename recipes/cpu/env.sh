# The environment of a run without a GPU; sourced by the CPU recipe, the cold start and the tests.
export VERL_PLATFORM=cpu VERL_ENGINE_DEVICE=cuda
export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}" VLLM_HOST_IP=127.0.0.1 GLOO_SOCKET_IFNAME=lo
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 RAY_worker_niceness=0 RAY_DEDUP_LOGS=1
export TOKENIZERS_PARALLELISM=false WANDB_MODE=disabled HF_HUB_OFFLINE=1
# Large tensors come and go every step: use huge pages, and keep freed memory for the next step.
export THP_MEM_ALLOC_ENABLE=1 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=33554432
