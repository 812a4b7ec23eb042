"""The forms in which people keep tool-call data, one small reader each: record -> OpenAI's `messages` and `tools`."""
