"""Makes the quickstart's input: real photographs and rendered documents, in the layouts of public sources."""
