"""What a workflow may ask the world. Holds no state between calls."""
