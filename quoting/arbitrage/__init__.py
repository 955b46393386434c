"""The live run of one arbitrage set: watch, claim, fire all legs at once, work off what is owed."""
