"""REST, one file a feature, all under /v1."""
