"""Fuzz the parser, or the verifier `strict` behind it: no text may raise, break what holds for every text, or take 10 ms.

    python tests/fuzz/fuzz_parsing.py                          random mutations, 20,000 inputs
    python tests/fuzz/fuzz_parsing.py --inputs 1000000         the deep run
    python tests/fuzz/fuzz_parsing.py --of strict              parser, matcher and schemas
    python tests/fuzz/fuzz_parsing.py --atheris -runs=1000000  guided by coverage; options of libFuzzer (needs atheris)

Prints a summary as JSON and exits with 1 where something was found. What is found goes to `tests/fuzz/corpus/parsing.json`,
by hand and shortened, and is then replayed by `test_fuzz_parsing.py`.
"""

import argparse
import json
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

CORPUS = HERE / "corpus" / "parsing.json"
LIMIT_S = 0.01
HANG_S = 5


def read_corpus():
    """[dialect, text] pairs."""
    return json.loads(CORPUS.read_text())


class Target:
    """Checks inputs one by one and keeps count, the failures, and the slowest input.

    An input that takes HANG_S is a failure too. Times are CPU times: a busy machine may stop the process for seconds.
    """

    def __init__(self, of="parsing"):
        from tests.fuzz.strict_check import check_strict
        from tests.reward_models.parsing.strategies import check

        self._check = {"parsing": check, "strict": check_strict}[of]
        # A text is read twice, with tools and without; `strict` reads it once more, to score it.
        self._limit = (3 if of == "strict" else 2) * LIMIT_S
        signal.signal(signal.SIGVTALRM, _hang)
        self.inputs, self.started = 0, time.monotonic()
        self.failures, self.slow = [], []
        self.slowest = (0.0, "", "")
        self.statuses = Counter()

    def run(self, dialect, text):
        self.inputs += 1
        seconds = self._seconds(dialect, text)
        if seconds > self._limit:
            # A busy machine or the garbage collector may have been in the way.
            seconds = min(self._seconds(dialect, text) for _ in range(5))
            if seconds > self._limit:
                self.slow.append((dialect, text))
        self.slowest = max(self.slowest, (seconds, dialect, text))

    def _seconds(self, dialect, text):
        start = time.thread_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
        try:
            status = self._check(text, dialect).status
        except Exception as error:
            self.failures.append((dialect, text, repr(error)))
            return 0.0
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        seconds = time.thread_time() - start
        self.statuses[status.value] += 1
        return seconds

    def summary(self):
        seconds, dialect, text = self.slowest
        return {
            "inputs": self.inputs,
            "seconds": round(time.monotonic() - self.started, 1),
            "statuses": dict(self.statuses),
            "failures": self.failures[:10],
            "over_10_ms": [(dialect, len(text), text[:200]) for dialect, text in self.slow[:10]],
            "slowest_ms": round(1000 * seconds, 2),
            "slowest": [dialect, len(text), text[:100]],
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def _hang(*_):
    raise TimeoutError(f"no result after {HANG_S} s of CPU time")


class Mutator:
    """Random texts: pieces in a row, well-formed responses with damage, and one in a hundred of up to 64 KiB."""

    def __init__(self, seed):
        from reward_models.parsing import DIALECTS, MAX_CHARS
        from tests.reward_models.parsing.strategies import FRAGMENTS, HEADS, REPEATED, TAILS

        self.random = random.Random(seed)
        self.fragments, self.heads, self.repeated, self.tails = FRAGMENTS, HEADS, REPEATED, TAILS
        self.dialects, self.max_chars = (*DIALECTS, "auto"), MAX_CHARS
        self.seeds = well_formed()

    def __iter__(self):
        while True:
            dialect, text = self.text()
            yield self.random.choice((dialect, dialect, "auto", self.random.choice(self.dialects))), text

    def text(self):
        dialect, text = self.random.choice(self.seeds)
        kind = self.random.random()
        if kind < 0.01:
            return dialect, self.long_text()
        if kind < 0.2:
            return dialect, "".join(self.random.choices(self.fragments, k=self.random.randrange(16)))
        return dialect, self.damaged(text, self.random.choice((1, 1, 1, 2, 3, 5)))

    def damaged(self, text, times):
        for _ in range(times):
            start = self.random.randrange(len(text) + 1)
            end = min(len(text), start + self.random.choice((0, 0, 1, 1, 2, 5, 20)))
            new = self.random.choice(
                (
                    "",
                    self.random.choice(self.fragments),
                    text[start:end] * 2,
                    chr(self.random.choice((self.random.randrange(128), self.random.randrange(0x110000)))),
                    text[self.random.randrange(len(text) + 1) :][:20],
                )
            )
            text = text[:start] + new + text[end:]
        return text

    def long_text(self):
        pieces = self.random.choices(self.repeated, k=self.random.randrange(1, 4))
        body = "".join(pieces)
        size = self.random.choice((1000, 10_000, self.max_chars)) - 60
        text = self.random.choice(self.heads) + body * (size // len(body)) + self.random.choice(self.tails)
        return self.damaged(text, self.random.randrange(3))[: self.max_chars]


def well_formed():
    """[dialect, text] pairs that are read as they should be."""
    from reward_models.parsing import DIALECTS, ToolCall, render_response
    from reward_models.parsing.render_families import WITHOUT_ESCAPES

    plain = ToolCall("weather.get", {"city": "São Paulo", "days": 3, "x": [-1.5, None, True, {"k": "a"}]})
    one = ToolCall("weather.get", {"city": "São Paulo", "days": 3, "x": [-1.5, None, True, {"k": "a\"'\\\n"}]})
    calls = ((one,), (one, ToolCall("f", {}), ToolCall("g", {"a-b": "</tool_call>", "class": {}})))
    pairs = []
    for name in DIALECTS:
        readable = (*calls, (plain, ToolCall("f", {}))) if name not in WITHOUT_ESCAPES else ((plain, plain),)
        pairs += [(name, render_response(given, name, thought)) for given in readable for thought in (None, "why")]
        pairs.append((name, render_response([], name, "t", "It is [not] known.")))
    pairs += [
        (name, render_response(calls[0], name, "t", "Done."))
        for name in DIALECTS
        if name not in ("json", "python", *WITHOUT_ESCAPES)
    ]
    pairs.append(("json", '```json\n{"name": "f", "arguments": {}}\n```'))
    pairs += [("python", f"<|{name}_start|>[f(a=1)]<|{name}_end|>") for name in ("tool_call", "python")]
    pairs += [("python", text) for text in ('f(a=1, b=(2, "c"), c=r"\\d")', '[f(a="""x""", b=0x1F, **{"c": -.5e3})]')]
    return pairs


def fuzz(inputs, seed=0, of="parsing"):
    """Run that many random inputs; returns the summary."""
    target = Target(of)
    for dialect, text in read_corpus():
        target.run(dialect, text)
    for (dialect, text), _ in zip(Mutator(seed), range(inputs), strict=False):
        target.run(dialect, text)
    return target.summary()


def fuzz_with_atheris(options, of="parsing"):
    """Hand over to libFuzzer, which ends the process; the first byte of an input chooses the dialect."""
    import atheris

    with atheris.instrument_imports(include=["reward_models.parsing", "reward_models.verifiers"]):
        from reward_models.parsing import DIALECTS
    from tests.reward_models.parsing.strategies import FRAGMENTS

    dialects = (*DIALECTS, "auto")
    target = Target(of)

    def one_input(data):
        dialect, text = (
            dialects[data[0] % len(dialects)] if data else "auto",
            data[1:].decode("utf-8", "surrogateescape"),
        )
        target.run(dialect, text)
        if target.failures:
            raise AssertionError(target.failures[0])
        if target.inputs % 100_000 == 0:
            print(json.dumps(target.summary()), flush=True)

    folder = Path(tempfile.mkdtemp(prefix="fuzz_parsing_"))
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, (name, text) in enumerate([*well_formed(), *read_corpus()]):
        encoded = bytes([dialects.index(name)]) + text.encode("utf-8", "replace")
        (seeds / str(number)).write_bytes(encoded)
    words = (fragment.encode("utf-8", "replace") for fragment in FRAGMENTS if len(fragment) < 64)
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words)
    (folder / "words").write_text("\n".join(lines))
    atheris.Setup([sys.argv[0], f"-dict={folder / 'words'}", "-max_len=65536", *options, str(seeds)], one_input)
    # Never returns: libFuzzer ends the process.
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", choices=("parsing", "strict"), default="parsing")
    parser.add_argument("--atheris", action="store_true")
    options, others = parser.parse_known_args()
    if options.atheris:
        fuzz_with_atheris(others, options.of)
        return
    summary = fuzz(options.inputs, options.seed, options.of)
    print(json.dumps(summary, indent=1))
    sys.exit(bool(summary["failures"] or summary["over_10_ms"]))


if __name__ == "__main__":
    main()
