"""An OpenAI-compatible endpoint on 127.0.0.1 whose answers, and death, a test decides."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "fake"


class FakeEndpoint:
    """`answer(body)` gives a text, a dict that replaces the message, or (status, error text).

    After `dies_after` completions every connection is closed without a word, as of a server that was killed.
    """

    def __init__(self, answer, dies_after=None, models=(MODEL,), prompt_tokens=lambda body: 10):
        self.answer, self.dies_after, self.models, self.prompt_tokens = answer, dies_after, models, prompt_tokens
        self.bodies = []
        self._lock = threading.Lock()

    def __enter__(self):
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                entries = [{"id": name, "object": "model", "created": 0, "owned_by": "x"} for name in endpoint.models]
                self.reply(200, {"object": "list", "data": entries})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with endpoint._lock:
                    dead = endpoint.dies_after is not None and len(endpoint.bodies) >= endpoint.dies_after
                    if not dead:
                        endpoint.bodies.append(body)
                if dead:
                    self.close_connection = True
                    return
                found = endpoint.answer(body)
                if isinstance(found, tuple):
                    self.reply(found[0], {"error": {"message": found[1], "type": "x"}})
                    return
                message = {"role": "assistant", "content": found} if isinstance(found, str) else found
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                prompt = endpoint.prompt_tokens(body)
                usage = {"prompt_tokens": prompt, "completion_tokens": 5, "total_tokens": prompt + 5}
                whole = {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "usage": usage}
                self.reply(200, {**whole, "choices": [choice]})

            def reply(self, status, value):
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()
