"""Jobs for a machine with one GPU on which nothing can be installed, in commands of at most ten minutes."""
