"""The benchmark: this package's model and node against the public V-JEPA 2 implementations, and against the hardware.

Nothing else of the package imports it. The public implementations are needed by those who measure, not by a robot: they
are imported when they are asked for.
"""
