"""Archives: folders or lists of pairs, local or at any fsspec URL, fused by several workers, resumable."""
