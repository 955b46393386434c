"""The binary schema of 01.xyz: own `nord.proto`, and the modules `compile` makes from it."""
