"""The benchmark: the model and the node against the public V-JEPA 2 implementations, and against the hardware.

It lies beside the package, is not installed, and nothing of the package imports it. The public implementations, and how
far from theirs an output may be, are the tests' (``support`` in ``test/``): imported when they are asked for.
"""
