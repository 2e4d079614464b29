"""Compiled loops over Arrow buffers. Compiled once a machine: numba keeps the machine code beside the modules."""
