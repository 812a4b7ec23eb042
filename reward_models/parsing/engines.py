"""stub replaced below"""

from reward_models.parsing.body import Body


def is_engine(d):
    return d.startswith(("vllm:", "verl:"))


def read_with_engine(*a):
    return Body()
