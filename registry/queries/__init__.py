"""What readers see: reads only, in the order of keys; commands are services."""
