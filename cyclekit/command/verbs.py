"""The verbs of the command, in the order of its help, and what each does."""

VERBS = {
    "list": "say what there is to name in the other commands",
    "run": "run a workload through a machine",
    "explain": "show how weights lie in a machine",
    "trace": "what each unit does in each cycle: a diagram, Chrome traces, VCD",
    "prune": "compress a network; its cost on every machine",
    "tradeoff": "accuracy, bytes and cycles of every granularity",
    "sensitivity": "accuracy with each layer pruned alone",
    "adapt": "bring a network within a budget of simulated time, cycles or energy",
    "data": "fetch a real input, verified: 'zeroskip list data'",
    "sweep": "compute a design space into a store, once and for all",
    "rows": "say what a store holds, write it out",
    "report": "a store's rows as one page: tables, figures and views",
    "search": "find the designs of a space that no other beats, from a share of its points",
    "compare": "the same layers on every machine side by side, and where which one wins",
    "llm": "a language model on a machine: time, memory, energy, and what pruning it buys",
    "validate": "hold a machine against published figures",
    "demo": "a first look at every installed machine, with figures",
    "completion": "a script that lets bash or zsh complete commands and names",
}
