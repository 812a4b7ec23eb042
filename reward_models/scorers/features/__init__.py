"""The feature scorer: grounding, structure, order and embeddings under a small head."""
