"""The model: encoder, action-conditioned predictor, checkpoints and presets. Torch only; no ROS, no clock."""
