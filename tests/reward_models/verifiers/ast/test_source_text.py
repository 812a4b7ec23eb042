"""Arguments as Java and JavaScript source text: what they are read as, and what is no list of calls."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.parsing import ToolCall
from reward_models.verifiers.ast.literals import (
    MAX_CHARS,
    MAX_DEPTH,
    NotALiteral,
    read_calls,
    read_java,
    read_javascript,
)
from tests.reward_models.verifiers.ast.cases import DICT, FLOAT, INTEGER, OK, array_of, code


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
