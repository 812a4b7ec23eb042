"""Sentence encoders, shared by judges and scorers."""
