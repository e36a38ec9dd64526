"""The model: encoder, action-conditioned predictor, rollouts. Torch only; no files, no ROS, no clock."""
