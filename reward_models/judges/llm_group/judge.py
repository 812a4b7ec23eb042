"""The group judge: a language model ranks the rollouts of one prompt against each other, in both orders.

Siblings are scored apart, in other processes, so each rollout waits in the job's rendezvous (rendezvous.py) until its group is
there; one of those who wait then ranks it for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Annotated, Any

from reward_models.judges.controls import controls
from reward_models.judges.llm.chat_judge import ChatJudge, split_options
from reward_models.judges.llm.shown import ShownTask
from reward_models.judges.llm_group.participant import Participant, RendezvousPlan
from reward_models.judges.llm_group.prompt import LISTWISE, PAIRWISE, Entry, read_entry
from reward_models.judges.llm_group.ranker import ListAsker, PairAsker, Ranker
from reward_models.judges.llm_group.rendezvous import MAX_WAITING, Member
from reward_models.judges.llm_group.siblings import read_place
from reward_models.options import OneOf, Options, Range, Text
from reward_models.per_loop import PerLoop
from reward_models.types import Rollout, Unscored, UnscoredReason, Verdict

_OWNER = "judge 'llm_group'"
_RANK_MARGIN_S = 30.0


@dataclass(frozen=True)
class GroupConfig(Options, owner=_OWNER):
    """Options of the group judge beside those of its client (`ClientConfig`: base_url, model, deadline_s, ..).

    mode: `listwise`, all responses in one prompt, two requests a group; `pairwise`, two in a prompt, two requests a pair.
    rubric: path of your own prompt file for that mode; None: the built-in one.
    reference: show the data set's own answer to the model.
    max_comparisons: pairs compared in a group, in [1, 2016], each in both orders; where there are more pairs, a part of
        them is chosen that connects all, at least as many as the group has members. Of pairwise alone.
    wait_s: from a group's first rollout on, in [1, 86400]; then those that came are ranked.
    max_tokens: of one answer, in [16, 32768].
    structured, preflight: as in judge=llm.
    """

    mode: Annotated[str, OneOf((LISTWISE, PAIRWISE))] = LISTWISE
    rubric: Annotated[str | None, Text("the path of a text file, or null")] = None
    reference: bool = False
    max_comparisons: Annotated[int, Range(1, 2016)] = 28
    wait_s: Annotated[float, Range(1, 86400)] = 300.0
    max_tokens: Annotated[int, Range(16, 32768)] = 1024
    structured: bool = True
    preflight: bool = True


class LlmGroupJudge(ChatJudge):
    """Score = (n - rank) / (n - 1) among the n rollouts of the prompt that were ranked, ties having their mean rank.

    `Scored.spread` is the share of the rollout's comparisons whose verdict changed with the order, None without any. A
    rollout without a thought is 0.0 and ranks below all others.

    - The rollout does not say its group and the group's size, see siblings.py: Unscored(load_failed).
    - A group of one, or one whose other members did not come within `wait_s`: Unscored(no_evidence).
    - It came after its group was ranked, or nobody ranked the group in time: Unscored(timeout).
    - The model's answers failed: the most frequent reason. The rendezvous is gone: Unscored(error).
    """

    name = "llm_group"
    needs_group = True

    def __init__(self, **options: Any) -> None:
        own, client = split_options(options, GroupConfig, _OWNER)
        self.config = config = GroupConfig(**own)
        asker_class = ListAsker if config.mode == LISTWISE else PairAsker
        try:
            asker = asker_class(
                self.ask, config.reference, config.max_tokens, structured=config.structured, rubric=config.rubric
            )
        except ValueError as error:
            raise ValueError(f"{_OWNER}: {error}") from None
        super().__init__(client)
        self.asks_before_the_run = config.preflight
        if config.structured:
            self.fixes["response_format"] = "set structured=false if the server knows no response_format"
        self.rubric_version = asker.comparison.version
        self._ranker = Ranker(asker, config.max_comparisons)
        # Judges that differ in anything must not meet. The configurations hold no key.
        sameness = repr((asdict(config), asdict(self.client_config), self.rubric_version))
        name = f"awpo-group-rendezvous-{sha256(sameness.encode()).hexdigest()[:12]}"
        # All requests of a group are sent at once, each with the client's deadline.
        self._plan = RendezvousPlan(name, config.wait_s, self.client_config.deadline_s + _RANK_MARGIN_S, MAX_WAITING)
        self._participants: PerLoop[Participant] = PerLoop()

    async def rank(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """The verdicts on a whole group, without waiting; the rollouts need not say their group."""
        members, task = {}, None
        for number, rollout in enumerate(rollouts):
            found = read_entry(rollout, reference=self.config.reference)
            members[str(number)] = found if isinstance(found, Unscored) else found[1]
            task = task or (None if isinstance(found, Unscored) else found[0])
        verdicts = await self._rank(task, members)
        return [verdicts[session] for session in members]

    async def aclose(self) -> None:
        """Close the running loop's connections; rollouts that wait, and requests under way, become Unscored."""
        for participant in self._participants.of_running_loop():
            await participant.aclose()
        await super().aclose()

    async def score(self, rollout: Rollout) -> Verdict:
        place = read_place(rollout.extra_info)
        if place is None or place.size is None:
            what = "its group" if place is None else "how many rollouts its group has"
            detail = f"the rollout does not say {what}: set reward.reward_manager to awpo_ext's, see docs/judges.md"
            verdict: Verdict = Unscored(UnscoredReason.LOAD_FAILED, detail)
        elif place.size < 2:
            verdict = Unscored(UnscoredReason.NO_EVIDENCE, "a group of one has nothing to rank")
        elif self._closed:
            verdict = Unscored(UnscoredReason.ERROR, "the judge is closed")
        else:
            found = read_entry(rollout, reference=self.config.reference)
            # One that cannot be judged comes too: its siblings need not wait for it.
            task, content = (None, found) if isinstance(found, Unscored) else found
            participant = self._participants.get(None, lambda: Participant(self._plan, self._rank))
            verdict = await participant.meet(Member(place.uid, place.session, place.size, content, task))
        self._log_first(verdict)
        return verdict

    async def _rank(self, task: ShownTask | None, members: Mapping[str, Entry | Unscored]) -> dict[str, Verdict]:
        """By session; a member that came as Unscored stays so."""
        entries = {session: entry for session, entry in members.items() if not isinstance(entry, Unscored)}
        verdicts: dict[str, Verdict] = {k: entry for k, entry in members.items() if isinstance(entry, Unscored)}
        if len(entries) == 1:
            alone = Unscored(UnscoredReason.NO_EVIDENCE, "no other rollout of the group can be judged: nothing to rank")
            verdicts |= dict.fromkeys(entries, alone)
        elif entries:
            ranked = await self._ranker.rank(task or ShownTask("", ""), list(entries.values()))
            verdicts |= dict(zip(entries, ranked, strict=True))
        return verdicts

    async def _trial(self) -> Verdict:
        return (await self.rank(controls()))[0]
