"""What the JSON of every command holds, said once: the schemas, from which docs/json.md and `list schemas` are made."""
