"""Which simulated markets the program offers at each venue, and who has an account there."""
