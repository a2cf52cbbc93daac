"""Training recipes of the models in this repository. They run from a clone and are not in the wheel."""
