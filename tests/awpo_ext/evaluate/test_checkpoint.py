"""Kinds of checkpoint folders, and a server that ends in any case."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from awpo_ext.evaluate import checkpoint, server
from awpo_ext.evaluate.errors import EndpointLost, EvalError


def hugging_face(folder, weights=b"1"):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_hugging_face_folder_is_served_as_it_is(tmp_path):
    folder = hugging_face(tmp_path / "m")
    assert checkpoint.resolve(folder, None) == folder


def test_verls_shards_are_named_with_the_command_that_merges_them(tmp_path):
    actor = tmp_path / "global_step_5" / "actor"
    actor.mkdir(parents=True)
    (actor / "model_world_size_2_rank_0.pt").touch()
    with pytest.raises(
        EvalError, match=r"verl.model_merger merge --backend fsdp --local_dir .*actor --target_dir MERGED"
    ):
        checkpoint.resolve(actor.parent, None)


def test_shards_that_are_merged_already_are_not_merged_again(tmp_path):
    (tmp_path / "actor").mkdir()
    (tmp_path / "actor" / "model_world_size_1_rank_0.pt").touch()
    assert checkpoint.resolve(tmp_path, hugging_face(tmp_path / "merged")) == tmp_path / "merged"


@pytest.mark.parametrize(
    ("files", "message"),
    [((), "no config.json"), (("config.json",), "no weights"), (("adapter_config.json",), "LoRA adapter")],
)
def test_what_cannot_be_served_is_named(tmp_path, files, message):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(EvalError, match=message):
        checkpoint.resolve(tmp_path, None)


def test_other_weights_have_another_fingerprint(tmp_path):
    first, same, other = (hugging_face(tmp_path / name, data) for name, data in (("a", b"1"), ("b", b"1"), ("c", b"2")))
    assert checkpoint.fingerprint(first) == checkpoint.fingerprint(same) != checkpoint.fingerprint(other)


def test_a_name_that_is_no_folder_is_looked_for_on_the_hub(tmp_path, monkeypatch):
    import huggingface_hub

    folder = hugging_face(tmp_path / "snapshot")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str({"org/m": folder}[name]))
    assert checkpoint.resolve(Path("org/m"), None) == folder
    with pytest.raises(EvalError, match=r"org/other: no such folder, and the hub's model cannot be loaded \(KeyError"):
        checkpoint.resolve(Path("org/other"), None)


def test_what_lora_trained_is_added_to_the_base_model(tmp_path, monkeypatch):
    """verl's merger leaves the adapter beside the untrained weights: served as they are, they would be the base model."""
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    base = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16,
        )
    ).eval()  # fmt: skip
    base.save_pretrained(tmp_path / "left" / "base")
    settings = peft.LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    trained = peft.get_peft_model(base, settings)
    trained.save_pretrained(tmp_path / "left" / "base" / "lora_adapter")
    ids = torch.arange(10)[None]
    expected = trained(ids).logits
    untrained = trained.unload()(ids).logits

    merger = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"
    monkeypatch.setattr(
        checkpoint, "merge_command",
        lambda shards, target: [sys.executable, "-c", merger, str(tmp_path / "left" / "base"), str(target)],
    )  # fmt: skip
    (tmp_path / "actor").mkdir()
    (tmp_path / "actor" / "model_world_size_1_rank_0.pt").touch()
    merged = checkpoint.resolve(tmp_path, tmp_path / "made" / "merged")
    found = transformers.AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)(ids).logits
    assert torch.allclose(found, expected, atol=0.02)
    assert not torch.allclose(untrained, expected, atol=0.2)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["merged"]


def test_a_failed_merge_leaves_nothing_that_could_be_served(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "merge_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no space')"])
    (tmp_path / "actor").mkdir()
    (tmp_path / "actor" / "model_world_size_1_rank_0.pt").touch()
    with pytest.raises(EvalError, match="no space"):
        checkpoint.resolve(tmp_path, tmp_path / "made" / "merged")
    assert list((tmp_path / "made").iterdir()) == []


