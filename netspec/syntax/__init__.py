"""YAML text enters, a `Document` leaves: a located tree is read once into a typed syntax tree, errors in it."""
