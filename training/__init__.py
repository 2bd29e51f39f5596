"""Training of ReFusion: the fusion loss itself is learned, by meta-learning, from reconstruction."""
