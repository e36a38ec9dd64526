"""The command ``vjepa_probe``: the energies of a recording's forecasts, around the actions that were recorded."""
