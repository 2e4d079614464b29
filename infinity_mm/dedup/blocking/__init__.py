"""Which rows must be decided on together: blocking keys of rows, groups of equal keys, connected components."""
