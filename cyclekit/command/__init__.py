"""The command `zeroskip`: its grammar, and a file a verb with the verb's arguments and what it does."""
