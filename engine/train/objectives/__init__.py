"""Objectives: `objective(model, batch)` gives one loss per task."""
