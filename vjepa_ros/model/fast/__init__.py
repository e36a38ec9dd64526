"""The same model in less time: packed weights, attention without masks, keys and values that are kept."""
