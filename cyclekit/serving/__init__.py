"""Whole language models on a machine: time, memory and energy of prompts and steps, from each operator's."""
