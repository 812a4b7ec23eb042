"""The options of the judge's client: what is refused, by name and without showing a key."""

import pytest

pytest.importorskip("aiohttp")

from reward_models.llm_client import ClientConfig
from tests.reward_models.llm_client.calls import KEY
from tests.reward_models.llm_client.faulty_server import MODEL


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": ""}, r"judge client: base_url='' must be a http\(s\) URL"),
        ({"base_url": None}, "base_url=None"),
        ({"base_url": 3}, "base_url=3"),
        ({"base_url": []}, r"base_url=\[\] must name at least one"),
        ({"base_url": ["http://127.0.0.1/v1", 3]}, "base_url=3"),
        ({"base_url": "127.0.0.1:8000/v1"}, "base_url='127.0.0.1:8000/v1'"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "base_url='ftp"),
        ({"base_url": "http:///v1"}, "base_url='http:///v1'"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "base_url="),
        ({"base_url": "http://[::1/v1"}, "base_url="),
        ({"base_url": "http://127.0.0.1/v1?key=1"}, "base_url="),
        ({"base_url": "http://127.0.0.1/v1\n"}, "base_url="),
        ({"model": " "}, "model=' ' must be the name"),
        ({"model": 3}, "model=3"),
        ({"api_key_env": ""}, "api_key_env must be the name"),
        ({"timeout_s": 0}, r"timeout_s=0 must be a number in \[0.01, 3600\]"),
        ({"retries": -1}, "retries=-1"),
        ({"retries": 1.5}, "retries=1.5"),
        ({"deadline_s": float("inf")}, "deadline_s=inf"),
        ({"max_concurrency": 0}, r"max_concurrency=0 must be an integer in \[1, 4096\]"),
        ({"max_concurrency": True}, "max_concurrency=True"),
        ({"requests_per_minute": 0}, "requests_per_minute=0"),
        ({"tokens_per_minute": "many"}, "tokens_per_minute='many'"),
        ({"cache_dir": ""}, "cache_dir=''"),
        ({"ledger": 3}, "ledger=3"),
        ({"cache_max_gb": 0}, "cache_max_gb=0"),
        ({"cache_max_age_days": -1}, "cache_max_age_days=-1"),
        ({"price_per_million_tokens": 3}, "price_per_million_tokens=3"),
        ({"price_per_million_tokens": (1,)}, "price_per_million_tokens"),
        ({"price_per_million_tokens": (1, -1)}, "price_per_million_tokens=-1"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        ClientConfig(**{"base_url": "http://127.0.0.1:8000/v1", "model": MODEL, **options})


@pytest.mark.parametrize("options", [{"api_key_env": KEY}, {"base_url": f"http://user:{KEY}@127.0.0.1/v1"}])
def test_a_key_given_as_an_option_is_refused_and_not_repeated(options):
    with pytest.raises(ValueError, match="api_key") as refusal:
        ClientConfig(**{"base_url": "http://127.0.0.1/v1", "model": MODEL, **options})
    assert KEY not in str(refusal.value)


def test_urls_are_kept_once_each_and_without_their_last_slash():
    urls = ["http://a/v1/", "http://b/v1", "http://a/v1"]
    assert ClientConfig(urls, MODEL).base_url == ("http://a/v1", "http://b/v1")
