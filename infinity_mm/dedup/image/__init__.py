"""Deduplication of pictures alone: a folder of files, or a column of Parquet files."""
