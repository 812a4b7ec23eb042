# The environment of a run without a GPU; sourced by the CPU recipe, the cold start and the tests.
export VERL_PLATFORM=cpu VERL_ENGINE_DEVICE=cuda
export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}" VLLM_HOST_IP=127.0.0.1 GLOO_SOCKET_IFNAME=lo
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 RAY_worker_niceness=0 RAY_DEDUP_LOGS=1
export TOKENIZERS_PARALLELISM=false WANDB_MODE=disabled HF_HUB_OFFLINE=1
# Large tensors come and go every step: use huge pages, and keep freed memory for the next step.
export THP_MEM_ALLOC_ENABLE=1 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=33554432
# The numbers of products in training and sampling: bfloat16 where the processor multiplies it fast (AVX-512, or an ARM
# core with bf16), else float32. Without those instructions torch multiplies bfloat16 in plain loops, 6 to 40 times slower.
if [[ -z ${CPU_DTYPE:-} ]]; then
    if grep -qsE '^flags.* avx512bw .*avx512vl|^Features.* bf16' /proc/cpuinfo; then CPU_DTYPE=bfloat16; else CPU_DTYPE=float32; fi
fi
export CPU_DTYPE
