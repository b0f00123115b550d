"""Figures: which ones stored results give, their numbers, and how they are drawn, units on every axis."""
