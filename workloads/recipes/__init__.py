"""Whole networks compressed step by step: recipes, their steps, what they see of a network, NetAdapt."""
