"""A judge under the grammar of a JSON schema, by xgrammar, as vLLM and SGLang decode: it copies a text as far as is legal."""

import functools
import json

import pytest

xgrammar = pytest.importorskip("xgrammar", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

_EOS = 256
_MOST = 6000
_AHEAD = 60


@functools.cache
def _compiled(schema):
    names = [chr(byte) if byte < 128 else f"<0x{byte:02X}>" for byte in range(256)] + ["</s>"]
    info = xgrammar.TokenizerInfo(names, vocab_type=xgrammar.VocabType.BYTE_FALLBACK, stop_token_ids=[_EOS])
    return xgrammar.GrammarCompiler(info).compile_json_schema(schema, any_whitespace=True, strict_mode=True)


def decode(response_format, intended):
    """What a model writes that means `intended`, byte by byte: where that is not legal it goes on with the next legal byte
    of it, and where there is none near, with the first byte that is legal."""
    matcher = xgrammar.GrammarMatcher(_compiled(json.dumps(response_format["json_schema"]["schema"])))
    mask, written, meant, place = xgrammar.allocate_token_bitmask(1, 257), b"", intended.encode(), 0
    for _ in range(_MOST):
        if matcher.is_terminated():
            break
        matcher.fill_next_token_bitmask(mask)
        legal = {token for token in range(257) if int(mask[0][token // 32]) >> (token % 32) & 1}
        if _EOS in legal:
            break
        visible = {token for token in legal if token not in b" \n\t\r"} or legal
        ahead = range(place, min(len(meant), place + _AHEAD))
        if place >= len(meant) or meant[place] not in legal:
            place = next((i for i in ahead if meant[i] in visible), place)
        if place < len(meant) and meant[place] in legal:
            token, place = meant[place], place + 1
        else:
            token = min(visible)
        assert matcher.accept_token(token)
        written += bytes([token])
    return written.decode()
