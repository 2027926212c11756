"""Power of vehicles and bases: sources, batteries, loads, and what driving on regolith costs."""
