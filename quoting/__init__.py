"""The live loop of one market. Knows no Temporal, SQL, Redis or HTTP."""
