"""The rules of the books in plain Python, for an auditor to read."""
