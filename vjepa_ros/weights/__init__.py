"""Weights files: what they hold, whether it fits the model, and how the model gets it. No presets, no network."""
