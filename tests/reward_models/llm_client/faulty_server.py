"""An OpenAI-compatible server on 127.0.0.1 that answers after a set latency, and fails in the ways it is told.

In a test: `with FaultyServer(faults={"500": 0.1, "reset": 0.1}) as server: ... server.base_url`. As a process of its
own, for a training run or a benchmark: `python faulty_server.py --port 8000 --fault-share 0.3`.
"""

import argparse
import asyncio
import itertools
import json
import math
import random
import threading
import time
from collections import Counter, deque
from email.utils import formatdate

from aiohttp import web

MODEL = "grader"
VERDICT = '{"reasons": "because", "score": 7}'
# What may pass with another attempt, in equal shares: the mix of a bad day.
MIXED = ("timeout", "429", "429_after", "500", "503_after", "reset", "truncated", "drip", "schema", "html", "empty")


def completion(text, finish_reason="stop", prompt_tokens=100, completion_tokens=10):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
    }


def logprobs(*tokens):
    """In the API's form, of (token, {alternative: probability})."""
    content = []
    for token, odds in tokens:
        top = [{"token": text, "logprob": math.log(p) if p else -9999.0, "bytes": None} for text, p in odds.items()]
        content.append({"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": top})
    return {"content": content}


def answering(body):
    """For a server's `_answer`: this body, whatever is asked."""

    async def answer(kind, asked, request):
        return web.json_response(body)

    return answer


def mixed(share):
    """`share` of all requests fail, by each of MIXED alike."""
    return dict.fromkeys(MIXED, share / len(MIXED))


class FaultyServer:
    """Runs in a thread and an event loop of its own, so that it outlives the loops of a test.

    text: of a good answer, or a function of the request's JSON.
    script: faults (or "ok") of the next requests; then each is chosen by `faults`, a share for each kind.
    key: where set, requests without it get a 401 that repeats what they sent.
    models: what /models offers, or a status.
    """

    def __init__(
        self,
        text=VERDICT,
        latency_s=0.0,
        faults=None,
        script=(),
        key=None,
        models=(MODEL,),
        port=0,
        seed=0,
        prefix="/v1",
    ):
        self.text, self.latency_s, self.faults, self.key, self.models = text, latency_s, dict(faults or {}), key, models
        self.script = deque(script)
        self.retry_after_s, self.stall_s = 1, 30.0
        self.requests, self.headers, self.arrivals, self.kinds = [], [], [], Counter()
        self.in_flight = self.peak = self.peak_sockets = 0
        self.tokens = Counter()
        self._port, self._random, self._prefix = port, random.Random(seed), prefix

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def sockets(self):
        """Connections that clients hold open now."""
        return len(self._runner.server.connections)

    def wait_for_sockets(self, count, seconds=5.0):
        deadline = time.monotonic() + seconds
        while self.sockets != count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.sockets == count

    async def _serve(self, started):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post(f"{self._prefix}/chat/completions", self._chat)
        app.router.add_get(f"{self._prefix}/models", self._models)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=4096, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{self.port}{self._prefix}"
        started.set()
        await self._stop.wait()
        await self._runner.cleanup()

    async def _models(self, request):
        if isinstance(self.models, int):
            return web.Response(status=self.models, text="not here")
        if self._refused(request):
            return web.json_response({"error": {"message": "no key"}}, status=401)
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _chat(self, request):
        self.arrivals.append(time.monotonic())
        self.in_flight += 1
        self.peak, self.peak_sockets = max(self.peak, self.in_flight), max(self.peak_sockets, self.sockets)
        try:
            asked = await request.json()
            self.requests.append(asked)
            self.headers.append(dict(request.headers))
            if self._refused(request):
                return web.json_response({"error": f"wrong key {request.headers.get('Authorization')}"}, status=401)
            kind = self.script.popleft() if self.script else self._choose()
            self.kinds[kind] += 1
            return await self._answer(kind, asked, request)
        except ConnectionError:  # the client has had enough of it
            return web.Response()
        finally:
            self.in_flight -= 1

    def _refused(self, request):
        return self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}"

    def _choose(self):
        point = self._random.random()
        for kind, until in zip(self.faults, itertools.accumulate(self.faults.values()), strict=True):
            if point < until:
                return kind
        return "ok"

    async def _answer(self, kind, asked, request):
        good = completion(self.text(asked) if callable(self.text) else self.text)
        if kind == "timeout":
            await asyncio.sleep(self.stall_s)
        await asyncio.sleep(self.latency_s)
        if kind == "429_after":
            return web.Response(status=429, headers={"Retry-After": str(self.retry_after_s)})
        if kind == "429_date":
            return web.Response(
                status=429, headers={"Retry-After": formatdate(time.time() + self.retry_after_s, usegmt=True)}
            )
        if kind == "503_after":
            return web.Response(status=503, headers={"Retry-After": str(self.retry_after_s)})
        if kind == "quota":
            return web.json_response({"error": {"code": "insufficient_quota"}}, status=429)
        if kind == "redirect":
            return web.Response(status=307, headers={"Location": f"{self.base_url}/chat/completions"})
        if kind.isdigit():
            return web.Response(status=int(kind), text="failed " + request.headers.get("Authorization", ""))
        if kind == "reset":
            request.transport.abort()
            return web.Response()
        if kind in ("truncated", "drip"):
            return await self._partly(kind, json.dumps(good).encode(), request)
        if kind == "gzip":
            response = web.json_response(good)
            response.enable_compression(web.ContentCoding.gzip)
            return response
        bodies = {
            "schema": {"choices": {"text": good}},
            "empty": {**good, "choices": []},
            "number": completion(7),
            "null": completion(None),
            "thinking": completion(None, "length"),
            "refusal": {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]},
            "cut": completion('{"reasons": "be', "length"),
            "no_usage": {**good, "usage": None},
            "bad_usage": {**good, "usage": {"prompt_tokens": -5, "completion_tokens": "many"}},
        }
        if kind in bodies:
            return web.json_response(bodies[kind])
        if kind == "html":
            return web.Response(text="<html><body>502 Bad Gateway</body></html>", content_type="text/html")
        if kind == "huge":
            return web.json_response(completion("x" * 8 * 1024**2))
        if kind == "endless":
            return await self._endlessly(request)
        for name in ("prompt_tokens", "completion_tokens"):
            self.tokens[name] += good["usage"][name]
        return web.json_response(good)

    async def _partly(self, kind, body, request):
        response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
        await response.prepare(request)
        if kind == "truncated":
            await response.write(body[: len(body) // 2])
            request.transport.close()
            return response
        for byte in body:
            await response.write(bytes([byte]))
            await asyncio.sleep(self.stall_s / len(body))
        return response

    async def _endlessly(self, request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--fault-share", type=float, default=0.0, help="of all requests, by all kinds alike")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with FaultyServer(latency_s=args.latency, faults=mixed(args.fault_share), port=args.port, seed=args.seed) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
