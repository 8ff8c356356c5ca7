"""What can be done in the registry: each takes a session, never commits, always audits."""
