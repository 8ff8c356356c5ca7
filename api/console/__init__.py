"""Server-rendered pages; they call the same services as /v1."""
