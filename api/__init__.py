"""The web: REST under /v1 and thin pages; asks services, holds no rules of its own."""

VERSION = "0.1.0"
"""Of the software; a test holds it to pyproject.toml. The interface is `v1`."""
