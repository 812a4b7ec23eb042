"""A second world: a real, tiny language model that reasons in tokens and is updated. Does the first ranking hold?

    python benchmarks/tiny_lm.py [--seeds 20] [--judges good useless ..] [--outcomes toolrl exact] [--cache FILE]

A prompt gives four key-value pairs and asks for two of them. A full response writes `k1 is v1 k2 is v2`, then calls a tool
with v1 and v2. Filler words may be written too; they use up the length, so that a thought full of them never
comes to its call. The outcome is what the project's ToolRL verifier says of the text (`exact`: 1 where it is exactly right,
else 0); the judge scores the share of right statements, plus a bias for filler, plus noise. The model learns from
demonstrations first (in the second half of them 75 % of the values are made up), then by policy gradient with the kernel that
trains. The advantages of a batch are brought to one root mean square. Several supervised starts, shared by all estimators;
printed: sampled success on held-out prompts, as the difference from outcome-only, paired by seed, with its 95 % interval.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from contenders import BASE, CONTENDERS, Cache, Estimator, gain, head, row
from torch import nn

from reward_models import Rollout
from reward_models.verifiers import make_verifier

VALUES, KEYS = 5, 6
ASK, IS, CALL, END, FILLER, PAD = range(VALUES + KEYS, VALUES + KEYS + 6)
VOCABULARY, PROMPT, LENGTH = VALUES + KEYS + 6, 11, 11
WORDS = [*map(str, range(VALUES)), *"abcdef", "ask", "is", "call", "end", "indeed"]
# (weight of right statements, weight of filler) in the score
JUDGES = {"good": (0.9, 0.0), "weak": (0.4, 0.0), "useless": (0.0, 0.0), "gameable": (0.4, 0.6), "turns": (0.9, 0.0)}
TURNED = (0.0, 0.9)  # what the judge `turns` is from half time on
STARTS, DEMONSTRATIONS, BATCH, GROUP, HELD_OUT, RATE = 2, 500, 16, 4, 800, 5e-4
VERIFIER = make_verifier("toolrl")


class LanguageModel(nn.Module):
    """A pre-norm transformer, two layers of width 48, each token seen with the one before it, which makes looking a value up
    by its key easy to learn; samples with a cache of keys and values."""

    def __init__(self, width: int = 48, heads: int = 2, layers: int = 2):
        super().__init__()
        self.heads = heads
        self.tokens, self.before = nn.Embedding(VOCABULARY, width), nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(PROMPT + LENGTH, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width),
                    "qkv": nn.Linear(width, 3 * width),
                    "out": nn.Linear(width, width),
                    "norm2": nn.LayerNorm(width),
                    "up": nn.Linear(width, 2 * width),
                    "down": nn.Linear(2 * width, width),
                }
            )
            for _ in range(layers)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY)

    def forward(self, x: torch.Tensor, cache: list[torch.Tensor] | None = None) -> torch.Tensor:
        """Logits of `(B, T)` tokens; with a cache that holds some, of the second of the two latest tokens `(B, 2)`."""
        past = cache[0].shape[-2] if cache else 0
        h = self.tokens(x) + self.before(F.pad(x[:, :-1], (1, 0), value=PAD))
        h = (h[:, 1:] if past else h) + self.places.weight[past : past + x.shape[1] - bool(past)]
        for i, block in enumerate(self.blocks):
            qkv = block["qkv"](block["norm1"](h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            q, kv = qkv[0], qkv[1:]
            if cache is not None:
                kv = torch.cat([cache[i], kv], -2) if past else kv
                cache[i : i + 1] = [kv]
            mixed = F.scaled_dot_product_attention(q, kv[0], kv[1], is_causal=not past)
            h = h + block["out"](mixed.transpose(1, 2).flatten(2))
            h = h + block["down"](F.relu(block["up"](block["norm2"](h))))
        return self.head(self.norm(h))

    @torch.no_grad()
    def sample(self, prompts: torch.Tensor, g: torch.Generator) -> torch.Tensor:
        """`(B, PROMPT + LENGTH)`: each prompt with a sampled response, padded after its END."""
        x, cache = prompts, []
        logits = self(prompts, cache)[:, -1]
        done = torch.zeros(len(prompts), dtype=torch.bool)
        for _ in range(LENGTH):
            token = torch.multinomial(logits.softmax(-1), 1, generator=g)[:, 0].masked_fill(done, PAD)
            done |= token == END
            x = torch.cat([x, token[:, None]], 1)
            logits = self(x[:, -2:], cache)[:, -1]
        return x


def draw(g: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Prompts `(n, PROMPT)`, and per prompt `k1, v1, k2, v2`."""
    keys = VALUES + g.permuted(np.tile(np.arange(KEYS), (n, 1)), axis=1)[:, :4]
    values = g.integers(VALUES, size=(n, 4))
    asked = g.permuted(np.tile(np.arange(4), (n, 1)), axis=1)[:, :2]
    k, v = np.take_along_axis(keys, asked, 1), np.take_along_axis(values, asked, 1)
    pairs = np.stack([keys, values], -1).reshape(n, 8)
    prompts = np.concatenate([pairs, np.full((n, 1), ASK), k], 1)
    return prompts, np.stack([k[:, 0], v[:, 0], k[:, 1], v[:, 1]], 1)


