"""The verifier `ast`: each rule of BFCL's AST checker by hand, the deliberate differences, and properties."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.parsing import ToolCall
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier
from reward_models.verifiers.ast.literals import (
    MAX_CHARS,
    MAX_DEPTH,
    NotALiteral,
    read_calls,
    read_java,
    read_javascript,
)
from reward_models.verifiers.ast.rows import read_row
from reward_models.verifiers.ast.rules import AstCode
from reward_models.verifiers.ast.verifier import NOT_CALLS, AstVerifier, check_calls
from reward_models.verifiers.reasons import UNLISTED, reason_code

OK = AstCode.ACCEPTED.value
STRING, INTEGER, FLOAT, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "float"}, {"type": "boolean"}
DICT = {"type": "dict"}


def array_of(items, kind="array"):
    return {"type": kind, "items": {"type": items}}


def tool(name="f", required=(), **properties):
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": list(required)}}


def codes(tools, answers, calls, language="python"):
    expected = read_row(json.dumps(tools), json.dumps(answers), language)
    return check_calls(expected, [ToolCall(name, arguments) for name, arguments in calls])


def code(schema, accepted, value, language="python"):
    """The verdict on f(a=value)."""
    return codes([tool(a=schema)], [{"f": {"a": accepted}}], [("f", {"a": value})], language)[0]


@pytest.mark.parametrize(
    ("schema", "accepted", "value", "expected"),
    [
        # Strings: without case, spaces and some punctuation, either quote.
        (STRING, ["April 1, 2024"], "april 1 2024", OK),
        (STRING, ["a-b_c/d.e*f^g"], "ABCDEFG", OK),
        (STRING, ["it's"], 'it"s', OK),
        (STRING, ["a:b"], "ab", "value_error"),
        (STRING, ["a"], 1, "type_error"),
        (STRING, ["a", ""], "", OK),
        (STRING, ["a"], "", "value_error"),
        ({"type": "any"}, ["a"], "A", OK),
        ({}, ["a"], "A", OK),
        # Numbers: an integer for a float, never the other way; a boolean is neither.
        (INTEGER, [1], 1, OK),
        (INTEGER, [1], 1.0, "type_error"),
        (INTEGER, [1], True, "type_error"),
        (INTEGER, [1], "1", "type_error"),
        (INTEGER, [1, 2], 3, "value_error"),
        (FLOAT, [1.0], 1, OK),
        (FLOAT, [1], 1.0, OK),
        (FLOAT, [1.0], True, "type_error"),
        (FLOAT, [1.0], 10**400, "value_error"),
        ({"type": "number"}, [0.5], 0.5, OK),
        (BOOLEAN, [True], True, OK),
        (BOOLEAN, [True], False, "value_error"),
        (BOOLEAN, [True], 1, "type_error"),
        # null is right only where it comes first among the answers.
        (STRING, [None], None, OK),
        (STRING, ["a", None], None, "type_error"),
        # A variable's name in place of a value is compared as it stands.
        (INTEGER, ["LIMIT"], "LIMIT", OK),
        (INTEGER, ["LIMIT"], "limit", "value_error"),
        (array_of("integer"), ["rows"], "rows", OK),
        (DICT, ["options"], "options", OK),
        # Nothing is right where there is no answer.
        (STRING, [], "a", "value_error"),
    ],
)
def test_scalar_arguments(schema, accepted, value, expected):
    assert code(schema, accepted, value) == expected


@pytest.mark.parametrize(
    ("schema", "accepted", "value", "expected"),
    [
        (array_of("string"), [["A b", "c"]], ["ab", "C"], OK),
        (array_of("string"), [["a", "b"]], ["b", "a"], "value_error"),
        (array_of("string"), [["a", "b"]], ["a"], "value_error"),
        (array_of("string"), [["a"], ["b"]], ["b"], OK),
        (array_of("string"), [["a"]], "a", "type_error"),
        (array_of("integer"), [[1, 2]], ["1", 2], "item_type_error"),
        (array_of("integer"), [[1]], [True], "item_type_error"),
        # No promotion inside of a list, but the type of the answer's own first item is right as well.
        (array_of("float"), [[1.0]], [1], "item_type_error"),
        (array_of("float"), [[1]], [1], OK),
        (array_of("integer"), [["X"]], ["x"], OK),
        # Types are checked one level deep, values all the way, without normalisation below the first level.
        (array_of("array"), [[["a"], [1]]], [["a"], [1.0]], OK),
        (array_of("array"), [[["a"]]], [["A"]], "value_error"),
        ({"type": "array"}, [[1, "a"]], [1, "a"], OK),
        # "" says that a list may be left out; the empty list counts as the same.
        (array_of("string"), [["a"], ""], [], OK),
        (array_of("string"), [["a"]], [], "value_error"),
        # A tuple is a list only where the tool asks for one.
        (array_of("float", "tuple"), [[1.0, 2.0]], (1.0, 2.0), OK),
        (array_of("float", "tuple"), [[1.0, 2.0]], [1.0, 2.0], OK),
        (array_of("float"), [[1.0, 2.0]], (1.0, 2.0), "type_error"),
    ],
)
def test_list_arguments(schema, accepted, value, expected):
    assert code(schema, accepted, value) == expected


@pytest.mark.parametrize(
    ("accepted", "value", "expected"),
    [
        ([{"k": ["A", "b"]}], {"k": "a"}, OK),
        ([{"k": ["A"]}, {"k": ["b"]}], {"k": "b"}, OK),
        ([{"k": ["a"]}], {"k": "c"}, "value_error"),
        ([{"k": ["a"]}], {}, "value_error"),
        ([{"k": ["a", ""]}], {}, OK),
        ([{"k": ["a"]}], {"k": "a", "z": 1}, "value_error"),
        ([{"k": [1]}], {"k": 1.0}, OK),
        ([{"k": [["A"]]}], {"k": ["A"]}, OK),
        ([{"k": [["A"]]}], {"k": ["a"]}, "value_error"),
        ([{"k": [{"n": "A"}]}], {"k": {"n": "A"}}, OK),
        ([{"k": [[1]]}], {"k": (1,)}, "value_error"),
        ([{"k": "A"}], {"k": "a"}, OK),  # a bare value, as in one of BFCL's answers
        (["", {}], {}, OK),
        ([{"k": ["a"]}], [["k", "a"]], "type_error"),
    ],
)
def test_dict_arguments(accepted, value, expected):
    assert code(DICT, accepted, value) == expected


@pytest.mark.parametrize(
    ("accepted", "value", "expected"),
    [
        ([[{"k": ["A"]}, {"k": ["b", ""]}]], [{"k": "a"}, {}], OK),
        ([[{"k": ["a"]}, {"k": ["b"]}]], [{"k": "b"}, {"k": "a"}], "value_error"),
        ([[{"k": ["a"]}]], [{"k": "a"}, {"k": "a"}], "value_error"),
        ([[{"k": ["a"]}]], ["a"], "item_type_error"),
        ([[{"k": ["a"]}], ""], [], OK),
        ([[{"k": ["a"]}], ""], ["a"], "value_error"),
    ],
)
def test_lists_of_dicts(accepted, value, expected):
    assert code(array_of("dict"), accepted, value) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"a": 1, "b": 2}, OK),
        ({"a": 1}, OK),
        ({"b": 2}, "missing_required"),
        ({"a": 1, "b": 2, "z": 0}, "unexpected_param"),
        ({"a": 1, "d": 4}, "unexpected_param"),  # the tool knows it, no answer gives it
    ],
)
def test_required_and_optional_arguments(arguments, expected):
    tools = [tool(required=["a"], a=INTEGER, b=INTEGER, d=INTEGER)]
    assert codes(tools, [{"f": {"a": [1], "b": [2, ""]}}], [("f", arguments)])[0] == expected


def test_an_argument_that_every_answer_gives_is_missed_even_where_the_tool_does_not_require_it():
    assert codes([tool(a=INTEGER)], [{"f": {"a": [1]}}], [("f", {})]) == ("missing_optional",)


def test_an_argument_that_the_tool_does_not_have_cannot_be_given():
    tools, answers = [tool(a=INTEGER)], [{"f": {"a": [1], "z": [5, ""]}}]
    assert codes(tools, answers, [("f", {"a": 1, "z": 5})]) == ("unexpected_param",)
    assert codes(tools, answers, [("f", {"a": 1})]) == (OK,)


TWO_TOOLS = [tool("f", ["a"], a=INTEGER), tool("g.h", ["a"], a=STRING)]
PARALLEL = [{"f": {"a": [1]}}, {"g.h": {"a": ["x"]}}, {"f": {"a": [2]}}]


def test_calls_in_any_order():
    calls = [("f", {"a": 2}), ("f", {"a": 1}), ("g.h", {"a": "X"})]
    assert codes(TWO_TOOLS, PARALLEL, calls) == (OK,)


@pytest.mark.parametrize("calls", [[], [("f", {"a": 1})], [("f", {"a": 1})] * 4])
def test_another_number_of_calls(calls):
    assert codes(TWO_TOOLS, PARALLEL, calls) == ("wrong_count",)


def test_what_is_wrong_with_several_calls():
    calls = [("f", {"a": 1}), ("g.h", {"a": "y"}), ("f", {"a": 2})]
    assert codes(TWO_TOOLS, PARALLEL, calls) == ("no_match", "value_error")
    calls = [("f", {"a": 1}), ("f", {"a": 1}), ("f", {"a": 2})]
    assert codes(TWO_TOOLS, PARALLEL, calls) == ("no_match", "wrong_name")


def test_pairs_are_the_best_ones_not_the_first_that_fit():
    answers = [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}]
    for calls in ([("f", {"a": 1}), ("f", {"a": 2})], [("f", {"a": 2}), ("f", {"a": 1})]):
        assert codes(TWO_TOOLS, answers, calls) == (OK,)


def test_true_is_not_one_at_any_depth():
    assert code(DICT, [{"k": [1]}], {"k": True}) == "value_error"
    assert code(array_of("array"), [[[1]]], [[True]]) == "value_error"
    assert code(array_of("integer"), [[1], ""], [True]) == "value_error"


@pytest.mark.parametrize(
    ("kind", "accepted", "text", "expected"),
    [
        ("integer", [5], "5", OK),
        ("integer", [5], "5L", "type_error"),
        ("integer", [5], 5, "type_error"),  # BFCL's decoders give every Java argument as text
        ("integer", [5], "9" * 5000, "type_error"),
        ("long", [5], "5L", OK),
        ("long", [5], "5", "type_error"),
        ("float", [1.5], "1.5f", OK),
        ("float", [1.5], "1.5", "type_error"),
        ("double", [1.5], "1.5", OK),
        ("double", [150.0], "1.5e2", OK),
        ("boolean", [True], "true", OK),
        ("boolean", [True], "True", "type_error"),
        ("boolean", [True], " true ", "type_error"),
        ("String", ["a, b"], "A B", OK),
        ("any", ["mapController"], "mapController", OK),
        ("any", [20.5, "20.5"], "20.5", OK),
        ("integer", ["ResultSet.CONCUR_READ_ONLY"], "ResultSet.CONCUR_READ_ONLY", OK),
        ("HashMap", [{"k": [5], "s": ["A"]}], 'new HashMap<String, Object>() {{ put("k", 5); put("s", "a"); }}', OK),
        ("HashMap", [{"k": [5]}], 'new HashMap<>(){{put("k", 5L);}}', OK),
        ("HashMap", [{"k": ["5"]}], 'new HashMap<>(){{put("k", 5);}}', "value_error"),
        ("HashMap", [{"k": ["f(x), y"]}], 'new HashMap<>() {{ put("k", "f(x), y"); }}', OK),
        ("HashMap", [{}], "new HashMap<String, Integer>()", OK),
        ("HashMap", [{"k": [5]}], 'Map.of("k", 5)', "type_error"),
        ("HashMap", ["docFields"], "docFields", OK),
    ],
)
def test_java_arguments(kind, accepted, text, expected):
    assert code({"type": kind}, accepted, text, "java") == expected


@pytest.mark.parametrize(
    ("schema", "accepted", "text", "expected"),
    [
        (array_of("integer", "Array"), [[2, 7]], "new int[]{2, 7}", OK),
        (array_of("integer", "Array"), [[2, 7]], "new int[] { 2, 7, }", OK),
        (array_of("integer", "Array"), [[2, 7]], "{2, 7}", "type_error"),
        (array_of("integer", "Array"), [[2, 7]], "new int[]{2, 7}.clone()", "type_error"),
        (array_of("String", "Array"), [["-v", "2"]], 'new String[]{"-v", "2"}', OK),
        (array_of("String", "Array"), [["-v", "2"]], "new String[]{-v, 2}", OK),
        (array_of("String", "Array"), [["a,b"]], 'new String[]{"a,b"}', OK),
        (array_of("char", "Array"), ["textBuffer"], "textBuffer", OK),
        (array_of("long", "ArrayList"), [[1, 2]], "new ArrayList<>(Arrays.asList(1L, 2L))", OK),
        (array_of("long", "ArrayList"), [[1, 2]], "new ArrayList<Long>() {{ add(1L); add(2L); }}", OK),
        (array_of("long", "ArrayList"), [[1, 2]], "new ArrayList<>(Arrays.asList(1, 2))", "item_type_error"),
        (array_of("String", "ArrayList"), [["GC pause"]], 'new ArrayList<>(Arrays.asList("GC pause"))', OK),
        (array_of("integer", "ArrayList"), [[]], "new ArrayList<Integer>()", OK),
        (array_of("integer", "ArrayList"), [[1]], "List.of(1)", "type_error"),
    ],
)
def test_java_collections(schema, accepted, text, expected):
    assert code(schema, accepted, text, "java") == expected


@pytest.mark.parametrize(
    ("schema", "accepted", "text", "expected"),
    [
        (INTEGER, [5], "5", OK),
        (INTEGER, [5], "5.0", "type_error"),
        (FLOAT, [4.0], "4", OK),
        ({"type": "Bigint"}, [5], "5n", OK),
        ({"type": "Bigint"}, [5], "5", "type_error"),
        ({"type": "Boolean"}, [True], "true", OK),
        ({"type": "Boolean"}, [True], 1, "type_error"),
        ({"type": "String"}, ["a b"], "'A b'", OK),
        ({"type": "String"}, ["a b"], "a b", OK),
        ({"type": "any"}, ["processFunction"], "processFunction", OK),
        (array_of("String"), [["a,b", "c"]], "['a,b', \"c\"]", OK),
        (array_of("String"), ["items"], " items ", OK),
        (array_of("float"), [[60, 30]], "[60, 30]", OK),
        (array_of("integer"), [[1, 2]], "new Array(1, 2)", OK),
        (array_of("integer"), [[1, 2]], "[1, 2].map(f)", "type_error"),
        (array_of("dict"), [[{"k": [1], "m": ["x"]}]], '[{k: 1, m: "x"}]', OK),
        (array_of("array"), [[[1, 2], [3]]], "[[1, 2], [3]]", OK),
        (DICT, [{"m": ["GET"], "n": [5]}], "{m: 'get', \"n\": 5}", OK),
        (DICT, [{"m": ["a: b, c"]}], '{m: "a: b, c"}', OK),
        (DICT, [{"m": [["x"]], "o": [{"p": True}]}], '{m: ["x"], o: {p: true}}', OK),
        (DICT, [{"m": ["5"]}], "{m: '5'}", OK),
        (DICT, [{"m": [5]}], "{m: '5'}", "value_error"),
        (DICT, [{"stop": [True]}], "{stop: 1}", "value_error"),
        (DICT, [{}], "{}", OK),
        (DICT, [{"f": ["fn"]}], "{fn}", "type_error"),
        (DICT, ["options"], "options", OK),
    ],
)
def test_javascript_arguments(schema, accepted, text, expected):
    assert code(schema, accepted, text, "javascript") == expected


def test_source_text_of_calls():
    text = (
        '[a.B.f(x=new HashMap<String, Object>() {{ put("k", 1); }}, s="he, (llo", n = -5L), g(c=\'=\', d=() => { y })]'
    )
    assert read_calls(text) == (
        ToolCall("a.B.f", {"x": 'new HashMap<String, Object>() {{ put("k", 1); }}', "s": "he, (llo", "n": "-5L"}),
        ToolCall("g", {"c": "=", "d": "() => { y }"}),
    )
    assert read_calls("f()") == (ToolCall("f", {}),)


@pytest.mark.parametrize(
    "text",
    ["x", "f(1)", "f(a=1, a=2)", "f(a=1", "f(a=1))", 'f(a="x)', "sure: f(a=1)", "f(a=1) done", "f(a==1)", "f(a=[1)]"],
)
def test_text_that_is_no_calls(text):
    with pytest.raises(NotALiteral):
        read_calls(text)


def test_source_text_beyond_the_bounds():
    deep, long = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"[{'1,' * MAX_CHARS}]"
    for text in (deep, long):
        assert read_javascript(text, "array", "integer") == text
        with pytest.raises(NotALiteral):
            read_calls(f"f(a={text})")


@given(st.text(max_size=60) | st.text(alphabet="new HashMapArrayList<>(){}[]\"'`,;:=-.1Lf \\", max_size=80))
def test_reading_source_text_never_raises_anything_else(text):
    for read, kinds in (
        (read_java, ("integer", "long", "float", "double", "boolean", "char", "Array", "ArrayList", "HashMap", "any")),
        (read_javascript, ("integer", "Bigint", "float", "Boolean", "String", "array", "dict", "any")),
    ):
        for kind in kinds:
            read(text, kind, "String")
    with contextlib.suppress(NotALiteral):
        assert all(call.name for call in read_calls(text))


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
        ('<think>[A.f(m=new HashMap<>() {{ put("k", 1); }}, n=5L)]', "not_calls"),
        ("I call A.f.", "not_calls"),
        ("", "not_calls"),
        ("[]", "wrong_count"),
    ],
)
def test_a_response_in_java_syntax(response, reason):
    row = rollout(response, [JAVA_TOOL], [JAVA_ANSWER], "bfcl/simple_java")
    assert AstVerifier().verify(row).reason == reason


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
