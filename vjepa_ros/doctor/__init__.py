"""What ``vjepa_doctor`` says before anything runs: the machine, the parameters, the weights, the time for a window."""
