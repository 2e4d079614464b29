"""infinity-mm: public multimodal data in, training shards out, every row accounted for."""

__version__ = "0.1.0"