def fake_vllm(tmp_path, monkeypatch, code):
    """A package `vllm` whose command line is `code`."""
    cli = tmp_path / "fake" / "vllm" / "entrypoints" / "cli"
    cli.mkdir(parents=True)
    for folder in (cli, cli.parent, cli.parent.parent):
        (folder / "__init__.py").touch()
    (cli / "main.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))


def test_a_server_that_ends_before_it_is_up_shows_its_log(tmp_path, monkeypatch):
    fake_vllm(tmp_path, monkeypatch, "import sys\nprint('no such model')\nsys.exit(3)\n")
    with (
        pytest.raises(EvalError, match=r"ended with 3(.|\n)*no such model"),
        server.served(tmp_path, [], tmp_path / "log", 30),
    ):
        pass


@pytest.mark.parametrize("gpu", [True, False])
def test_prompts_are_not_cut_into_chunks_on_a_cpu_unless_asked_for(tmp_path, monkeypatch, gpu):
    fake_vllm(tmp_path, monkeypatch, "import sys\nprint(sys.argv)\n")
    monkeypatch.setattr(server, "_has_gpu", lambda: gpu)
    with (
        pytest.raises(EvalError) as raised,
        server.served(tmp_path, ["--enable-chunked-prefill"], tmp_path / "log", 30),
    ):
        pass
    ours = "'--no-enable-chunked-prefill', '--enable-chunked-prefill'"  # the later one wins
    assert (ours in str(raised.value)) is not gpu


def test_a_server_that_dies_in_mid_evaluation_is_named_with_its_log(tmp_path, monkeypatch):
    code = """
        import sys
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Up(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Up).handle_request()
        sys.exit(7)
    """
    fake_vllm(tmp_path, monkeypatch, textwrap.dedent(code))
    with (
        pytest.raises(EndpointLost, match=r"cannot be reached. vLLM ended by itself with 7: .*log says why"),
        server.served(tmp_path, [], tmp_path / "log", 30),
    ):
        raise EndpointLost("cannot be reached")


def test_a_server_and_its_children_end_with_the_evaluation(tmp_path, monkeypatch):
    import psutil

    code = """
        import subprocess, sys
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Up(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Up).serve_forever()
    """
    fake_vllm(tmp_path, monkeypatch, "\n".join(line[8:] for line in code.splitlines()))
    before = set(psutil.Process().children(recursive=True))  # of other tests
    with pytest.raises(RuntimeError, match="midway"), server.served(tmp_path, [], tmp_path / "log", 30) as url:
        assert url.endswith("/v1")
        started = set(psutil.Process().children(recursive=True)) - before
        started = [process for process in started if sys.executable.split("/")[-1] in process.name()]
        raise RuntimeError("midway")
    assert len(started) >= 2
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_a_server_ends_where_the_evaluation_is_killed(tmp_path, monkeypatch):
    import psutil

    code = """
        import sys
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Up(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Up).serve_forever()
    """
    fake_vllm(tmp_path, monkeypatch, "\n".join(line[8:] for line in code.splitlines()))
    script = """
        import pathlib, sys, time
        from awpo_ext.evaluate.server import served
        with served(pathlib.Path(sys.argv[1]), [], pathlib.Path(sys.argv[1]) / "log", 60):
            print("up", flush=True)
            time.sleep(600)
    """
    path = os.pathsep.join([os.environ["PYTHONPATH"], *filter(None, sys.path)])
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    assert process.stdout.readline().strip() == "up"
    servers = psutil.Process(process.pid).children(recursive=True)
    assert servers
    process.kill()
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(servers, timeout=10)
    assert not alive


@pytest.mark.slow
def test_verls_merger_makes_a_folder_that_can_be_served(tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pytest.importorskip("verl")
    config = transformers.AutoConfig.for_model(
        "qwen3", hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=96,
        num_hidden_layers=2, vocab_size=99, architectures=["Qwen3ForCausalLM"],
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    actor = tmp_path / "global_step_1" / "actor"
    config.save_pretrained(actor / "huggingface")
    torch.save(model.state_dict(), actor / "model_world_size_1_rank_0.pt")
    (actor / "fsdp_config.json").write_text('{"FSDP_version": 2, "world_size": 1}')
    merged = checkpoint.resolve(actor.parent, tmp_path / "merged")
    found = transformers.AutoModelForCausalLM.from_pretrained(merged).state_dict()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(found[name].float(), weight, rtol=1e-2, atol=1e-3)  # merged in bfloat16
