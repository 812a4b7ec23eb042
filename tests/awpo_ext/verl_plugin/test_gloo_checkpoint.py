"""The gloo checkpoint engine between local processes: what is sent arrives bit for bit, and a lost member is an error."""

import asyncio

import pytest
import torch
import torch.multiprocessing as mp

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from verl.checkpoint_engine.base import CheckpointEngineRegistry

from awpo_ext.verl_plugin.cpu.gloo_checkpoint import GlooCheckpointEngine

BUCKET = 1000  # bytes
SHAPES = {
    torch.float32: [(3,), (7, 9), (250,), (2, 3, 500)],  # 1000 bytes fill a bucket, 12000 need many
    torch.bfloat16: [(1,), (499,), (501,), ()],
    torch.float64: [(5,), (126,)],
    torch.int64: [(3, 2)],
    torch.uint8: [(1,), (1001,)],
    torch.bool: [(13,)],
}


def weights() -> dict[str, torch.Tensor]:
    """Random bits (so NaNs too) of every dtype, sizes under, at and over the bucket, interleaved so that offsets are odd."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for dtype, shapes in SHAPES.items():
        for shape in shapes:
            size = torch.Size(shape).numel() * dtype.itemsize
            raw = torch.randint(0, 2 if dtype == torch.bool else 256, (size,), dtype=torch.uint8, generator=generator)
            tensors[f"{dtype}{shape}"] = raw.view(dtype).view(shape)
    order = torch.randperm(len(tensors), generator=generator).tolist()
    return {name: tensors[name] for name in (list(tensors)[i] for i in order)}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


async def received(engine) -> list[tuple[str, torch.Tensor]]:
    return [(name, tensor) async for name, tensor in engine.receive_weights()]


def receive(arguments: dict, results: mp.Queue, done: mp.Event) -> None:
    """A rollout worker's part of two syncs."""
    engine = GlooCheckpointEngine(BUCKET, timeout_s=60)
    for _ in range(2):
        assert engine.prepare() is None
        engine.init_process_group(**arguments.get())
        got = asyncio.run(received(engine))
        engine.finalize()
        results.put([(name, tensor.dtype, tensor.shape, bits(tensor)) for name, tensor in got])
    done.wait(60)


def test_weights_arrive_bit_for_bit_in_every_sync(receivers=2):
    context = mp.get_context("spawn")
    queues = [context.SimpleQueue() for _ in range(receivers)]
    results, done = context.Queue(), context.Event()
    processes = [context.Process(target=receive, args=(queue, results, done), daemon=True) for queue in queues]
    for process in processes:
        process.start()
    sender, idle = GlooCheckpointEngine(BUCKET, is_master=True, timeout_s=60), GlooCheckpointEngine(BUCKET)
    sent = weights()
    try:
        for _ in range(2):
            metadata = [sender.prepare(), idle.prepare(), *[None] * receivers]
            actor, rollout = GlooCheckpointEngine.build_topology(2, receivers, metadata)
            for i, queue in enumerate(queues):
                queue.put({key: values[i] for key, values in rollout.items()})
            for i, engine in enumerate((sender, idle)):
                engine.init_process_group(**{key: values[i] for key, values in actor.items()})
            asyncio.run(sender.send_weights(iter(sent.items())))
            walked = iter(sent.items())
            asyncio.run(idle.send_weights(walked))
            assert next(walked, None) is None  # a rank without a part in the group walks the weights all the same
            for _ in range(receivers):
                got = results.get(timeout=60)
                assert [name for name, *_ in got] == list(sent)
                for name, dtype, shape, content in got:
                    assert (dtype, shape) == (sent[name].dtype, sent[name].shape)
                    assert content == bits(sent[name]), name
            sender.finalize()
    finally:
        done.set()
        for process in processes:
            process.join(10)
            process.kill()


def test_no_weights_is_an_empty_sync():
    engine = GlooCheckpointEngine(BUCKET, is_master=True, timeout_s=30)
    actor, _ = GlooCheckpointEngine.build_topology(1, 0, [engine.prepare()])
    engine.init_process_group(**{key: values[0] for key, values in actor.items()})
    asyncio.run(engine.send_weights(iter(())))
    assert asyncio.run(received(engine)) == []


def test_a_member_that_does_not_come_is_an_error_that_says_so():
    engine = GlooCheckpointEngine(BUCKET, is_master=True, timeout_s=1)
    actor, _ = GlooCheckpointEngine.build_topology(1, 1, [engine.prepare()])
    with pytest.raises(RuntimeError, match=r"joining the group of 2 .* failed.*engine_kwargs.gloo.timeout_s"):
        engine.init_process_group(**{key: values[0] for key, values in actor.items()})


def test_a_sender_that_stops_is_an_error_that_says_so():
    engine = GlooCheckpointEngine(BUCKET, is_master=True, timeout_s=1)
    actor, _ = GlooCheckpointEngine.build_topology(1, 0, [engine.prepare()])
    engine.init_process_group(**{key: values[0] for key, values in actor.items()})
    with pytest.raises(RuntimeError, match="receiving bucket 0 failed"):
        asyncio.run(received(engine))


def test_verl_finds_it_by_name():
    assert CheckpointEngineRegistry.get("gloo") is GlooCheckpointEngine
