"""What makes a vehicle itself: model, site, the steps of its autonomy, its assembly."""
