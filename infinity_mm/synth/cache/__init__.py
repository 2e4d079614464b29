"""Generations that were made before: named by what was asked, kept on any file system, shared by runs."""
