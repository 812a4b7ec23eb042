"""What the tests of the group judge share, some with the processes of a Ray job: members, and a scored rollout."""

from reward_models.judges.llm_group import Place
from reward_models.judges.llm_group.rendezvous import Member
from reward_models.reward import compute_score

CALL = '<tool_call>\n{"name": "add", "parameters": {"a": 1}}\n</tool_call>'


def response(thought):
    return f"<think>{thought}</think>\n{CALL}"


async def columns(uid, session, size, thought, **kwargs):
    extra = Place(uid, str(session), size).write({"question": "What is 1 + 1?", "index": 1})
    return await compute_score("test", response(thought), response("t"), extra, **kwargs)


def member(key, session, size=3):
    return Member(key, str(session), size, f"{key}{session}", f"task of {key}")
