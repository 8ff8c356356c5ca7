"""The web: REST under /v1 and thin pages; asks services, holds no rules of its own."""