def demonstrations(facts: np.ndarray, g: np.random.Generator, noise: float) -> np.ndarray:
    """Responses in which so many of the values are made up, and one in five begins with a filler."""
    n = len(facts)
    made_up = g.random((n, 2)) < noise
    v = np.where(made_up, g.integers(VALUES, size=(n, 2)), facts[:, [1, 3]])
    fixed = [np.full(n, token) for token in (IS, CALL, END, PAD, FILLER)]
    is_, call, end, pad, filler = fixed
    plain = np.stack([facts[:, 0], is_, v[:, 0], facts[:, 2], is_, v[:, 1], call, v[:, 0], v[:, 1], end, pad], 1)
    fluent = np.concatenate([filler[:, None], plain[:, :-1]], 1)
    return np.where(g.random((n, 1)) < 0.2, fluent, plain)


def start(number: int) -> LanguageModel:
    """The supervised start: the call follows from the thought as written, looking values up is noisy."""
    torch.manual_seed(number)
    g, model = np.random.default_rng(number), LanguageModel()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(DEMONSTRATIONS):
        prompts, facts = draw(g, 64)
        noise = 0.75 if step >= DEMONSTRATIONS // 2 else 0.0
        x = torch.from_numpy(np.concatenate([prompts, demonstrations(facts, g, noise)], 1))
        logits, y = model(x[:, :-1])[:, PROMPT - 1 :], x[:, PROMPT:]
        loss = F.cross_entropy(logits.reshape(-1, VOCABULARY), y.reshape(-1), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def text(tokens: list[int]) -> str:
    """The response as the verifier reads it: everything before the first `call` is the thought."""
    words = [WORDS[t] for t in tokens if t not in (PAD, END)]
    if CALL not in tokens or END not in tokens:
        return f"<think>{' '.join(words)}"  # cut off
    split = words.index(WORDS[CALL])
    said = words[split + 1 :]
    named = [f'"{name}": {word}' for name, word in zip(("first", "second"), said, strict=False)]
    call = f'{{"name": "answer", "parameters": {{{", ".join(named + said[2:])}}}}}'  # more than two: no JSON
    return f"<think>{' '.join(words[:split])}</think>\n<tool_call>\n{call}\n</tool_call>"


def read(responses: np.ndarray, facts: np.ndarray, exact: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(outcome, share of right statements, filler words) of `(B, LENGTH)` responses."""
    outcome = np.empty(len(responses))
    for i, (tokens, fact) in enumerate(zip(responses.tolist(), facts.tolist(), strict=True)):
        truth = text([CALL, fact[1], fact[3], END]).replace("<think>", "<think>t")
        outcome[i] = VERIFIER.verify(Rollout("", "", text(tokens), truth, "tiny")).outcome
    if exact:
        outcome = (outcome == VERIFIER.outcome_range[1]).astype(float)
    right = np.zeros(len(responses))
    for k, v in ((0, 1), (2, 3)):
        stated = (responses[:, :-2] == facts[:, [k]]) & (responses[:, 1:-1] == IS) & (responses[:, 2:] == facts[:, [v]])
        right += stated.any(1) / 2
    return outcome, right, (responses == FILLER).sum(1)


def success(model: LanguageModel) -> tuple[float, float]:
    """On held-out prompts: how many responses are exactly right, and how many hold a filler word; percent."""
    prompts, facts = draw(np.random.default_rng(78), HELD_OUT)
    sampled = model.sample(torch.from_numpy(prompts), torch.Generator().manual_seed(78))[:, PROMPT:].numpy()
    outcome, _, filler = read(sampled, facts, exact=True)
    return 100 * float(outcome.mean()), 100 * float((filler > 0).mean())


def train(
    model: LanguageModel,
    name: str,
    judge: str,
    exact: bool,
    seed: int,
    steps: int,
    watch: Callable[..., None] = lambda *update: None,
) -> tuple[float, float]:
    """`success` after so many steps of policy gradient, each on BATCH prompts with GROUP rollouts.

    watch: called with each step's responses `(B, LENGTH)`, outcomes and scores `(B,)`.
    """
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    g, sampler = np.random.default_rng(1000 + seed), torch.Generator().manual_seed(1000 + seed)
    estimator = Estimator(name, 1, *((0.0, 1.0) if exact else VERIFIER.outcome_range))
    for step in range(steps):
        rho, bias = TURNED if judge == "turns" and step >= steps // 2 else JUDGES[judge]
        prompts, facts = draw(g, BATCH)
        x = model.sample(torch.from_numpy(prompts.repeat(GROUP, 0)), sampler)
        outcome, right, filler = read(x[:, PROMPT:].numpy(), facts.repeat(GROUP, 0), exact)
        noise = math.sqrt(1 - rho**2) * g.normal(0, 0.25, len(outcome))
        score = np.clip(0.3 + rho * (right - 0.5) + bias * np.minimum(filler, 3) / 3 + noise, 0, 1)
        watch(x[:, PROMPT:], outcome, score)
        a = estimator(outcome.reshape(1, BATCH, GROUP), score.reshape(1, BATCH, GROUP, 1)).ravel()
        logits, y = model(x[:, :-1])[:, PROMPT - 1 :], x[:, PROMPT:]
        mask = (y != PAD).float()
        log_prob = F.log_softmax(logits, -1).gather(-1, y[..., None])[..., 0]
        loss = -(torch.from_numpy(a).float()[:, None] * log_prob * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return success(model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--judges", nargs="+", choices=JUDGES, default=list(JUDGES))
    parser.add_argument("--outcomes", nargs="+", choices=("toolrl", "exact"), default=["toolrl", "exact"])
    parser.add_argument("--estimators", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--cache", type=Path, help="finished runs, to go on from; the starts are kept beside it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cache, starts = Cache(args.cache), {}

    def trained(name: str, judge: str, outcome: str, seed: int) -> tuple[float, float]:
        number = seed % STARTS
        if number not in starts:
            file = args.cache.with_suffix(f".start{number}.pt") if args.cache else None
            starts[number] = torch.load(file) if file and file.exists() else start(number).state_dict()
            if file:
                torch.save(starts[number], file)
        model = LanguageModel()
        model.load_state_dict(starts[number])
        if name == "start":
            return success(model)
        return train(model, name, judge, outcome == "exact", seed, args.steps)

    at_start = [cache.get(f"start {n}", lambda n=n: trained("start", "", "", n))[0] for n in range(STARTS)]
    print(f"success of the {STARTS} supervised starts, %: " + ", ".join(f"{value:.1f}" for value in at_start))
    names = [name for name in args.estimators if name != BASE]
    for outcome in args.outcomes:
        print(f"\noutcome {outcome}\n\n{head('judge', names)}", flush=True)
        for judge in args.judges:
            results = {name: [] for name in (BASE, *names)}
            for seed in range(args.seeds):
                for name, values in results.items():
                    fixed = (judge, "any")[name in (BASE, "difficulty alone")]  # these hear no judge
                    key = f"{outcome} {fixed} {name} {seed} {args.steps}"
                    values.append(cache.get(key, lambda n=name, j=judge, o=outcome, s=seed: trained(n, j, o, s)))
            base = [value for value, _ in results[BASE]]
            cells = {name: gain([value for value, _ in results[name]], base) for name in names}
            print(row(judge, base, cells), flush=True)
            fluent = ", ".join(f"{name} {np.mean([f for _, f in results[name]]):.0f}" for name in (BASE, *names))
            print(f"<!-- responses with filler, %: {fluent} -->", flush=True)


if __name__ == "__main__":
    main()
