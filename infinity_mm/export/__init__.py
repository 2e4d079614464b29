"""Shards for training: WebDataset and Parquet, written from one shard plan, read back to prove them."""
