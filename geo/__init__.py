"""What happened on this land? Pixels and plots in, numbers with their errors out."""
