"""Facsimile: a spec says everything that can change a bit of a result; the engine rebuilds the result from it."""

__version__ = "0.1.0"
