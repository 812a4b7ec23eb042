"""The dialects `vllm:<parser>` and `verl:<parser>`: bounded, and honest about what they cannot tell."""

import pytest

from reward_models.parsing import MAX_CHARS, ParseCode, Status, ToolCall, engines, parse_response
from reward_models.parsing.engine_jobs import AnyVocabulary, TextTokenizer
from reward_models.sandbox import TaskResult, TaskStatus

CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
PARIS = ToolCall("get_weather", {"city": "Paris"})
TOOLS = '[{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]'


@pytest.fixture
def job(monkeypatch):
    """Puts a job's result in place of the sandbox; collects what the job is given."""
    given = []

    def install(result):
        class Fake:
            def submit(self, name, payload):
                given.append((name, payload))
                return type("Future", (), {"result": lambda _: result})()

        monkeypatch.setattr(engines, "_sandbox", lambda engine: Fake())
        engines._run.cache_clear()
        return given

    yield install
    engines._run.cache_clear()


def found(calls=(), content=None):
    return TaskResult(TaskStatus.OK, {"calls": [list(call) for call in calls], "content": content})


def test_the_parser_gets_the_text_after_the_thought_and_the_tools(job):
    given = job(found([("get_weather", '{"city": "Paris"}')], "Sure."))
    parsed = parse_response(f"Try {CALL}</think>{CALL}", "verl:hermes", tools=TOOLS)
    assert (parsed.status, parsed.calls, parsed.answer) == (Status.VALID, (PARIS,), "Sure.")
    assert (parsed.thought, parsed.calls[0].span, parsed.answer_span) == (f"Try {CALL}", None, None)
    ((name, payload),) = given
    assert name.endswith(":run_verl")
    assert (payload["parser"], payload["text"], payload["tools"][0]["name"]) == ("hermes", CALL, "get_weather")


@pytest.mark.parametrize(
    ("result", "status", "code"),
    [
        (TaskResult(TaskStatus.TIMEOUT), Status.UNPARSEABLE, "parser_failed"),
        (TaskResult(TaskStatus.RAISED, None, "KeyError"), Status.UNPARSEABLE, "parser_failed"),
        (TaskResult(TaskStatus.MEMORY), Status.UNPARSEABLE, "parser_failed"),
        (found([("f", "[1]")]), Status.INVALID, "bad_call"),
        (found([("f", '{"a": 1, "a": 2}')]), Status.INVALID, "duplicate_key"),
        (found([("f", '{"a": ')]), Status.UNPARSEABLE, "not_json"),
        (found([("f", '{"a": ' + "[" * 99 + "]" * 99 + "}")]), Status.UNPARSEABLE, "too_deep"),
        (found([("f", "{}")] * 257), Status.UNPARSEABLE, "too_many_calls"),
        (found([], "<tool_call>{broken"), Status.UNPARSEABLE, "stray_tag"),
        (found([], ""), Status.UNPARSEABLE, "no_action"),
    ],
)
def test_the_bounds_are_those_of_all_dialects(job, result, status, code):
    job(result)
    parsed = parse_response("x", "vllm:hermes")
    assert (parsed.status, [problem.code.value for problem in parsed.problems]) == (status, [code])


def test_a_text_too_long_never_reaches_the_parser(job):
    given = job(found())
    assert parse_response("a" * (MAX_CHARS + 1), "vllm:hermes").problems[0].code is ParseCode.TOO_LONG
    assert given == []


def test_an_unknown_parser_is_refused_by_name(job):
    job(TaskResult(TaskStatus.OK, {"refused": "ValueError: Unknown tool parser: nope; known: glm, hermes"}))
    with pytest.raises(ValueError, match=r"dialect='verl:nope' cannot be used: .*known: glm, hermes"):
        parse_response("x", "verl:nope")
    for dialect in ("verl:", "sglang:hermes", "verl"):
        with pytest.raises(ValueError, match="is not known"):
            parse_response("x", dialect)


def test_the_stand_in_for_a_tokenizer():
    tokenizer = TextTokenizer()
    assert tokenizer.decode(tokenizer.encode("é<tool_call>")) == "é<tool_call>"
    vocabulary = AnyVocabulary()
    assert "<x>" in vocabulary
    assert vocabulary.get("<x>") == vocabulary["<x>"] != vocabulary["<y>"]


@pytest.mark.timeout(600)
def test_verl_s_own_parser_in_the_sandbox():
    pytest.importorskip("verl.experimental.agent_loop.tool_parser")
    parsed = parse_response(f"Hi. {CALL}", "verl:hermes", tools=TOOLS)
    assert (parsed.status, parsed.calls, parsed.answer) == (Status.VALID, (PARIS,), "Hi.")
    with pytest.raises(ValueError, match=r"Unknown tool parser: nope; known: .*hermes"):
        parse_response(CALL, "verl:nope")
