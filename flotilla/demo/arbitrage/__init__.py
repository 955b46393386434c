"""The demo of arbitrage: one set taken, one whose missed leg is hedged, one refused as stale."""
