"""What the registry needs from outside: files, keys, print."""
