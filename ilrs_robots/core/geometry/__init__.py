"""Rigid transforms and the transform tree."""
