"""Who holds what, and why? The books: land, reports, credits, money, and their history."""
