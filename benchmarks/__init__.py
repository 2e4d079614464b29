"""Measurements against rivals: same input, same run, CPU seconds. Never a test."""
