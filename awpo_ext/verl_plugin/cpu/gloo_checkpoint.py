"""Weights from the actor to separate vLLM replicas over gloo, for `trainer.v1.trainer_mode=separate_async` without NCCL.

verl's engines for separate replicas need CUDA, an NPU or RDMA; this one needs TCP. A run asks for it with
`actor_rollout_ref.rollout.checkpoint_engine.backend=gloo` and `custom_backend_module=awpo_ext.verl_plugin.cpu.gloo_checkpoint`.
Actor rank 0 broadcasts buckets of bytes to every rollout worker; what is in a bucket travels through the store that it
hosts. Store and group are new for each sync and apart from the default process groups of both sides.
"""

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import ray
import torch
from torch.distributed import BroadcastOptions, PrefixStore, ProcessGroupGloo, TCPStore
from verl.checkpoint_engine.base import (
    CheckpointEngine,
    CheckpointEngineRegistry,
    TensorMeta,
    merge_weight_chunks,
    split_weight_chunks,
)

ALIGNMENT = 16  # bytes: a chunk is read in place as its own dtype, the widest of which is complex128


Address = tuple[str, int]  # of the store: ip, port


@CheckpointEngineRegistry.register("gloo")
class GlooCheckpointEngine(CheckpointEngine):
    """One member of a weight sync: actor rank 0 sends, rollout workers receive, other actor ranks (-1) only walk the weights.

    Args:
        bucket_size: bytes that are sent at a time; a tensor may be larger and is then sent in chunks.
        is_master: True in actor rank 0.
        timeout_s: how long a member waits for the others in one operation. Set it by
            `+actor_rollout_ref.rollout.checkpoint_engine.engine_kwargs.gloo.timeout_s=...`.

    Raises (all methods):
        RuntimeError: another member failed or did not answer within timeout_s.
    """

    def __init__(self, bucket_size: int, is_master: bool = False, timeout_s: float = 300.0) -> None:
        self.bucket_size = bucket_size
        self.is_master = is_master
        self.timeout = timedelta(seconds=timeout_s)
        self.rank = -1
        self.store: TCPStore | None = None
        self.group: ProcessGroupGloo | None = None

    def prepare(self) -> Address | None:
        """Host the store of this sync, in actor rank 0; None in the others."""
        if not self.is_master:
            return None
        ip = ray.util.get_node_ip_address().strip("[]")
        self.store = TCPStore(ip, 0, is_master=True, wait_for_workers=False, timeout=self.timeout)
        return ip, self.store.port

    @classmethod
    def build_topology(
        cls, actor_wg_world_size: int, rollout_world_size: int, metadata: list[Address | None]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Actor rank 0 is rank 0 and the rollout workers follow; metadata is what `prepare` gave, actor ranks first."""
        world_size = 1 + rollout_world_size

        def arguments(ranks: list[int]) -> dict[str, list[Any]]:
            return {"rank": ranks, "world_size": [world_size] * len(ranks), "address": [metadata[0]] * len(ranks)}

        return arguments([0] + [-1] * (actor_wg_world_size - 1)), arguments(list(range(1, world_size)))

    def init_process_group(self, rank: int, world_size: int, address: Address) -> None:
        """Join the group of this sync; returns when all members have."""
        self.rank = rank
        if rank < 0:
            return
        with self._explained(f"joining the group of {world_size} at {address}"):
            if self.store is None:
                self.store = TCPStore(*address, is_master=False, timeout=self.timeout)
            self.group = ProcessGroupGloo(PrefixStore("group", self.store), rank, world_size, self.timeout)

    def finalize(self) -> None:
        """Leave the group; the store ends with actor rank 0."""
        self.group = self.store = None

    @torch.no_grad()
    async def send_weights(
        self, weights: Generator[tuple[str, torch.Tensor], None, None], global_steps: int | None = None
    ) -> None:
        """Send contiguous tensors of any dtype and device."""
        if self.rank < 0:
            for _ in weights:  # making them is collective over the actor's ranks
                pass
            return
        buffer = torch.empty(self.bucket_size, dtype=torch.uint8)
        chunks: list[TensorMeta] = []
        end = number = 0
        async for meta, chunk in split_weight_chunks(weights, self.bucket_size):
            start = -(-end // ALIGNMENT) * ALIGNMENT
            if start + meta.chunk_size > self.bucket_size:
                self._send_bucket(number, buffer[:end], chunks, is_last=False)
                chunks, start, number = [], 0, number + 1
            meta.offset = start
            end = start + meta.chunk_size
            buffer[start:end].copy_(chunk)
            chunks.append(meta)
        self._send_bucket(number, buffer[:end], chunks, is_last=True)

    async def receive_weights(self, global_steps: int | None = None) -> AsyncGenerator[tuple[str, torch.Tensor], None]:
        """Yield `(name, tensor)` on the CPU, bit for bit as sent; no buffer is reused, so they stay what they are."""
        async for name, weight in merge_weight_chunks(self._receive_chunks(), self.bucket_size):
            yield name, weight

    async def _receive_chunks(self) -> AsyncGenerator[tuple[TensorMeta, torch.Tensor], None]:
        number, is_last = 0, False
        while not is_last:
            with self._explained(f"receiving bucket {number}"):
                size, chunks, is_last = _decoded(self.store.get(f"bucket/{number}"))
                bucket = torch.empty(size, dtype=torch.uint8)
                self._broadcast(bucket)
            for meta in chunks:
                yield meta, bucket[meta.offset : meta.offset + meta.chunk_size]
            number += 1

    def _send_bucket(self, number: int, bucket: torch.Tensor, chunks: list[TensorMeta], is_last: bool) -> None:
        with self._explained(f"sending bucket {number}"):
            self.store.set(f"bucket/{number}", _encoded(len(bucket), chunks, is_last))
            self._broadcast(bucket)

    def _broadcast(self, bucket: torch.Tensor) -> None:
        if len(bucket):
            options = BroadcastOptions()
            options.rootRank, options.timeout = 0, self.timeout
            self.group.broadcast([bucket], options).wait()

    @contextmanager
    def _explained(self, what: str):
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError(
                f"gloo checkpoint engine, rank {self.rank}: {what} failed. Another member failed (its own log says why) "
                f"or took more than {self.timeout.total_seconds():g} s; raise "
                "+actor_rollout_ref.rollout.checkpoint_engine.engine_kwargs.gloo.timeout_s if it was only slow"
            ) from error


def _encoded(size: int, chunks: list[TensorMeta], is_last: bool) -> str:
    """What a bucket holds, as JSON: anybody who reaches the store's port can write to it, so nothing is unpickled."""
    rows = [
        vars(meta) | {"shape": list(meta.shape), "dtype": str(meta.dtype).removeprefix("torch.")} for meta in chunks
    ]
    return json.dumps([size, rows, is_last])


def _decoded(text: bytes) -> tuple[int, list[TensorMeta], bool]:
    size, rows, is_last = json.loads(text)
    chunks = [
        TensorMeta(**row | {"shape": torch.Size(row["shape"]), "dtype": getattr(torch, row["dtype"])}) for row in rows
    ]
    return size, chunks, is_last
