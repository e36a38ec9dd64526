"""From recordings to weights: the windows that the node would have made, their latents, losses, and what came of it."""
