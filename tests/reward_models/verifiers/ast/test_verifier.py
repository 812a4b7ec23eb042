"""The verifier `ast` on rollouts: responses, rows and options that are wrong, and properties."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.types import Rollout
from reward_models.verifiers import make_verifier
from reward_models.verifiers.ast.rows import read_row
from reward_models.verifiers.ast.rules import AstCode
from reward_models.verifiers.ast.verifier import NOT_CALLS, AstVerifier
from reward_models.verifiers.reasons import UNLISTED, reason_code
from tests.reward_models.verifiers.ast.cases import DICT, OK, TWO_TOOLS, array_of, codes, tool


def rollout(response, tools=TWO_TOOLS, answers=({"g.h": {"a": ["x"]}},), source="bfcl/simple_python", **extra):
    return Rollout("", json.dumps(tools), response, json.dumps(list(answers)), source, extra)


@pytest.mark.parametrize(
    ("response", "correctness", "reason"),
    [
        ('[g.h(a="x")]', 1.0, OK),
        ("[g.h(a='X')]", 1.0, OK),
        ('[g.h(a="y")]', 0.0, "value_error"),
        ('[g.h(a="x"), g.h(a="x")]', 0.0, "wrong_count"),
        ("There is nothing to call here.", 0.0, "no_call"),
    ],
)
def test_a_response_in_call_syntax(response, correctness, reason):
    outcome = AstVerifier().verify(rollout(response))
    assert (outcome.format, outcome.correctness, outcome.reason) == (0.0, correctness, reason)
    assert outcome.reasons[0] == reason


@pytest.mark.parametrize("response", ["", "[g.h(a=", "\x00", "[g.h(a=__import__('os').system('true'))]"])
def test_a_response_that_is_no_calls(response):
    outcome = AstVerifier().verify(rollout(response))
    assert outcome.correctness == 0.0
    assert outcome.reason not in (OK, "")


def test_the_registered_name_and_the_range():
    verifier = make_verifier("ast", dialect="json")
    assert isinstance(verifier, AstVerifier)
    assert verifier.outcome_range == (0.0, 1.0)


def test_every_code_has_a_number():
    assert UNLISTED not in map(reason_code, [NOT_CALLS, *(member.value for member in AstCode)])


def test_a_response_in_another_dialect():
    verifier = AstVerifier(dialect="json")
    assert verifier.verify(rollout('[{"name": "g.h", "arguments": {"a": "x"}}]')).correctness == 1.0


def test_names_with_underscores_for_dots():
    verifier = AstVerifier(underscore_names=True)
    assert verifier.verify(rollout('[g_h(a="x")]')).correctness == 1.0
    assert verifier.verify(rollout('[g.h(a="x")]')).reason == "wrong_name"


JAVA_TOOL = tool("A.f", ["m"], m={"type": "HashMap"}, n={"type": "long"})
JAVA_ANSWER = {"A.f": {"m": [{"k": [1]}], "n": [5]}}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ('[A.f(m=new HashMap<String, Integer>() {{ put("k", 1); }}, n=5L)]', OK),
        ('<think>\nA.f fits (n=6L?).\n</think>\nA.f(m=new HashMap<>() {{ put("k", 1); }}, n=5L)', OK),
        ("[A.f(m=new HashMap<>(), n=5L)]", "value_error"),
        ('[A.f(m=new HashMap<>() {{ put("k", 1); }}, n=5L), A.f(n=5L)]', "wrong_count"),
        ('<think>[A.f(m=new HashMap<>() {{ put("k", 1); }}, n=5L)]', "unclosed_think"),
        ("I call A.f.", "not_calls"),
        ("", "not_calls"),
        ("[]", "wrong_count"),
    ],
)
def test_a_response_in_java_syntax(response, reason):
    row = rollout(response, [JAVA_TOOL], [JAVA_ANSWER], "bfcl/simple_java")
    assert AstVerifier().verify(row).reason == reason


@pytest.mark.parametrize(("prefix", "reason"), [("", "unclosed_think"), ("t</think>", OK), ("<think>t</think>", OK)])
def test_source_text_after_a_thought_that_the_prompt_opens(prefix, reason):
    row = rollout(
        prefix + 'A.f(m=new HashMap<>() {{ put("k", 1); }}, n=5L)', [JAVA_TOOL], [JAVA_ANSWER], "bfcl/simple_java"
    )
    assert AstVerifier(thinking="opened").verify(row).reason == reason
    told = dataclasses.replace(row, extra_info={**row.extra_info, "thinking": "opened"})
    assert AstVerifier().verify(told).reason == reason


def test_java_values_in_json():
    arguments = {"m": 'new HashMap<>() {{ put("k", 1); }}', "n": "5L"}
    row = rollout(json.dumps([{"name": "A.f", "arguments": arguments}]), [JAVA_TOOL], [JAVA_ANSWER], "bfcl/simple_java")
    assert AstVerifier(dialect="json").verify(row).correctness == 1.0


def test_the_language_of_a_row():
    tools, answers = [tool("f", ["a"], a={"type": "any"})], [{"f": {"a": ["x"]}}]
    for source, extra in (("bfcl/simple_javascript", {}), ("mine", {"category": "simple_javascript"})):
        assert AstVerifier().verify(rollout("f(a=x)", tools, answers, source, **extra)).correctness == 1.0
    assert AstVerifier(language="javascript").verify(rollout("f(a=x)", tools, answers, "mine")).correctness == 1.0


def test_the_possible_answers_of_a_row_with_a_tagged_ground_truth():
    tagged = '<think></think>\n<tool_call>\n{"name": "g.h", "parameters": {"a": "x"}}\n</tool_call>'
    answers = json.dumps([{"g.h": {"a": ["y", "x"]}}])
    row = Rollout("", json.dumps(TWO_TOOLS), '[g.h(a="y")]', tagged, "bfcl/simple_python", {"possible_answer": answers})
    assert AstVerifier().verify(row).correctness == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tools": "[]"}, "the answer calls 'g.h'"),
        ({"tools": ""}, "tools must be a JSON list"),
        ({"tools": '[{"name": "g.h"}]'}, "needs 'name' and 'parameters'"),
        ({"tools": '[{"name": "g.h", "parameters": {"properties": {"a": 1}}}]'}, "needs 'name' and 'parameters'"),
        ({"ground_truth": "[]"}, "no call"),
        ({"ground_truth": "<think>"}, "ground truth must be a JSON list"),
        ({"ground_truth": '[{"g.h": ["x"]}]'}, "possible answer must be"),
        ({"ground_truth": '[{"g.h": {}, "f": {}}]'}, "possible answer must be"),
        ({"tools": json.dumps([tool("g.h", a={"type": "Queue"})])}, "the type 'Queue' is none of BFCL's"),
    ],
)
def test_a_bad_row_raises(changes, message):
    good = rollout('[g.h(a="x")]')
    row = Rollout(
        "", changes.get("tools", good.tools), good.response, changes.get("ground_truth", good.ground_truth), "x"
    )
    with pytest.raises(ValueError, match=message):
        AstVerifier().verify(row)


@pytest.mark.parametrize(
    "options", [{"language": "rust"}, {"dialect": "xml"}, {"underscore_names": "yes"}, {"nope": 1}]
)
def test_bad_options_raise(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        AstVerifier(**options)


TEXTS = st.text(max_size=8).filter(lambda text: text != "")
SCALARS = {
    "string": TEXTS,
    "integer": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
}


@st.composite
def arguments_with_answers(draw):
    """(schema, acceptable values, one of them as a model would write it)."""
    kind = draw(st.sampled_from([*SCALARS, "array", "tuple", "dict", "dicts"]))
    if kind in SCALARS:
        accepted = draw(st.lists(SCALARS[kind], min_size=1, max_size=3))
        return {"type": kind}, accepted, draw(st.sampled_from(accepted))
    if kind in ("array", "tuple"):
        items = draw(st.sampled_from(list(SCALARS)))
        accepted = draw(st.lists(st.lists(SCALARS[items], max_size=3), min_size=1, max_size=3))
        return array_of(items, kind), accepted, draw(st.sampled_from(accepted))
    fields = st.dictionaries(TEXTS, st.lists(TEXTS | st.integers(), min_size=1, max_size=2), max_size=3)
    if kind == "dict":
        accepted = draw(st.lists(fields, min_size=1, max_size=2))
        return DICT, accepted, one_of_each(draw, draw(st.sampled_from(accepted)))
    accepted = draw(st.lists(st.lists(fields, max_size=2), min_size=1, max_size=2))
    return array_of("dict"), accepted, [one_of_each(draw, item) for item in draw(st.sampled_from(accepted))]


def one_of_each(draw, fields):
    return {key: draw(st.sampled_from(values)) for key, values in fields.items()}


@st.composite
def rows_with_answers(draw):
    """(tools, possible answers, calls that are right)."""
    names = draw(
        st.lists(st.from_regex(r"[a-z]{1,4}(\.[a-z]{1,3})?", fullmatch=True), min_size=1, max_size=3, unique=True)
    )
    tools, answers, calls = {}, [], []
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        arguments = {f"p{i}": draw(arguments_with_answers()) for i in range(draw(st.integers(0, 3)))}
        left_out = draw(st.sets(st.sampled_from(sorted(arguments)))) if arguments else set()
        tools[name] = tool(name, sorted(arguments.keys() - left_out), **{key: a[0] for key, a in arguments.items()})
        answers.append({name: {key: [*a[1], ""] if key in left_out else a[1] for key, a in arguments.items()}})
        given = {key: a[2] for key, a in arguments.items() if key not in left_out or draw(st.booleans())}
        calls.append((name, given))
    return list(tools.values()), answers, draw(st.permutations(calls))


@given(rows_with_answers())
def test_every_combination_of_acceptable_values_is_accepted(row):
    assert codes(*row) == (OK,)


@given(rows_with_answers(), st.data())
def test_a_wrong_name_is_rejected(row, data):
    tools, answers, calls = row
    at = data.draw(st.integers(0, len(calls) - 1))
    name = data.draw(st.text(max_size=6).filter(lambda text: text != calls[at][0]))
    assert OK not in codes(tools, answers, [*calls[:at], (name, calls[at][1]), *calls[at + 1 :]])


@given(rows_with_answers(), st.data())
def test_another_call_or_one_less_is_rejected(row, data):
    tools, answers, calls = row
    extra = data.draw(st.sampled_from(calls))
    assert codes(tools, answers, [*calls, extra]) == ("wrong_count",)
    assert codes(tools, answers, calls[1:]) == ("wrong_count",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=8,
)
VALUES = st.dictionaries(st.sampled_from(["p0", "p1", "a", "z"]), JSON, max_size=3)


@given(rows_with_answers(), st.data(), st.sampled_from(["python", "java", "javascript"]))
def test_no_list_of_calls_raises(row, data, language):
    tools, answers, _ = row
    if language != "python":
        tools, answers = [JAVA_TOOL if language == "java" else tool("A.f", m=DICT)], [{"A.f": {"m": [{"k": [1]}]}}]
    names = st.sampled_from([*(t["name"] for t in tools), "other"])
    calls = data.draw(st.lists(st.tuples(names, VALUES), max_size=4))
    calls += [(next(iter(answer)), data.draw(VALUES)) for answer in answers[len(calls) :]]
    assert codes(tools, answers, calls, language)[0] in {member.value for member in AstCode}


@given(rows_with_answers(), st.text(max_size=80))
def test_no_response_raises(row, response):
    tools, answers, _ = row
    for source in ("bfcl/parallel", "bfcl/simple_java"):
        try:
            read_row(json.dumps(tools), json.dumps(answers), "java" if "java" in source else "python")
        except ValueError:
            continue
        assert AstVerifier().verify(rollout(response, tools, answers, source)).correctness in (0.0, 1.0)
