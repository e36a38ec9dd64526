"""Many recordings at once: tables of windows with latents, datasets of them, and what is nearest to a picture."""
