"""The command lines: arguments, progress, messages and exit status; the work is done elsewhere.

Every file here that has a ``main`` is a command: ``replay.py`` is ``vjepa_replay``, and so on. ``setup.py`` installs
them by this rule, and ``tools/commands.sh`` puts them into ``.venv/bin``. What they share is :mod:`.arguments`, what is
on a command line, and :mod:`.terminal`, what is said and how it ends.

Nothing heavy is imported before the arguments are known to be right: ``--help`` answers at once.
"""
