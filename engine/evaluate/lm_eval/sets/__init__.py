"""One file a benchmark: how its file is read into items, and lm-eval's configuration with its prompt and metrics.

An item of multiple choice has `question` or `query`, `choices` and `gold`, the index of the right one.
"""
