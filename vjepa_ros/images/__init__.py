"""From the bytes of a camera image to the encoder's input. Numpy and OpenCV; no torch, no time."""
