"""The command lines: arguments, progress, messages and exit status; the work is done elsewhere."""
