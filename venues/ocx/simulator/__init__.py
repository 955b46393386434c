"""OCX's wire protocol served over loopback, on top of the shared matching engine."""
