"""What the JSON of every command holds, said once: the schemas, from which docs/json.md and `list schemas` are made."""

# Of all that --json writes. The first number is raised when a field goes away or changes its name, type, unit or
# meaning; the second when one is added, and whoever reads documents of the same first number need not mind.
VERSION = "1.0"
