"""Optimizers: the engine's own updates, one file each."""
