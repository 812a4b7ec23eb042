"""`awpo eval`: a model against benchmarks, through any OpenAI-compatible endpoint.

Data flows one way: a benchmark's tasks -> answers (`chat`, kept by `store`) -> scores -> `results` -> `report`.
Answers are kept, scores are made anew from them each time: a kill loses no answer, and a better scorer needs no model.
"""
