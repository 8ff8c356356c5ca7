"""What comes in and what goes out, one file a feature; routes and pages build answers here."""
