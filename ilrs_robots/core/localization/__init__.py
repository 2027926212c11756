"""Where the vehicle is."""
