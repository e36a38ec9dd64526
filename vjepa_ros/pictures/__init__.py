"""Pictures of latents: colours, where forecasts were wrong, and the pages that such things stand on. No ROS, no model."""
