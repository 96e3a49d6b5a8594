"""Measurements on the share. Each kind of facts is a class that measures itself (see `target.Measurement`)."""
