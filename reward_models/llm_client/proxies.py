"""Which proxy a request goes through: the option, or HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY in either case.

Not aiohttp's `trust_env`, which would also send what ~/.netrc holds for the host in place of the key.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from reward_models.types import JudgeNotReadyError

NO_PROXY = "none"


def proxy_for(url: str, option: str | None) -> str | None:
    """The proxy's URL for requests to `url`, None where they go straight.

    Args:
        option: a URL, NO_PROXY, or None for the variables. Those are not for this machine, nor for addresses of a private
            network that are given as numbers: no proxy leads there, and a judge beside the trainer is the usual case.

    JudgeNotReadyError, without the value, which may hold a password, where a variable has a proxy that is not HTTP.
    """
    if option is not None:
        return None if option == NO_PROXY else option
    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or _is_near(host) or proxy_bypass_environment(host, proxies):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        variable = f"{parts.scheme}_proxy".upper() if proxies.get(parts.scheme) else "ALL_PROXY"
        raise JudgeNotReadyError(
            f"the variable {variable} names a proxy that is not HTTP: set judge_kwargs.proxy to an HTTP proxy's URL, or to "
            f"{NO_PROXY!r}"
        )
    return proxy


def _is_near(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_private  # loopback and link-local included
    except ValueError:
        return False
