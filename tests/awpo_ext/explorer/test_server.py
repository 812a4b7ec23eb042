"""What the server answers, and to whom; the command line around it."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.explorer.export import MODULES
from awpo_ext.explorer.server import HEADERS, STATIC, listen
from reward_models.errors import UserError
from tests.test_layers import LIMIT


@pytest.fixture(scope="module")
def base(serving, demo_folders):
    return serving(demo_folders[:1])


def ask(address, host=None, method="GET"):
    request = urllib.request.Request(address, headers={"Host": host} if host else {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "localhost.evil.example"]
)
def test_other_hosts_names_are_refused(base, host):
    status, headers, body = ask(base + "api/runs", host)
    assert status == 400 and b"healthy" not in body
    assert headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["", "api/runs", "static/app.js", "no/such", "api/no", "api/rollout?row=-1", "api/rows?run=x"]
)
def test_every_answer_has_the_policy(base, path):
    status, headers, _ = ask(base + path)
    assert status in (200, 400, 404)
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in headers["Content-Security-Policy"] and headers["Access-Control-Allow-Origin"] is None


def test_only_what_is_meant_is_answered(base):
    assert ask(base + "api/rollout?row=0")[0] == 200
    for path in (
        "api/rollout?row=64",
        "api/rollout?run=1",
        "api/rollout?run=-1",
        "static/../server.py",
        "static/%2e%2e/server.py",
    ):
        assert ask(base + path)[0] == 404, path
    assert ask(base + "api/rollout?row=x")[0] == 400
    assert ask(base + "api/runs", method="POST")[0] == 405


def test_it_listens_on_this_machine_alone_and_says_where_a_port_is_taken():
    listener = listen(0)
    host, port = listener.getsockname()
    socket.create_connection((host, port), timeout=10).close()  # a browser may come before the server has started
    assert host == "127.0.0.1"
    with pytest.raises(UserError, match=f"port {port} is in use"):
        listen(port)
    listener.close()
    assert listener.family == socket.AF_INET


def test_the_files_of_the_page_are_short_and_all_exported():
    scripts = sorted(path for path in STATIC.iterdir() if path.name.endswith((".js", ".css")))
    assert {path.name for path in scripts if path.name.endswith(".js")} == set(MODULES)
    assert {path.name: n for path in scripts if (n := len(path.read_text().splitlines())) > LIMIT} == {}


def test_sinks_for_markup_are_not_used():
    for name in MODULES:
        text = (STATIC / name).read_text()
        assert not [
            word for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(") if word in text
        ]


def test_the_command_writes_a_file(demo_folders, tmp_path):
    file = tmp_path / "deep" / "runs.html"
    told = CliRunner().invoke(app, ["view", *map(str, demo_folders[:2]), "--export", str(file), "--rollouts", "8"])
    assert told.exit_code == 0 and str(file) in told.output.replace("\n", "")
    head = file.read_text(encoding="utf-8").split("<body>")[0]
    assert "http:" not in head and "https:" not in head
    runs = json.dumps([str(folder) for folder in demo_folders])
    assert runs not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("arguments", "told"), [([], "--demo"), (["no/such/run"], "no such folder")])
def test_what_is_wrong_is_said(arguments, told):
    result = CliRunner().invoke(app, ["view", *arguments])
    assert result.exit_code == 1 and told in result.output
