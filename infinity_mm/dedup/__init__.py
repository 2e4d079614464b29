"""Verified deduplication: signatures, candidates, checks, survivors."""
