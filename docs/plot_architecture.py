"""Draws docs/images/architecture.svg: the processes of a run, and the path of one reward through them.

python docs/plot_architecture.py
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

OUT = Path(__file__).parent / "images" / "architecture.svg"
WIDTH, HEIGHT = 1180, 700
INK, SOFT, OURS, VERL, PATH = "#1f2933", "#52606d", "#fff4d6", "#eef2f6", "#b44d12"


@dataclass(frozen=True)
class Box:
    """A process: a title, who starts it, and what of ours runs in it."""

    x: int
    y: int
    width: int
    height: int
    title: str
    owner: str
    lines: tuple[str, ...] = ()
    fill: str = OURS

    def svg(self) -> str:
        text = [
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="8" fill="{self.fill}" '
            f'stroke="{SOFT}"/>',
            _text(self.x + 14, self.y + 26, self.title, 17, INK, bold=True),
            _text(self.x + 14, self.y + 45, self.owner, 12, SOFT),
        ]
        text += [_text(self.x + 14, self.y + 70 + 20 * i, line, 13, INK) for i, line in enumerate(self.lines)]
        return "\n".join(text)


BOXES = (
    Box(30, 70, 330, 190, "Agent loop", "rollout.agent.num_workers; verl starts them", (
        "verl_plugin/rollout/turns.py", "  keeps what the model wrote, step by step",
        "verl_plugin/rollout/state_tool.py", "  tools with per-trajectory state",
    )),
    Box(30, 300, 330, 110, "vLLM", "verl starts it", ("writes responses", "gets new weights after each step"), VERL),
    Box(425, 70, 330, 340, "Reward worker", "reward.num_workers processes; verl starts them", (
        "verl_plugin/rollout/group_reward.py", "  which rollouts are siblings",
        "reward_models/reward.py: compute_score", "  rollout_view.py, parsing/: thoughts, calls",
        "  verifiers/: the outcome, by rule", "  judges/: Scored or Unscored",
        "  columns: one dict of floats",
    )),
    Box(425, 450, 155, 110, "Sandbox", "we start it", ("runs tools", "and vLLM's parsers")),
    Box(600, 450, 155, 110, "Judge server", "you start it", ("any OpenAI-", "compatible API"), VERL),
    Box(820, 70, 330, 340, "Driver", "the trainer; verl starts it in its task runner", (
        "verl_plugin/driver/trainer, channel.py", "  fetches the columns, sends the radius",
        "verl_plugin/driver/estimator.py", "  registered in verl as adv_estimator=awpo",
        "signals, gating, advantage.py: eq. 3 to 8", "reliability.py: is the judge to be believed?",
            "clipping.py: eq. 9, the clip radius",
        "metrics.py: what awpo/* logs", "verl_plugin/driver/judge_monitor.py", "  is the judge alive?",
    )),
    Box(920, 450, 230, 110, "Actor worker", "one per GPU; verl starts them", (
        "verl_plugin/worker/loss.py", "clipping.py: eq. 10, the loss",
    )),
    Box(30, 600, 1120, 70, "TransferQueue", 
        "verl starts it: rollouts, columns, advantages and radius, by key uid_session_output",
        (), VERL),
)  # fmt: skip

# The journey: number, from, to.
STEPS = (
    (1, (195, 300), (195, 260)),
    (2, (360, 165), (425, 165)),
    (3, (500, 410), (500, 450)),
    (4, (678, 410), (678, 450)),
    (5, (590, 410), (590, 600)),
    (6, (850, 600), (850, 410)),
    (7, (890, 410), (890, 600)),
    (8, (1035, 600), (1035, 560)),
)


def _text(x: float, y: float, text: str, size: int, fill: str, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{weight} xml:space="preserve">'
        f"{escape(text)}</text>"
    )


def _step(number: int, start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = start, end
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return "\n".join(
        (
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{PATH}" stroke-width="2.5" marker-end="url(#tip)"/>',
            f'<circle cx="{x}" cy="{y}" r="11" fill="{PATH}"/>',
            _text(x, y + 4.5, str(number), 13, "white", bold=True, anchor="middle"),
        )
    )


def main() -> None:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="ui-sans-serif, system-ui, sans-serif" role="img" '
        'aria-label="The processes of a training run, and the path of one reward through them">',
        f'<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0L10 5L0 10z" fill="{PATH}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(30, 40, "A training run: its processes, and the path of one reward", 20, INK, bold=True),
        *(box.svg() for box in BOXES),
        *(_step(number, start, end) for number, start, end in STEPS),
        "</svg>",
    ]
    OUT.write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
