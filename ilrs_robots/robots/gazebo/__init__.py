"""What Gazebo needs of a site, as plain data and files: terrain, world, bridge, where to spawn."""
