"""Where records come from: reading departments' systems, never writing to them."""
