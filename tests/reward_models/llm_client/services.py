"""Servers on 127.0.0.1 that speak as hosted services document: what they take, what they refuse, and in which words.

`SERVICES` maps a name to a server without its key's check; no service is called.
"""

import json

from aiohttp import web

from tests.reward_models.llm_client.faulty_server import MODEL, VERDICT, FaultyServer, completion, logprobs

KEY = "sk-service-0123456789"
ODDS = {"content": logprobs(("Yes", {"Yes": 0.8, "No": 0.2}))["content"]}


def refused(message, param=None, code=None, status=400, kind="invalid_request_error"):
    """OpenAI's form of an error."""
    return web.json_response({"error": {"message": message, "type": kind, "param": param, "code": code}}, status=status)


class Service(FaultyServer):
    """`takes(asked)` is an answer or a `web.Response`; `listed` the body of /models, or a status."""

    def __init__(self, takes=None, listed=None, prefix="/v1", header=("Authorization", f"Bearer {KEY}"), query=None):
        super().__init__(prefix=prefix)
        self._takes, self._listed, self._header, self._needed = takes, listed, header, query
        self.queries = []

    def answer(self, asked):
        body = completion(VERDICT)
        if asked.get("logprobs"):
            body["choices"][0] |= {"logprobs": ODDS, "message": {"role": "assistant", "content": "Yes"}}
        return body

    async def _models(self, request):
        if isinstance(self._listed, int):
            return web.Response(status=self._listed, text="no")
        listed = {"object": "list", "data": [{"id": MODEL}]} if self._listed is None else self._listed
        return web.json_response(listed)

    async def _chat(self, request):
        asked = await request.json()
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        self.queries.append(dict(request.query))
        name, value = self._header
        if request.headers.get(name) != value:
            return refused(f"Incorrect API key provided: {dict(request.headers)}", code="invalid_api_key", status=401)
        if self._needed is not None and dict(request.query) != self._needed:
            return web.json_response({"error": {"code": "404", "message": "Resource not found"}}, status=404)
        found = self._takes(asked) if self._takes else None
        found = self.answer(asked) if found is None else found
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)


def openai_reasoning(asked):
    """o-series and GPT-5: no max_tokens, no temperature but 1, no logprobs; an error names one parameter at a time."""
    if "max_tokens" in asked:
        said = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return refused(said, "max_tokens", "unsupported_parameter")
    if asked.get("temperature", 1) != 1:
        said = (
            f"Unsupported value: 'temperature' does not support {asked['temperature']} with this model. Only the default "
            "(1) value is supported."
        )
        return refused(said, "temperature", "unsupported_value")
    if "logprobs" in asked:
        said = "Unsupported parameter: 'logprobs' is not supported with this model."
        return refused(said, "logprobs", "unsupported_parameter")
    return None


def anthropic(asked):
    """Ignores response_format, logprobs and seed; refuses a temperature that a model does not take without naming it apart."""
    if "temperature" in asked:
        return refused("`temperature` is deprecated for this model.", code="invalid_request_error")
    return completion(VERDICT)


def gemini(asked):
    """A list around the error, which names all that is unknown at once."""
    unknown = [name for name in ("seed", "logprobs", "top_logprobs") if name in asked]
    if not unknown:
        return None
    lines = [f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.' for name in unknown]
    violations = [{"description": line} for line in lines]
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
    error = {"code": 400, "message": "\n".join(lines), "status": "INVALID_ARGUMENT", "details": details}
    return web.json_response([{"error": error}], status=400)


def deepseek(asked):
    """Knows response_format, but not by schema."""
    if asked.get("response_format", {}).get("type") == "json_schema":
        return refused("This response_format type is unavailable now", code="invalid_request_error")
    return None


def mistral(asked):
    """Pydantic's form; thinking models answer in chunks."""
    if "logprobs" in asked:
        found = {"type": "extra_forbidden", "loc": ["body", "logprobs"], "msg": "Extra inputs are not permitted"}
        return web.json_response({"object": "error", "message": {"detail": [found]}}, status=422)
    chunks = [
        {"type": "thinking", "thinking": [{"type": "text", "text": json.dumps({"reasons": "a draft", "score": 1})}]},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": VERDICT},
    ]
    body = completion("")
    body["choices"][0]["message"]["content"] = chunks
    return body


def few_logprobs(asked):
    """Fireworks, older OpenAI and Azure models: 5 alternatives at most."""
    if asked.get("top_logprobs", 0) > 5:
        return refused("Invalid value for 'top_logprobs': must be less than or equal to 5.", "top_logprobs")
    return None


def vllm_thinking(asked):
    """`vllm serve --reasoning-parser`: the thinking in a field of its own."""
    body = completion(VERDICT)
    body["choices"][0]["message"]["reasoning_content"] = json.dumps({"reasons": "a draft", "score": 1})
    return body


def silent(asked):
    """The same, where structured output went into the thinking."""
    body = completion(None)
    body["choices"][0]["message"]["reasoning_content"] = VERDICT
    return body


SERVICES = {
    "openai": lambda: Service(openai_reasoning),
    "azure": lambda: Service(
        few_logprobs,
        listed=404,
        prefix="/openai/deployments/judge",
        header=("api-key", KEY),
        query={"api-version": "2024-10-21"},
    ),
    "anthropic": lambda: Service(anthropic, listed=401),
    "gemini": lambda: Service(gemini, listed={"data": [{"id": f"models/{MODEL}"}]}, prefix="/v1beta/openai"),
    "deepseek": lambda: Service(deepseek),
    "mistral": lambda: Service(mistral),
    "together": lambda: Service(listed=[{"id": MODEL, "object": "model"}]),
    "ollama": lambda: Service(listed={"object": "list", "data": [{"id": f"{MODEL}:latest"}]}),
    "vllm thinking": lambda: Service(vllm_thinking),
}
# What a user has to set beside base_url, model and the key's variable.
OPTIONS = {"azure": {"api_key_header": "api-key", "api_version": "2024-10-21"}}
