"""The LLM judge: rubric, prompt, verdict."""
