"""A client for OpenAI-compatible chat APIs, made for training: limits for the job, retries, a cache, a ledger.

It knows nothing of verdicts: it turns a `ChatRequest` into a `ChatAnswer`, or an `Unscored` that says why not.
"""

from reward_models.llm_client.client import ChatClient
from reward_models.llm_client.config import ClientConfig
from reward_models.llm_client.types import ChatAnswer, ChatRequest

__all__ = ["ChatAnswer", "ChatClient", "ChatRequest", "ClientConfig"]
