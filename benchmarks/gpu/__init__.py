"""Jobs for a machine with one GPU on which nothing can be installed: training, in pieces that resume."""
