"""The models: where they come from, their licences, and their pre- and postprocessing."""
