"""Deep deterministic policy gradients in NumPy: an actor that gives an action, a critic that values it, a memory."""

from __future__ import annotations

import numpy as np
from scipy.stats import truncnorm

HIDDEN = (300, 300)  # of actor and critic (He et al. 2018, section 4)
ACTOR_RATE, CRITIC_RATE = 1e-4, 1e-3  # the authors' code (github mit-han-lab/amc)
DISCOUNT, FOLLOW = 1.0, 0.01
N_BATCH, N_MEMORY = 64, 2000
FIRST_NOISE, NOISE_DECAY = 0.5, 0.95  # of the truncated normal, an episode's from the last one's


class Perceptron:
    """Fully connected layers with ReLU between, and Adam. sizes: inputs, hidden, ..., outputs."""

    def __init__(self, sizes: tuple[int, ...], rng: np.random.Generator, rate: float, last: float | None = None):
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.weights = [rng.uniform(-1, 1, (n, m)) / np.sqrt(m) for m, n in pairs]
        self.biases = [np.zeros(n) for _, n in pairs]
        if last is not None:  # near no opinion at the start
            self.weights[-1] = rng.uniform(-last, last, self.weights[-1].shape)
        self.rate, self.step = rate, 0
        self.moments = [[np.zeros_like(p), np.zeros_like(p)] for p in self.parameters]

    @property
    def parameters(self) -> list[np.ndarray]:
        return [*self.weights, *self.biases]

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        """Return what enters each layer and what leaves the last, for f64[batch, inputs]."""
        signals = [x]
        for place, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weights.T + bias
            if place < len(self.weights) - 1:
                x = np.maximum(x, 0)
            signals.append(x)
        return signals

    def backward(self, signals: list[np.ndarray], gradient: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the gradient by the inputs, and those by the parameters, for one by the outputs."""
        of_weights, of_biases = [], []
        for place in reversed(range(len(self.weights))):
            of_weights.append(gradient.T @ signals[place])
            of_biases.append(gradient.sum(axis=0))
            gradient = gradient @ self.weights[place]
            if place:
                gradient = gradient * (signals[place] > 0)
        return gradient, [*reversed(of_weights), *reversed(of_biases)]

    def descend(self, gradients: list[np.ndarray]) -> None:
        """Take one step of Adam."""
        self.step += 1
        for parameter, gradient, (first, second) in zip(self.parameters, gradients, self.moments, strict=True):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            size = np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
            parameter -= self.rate * size * first / (np.sqrt(second) + 1e-8)

    def follow(self, other: Perceptron) -> None:
        """Move a little towards another's parameters."""
        for own, theirs in zip(self.parameters, other.parameters, strict=True):
            own += FOLLOW * (theirs - own)


class Agent:
    """An actor and a critic over states f64[n_state] and actions from 0 to 1, which learn from a memory of steps."""

    def __init__(self, n_state: int, seed: int):
        self.rng = np.random.default_rng(seed)
        sizes = {"actor": (n_state, *HIDDEN, 1), "critic": (n_state + 1, *HIDDEN, 1)}
        self.actor, self.actor_behind = (Perceptron(sizes["actor"], self.rng, ACTOR_RATE, 3e-3) for _ in range(2))
        self.critic, self.critic_behind = (Perceptron(sizes["critic"], self.rng, CRITIC_RATE, 3e-3) for _ in range(2))
        for behind, ahead in ((self.actor_behind, self.actor), (self.critic_behind, self.critic)):
            for own, theirs in zip(behind.parameters, ahead.parameters, strict=True):
                own[...] = theirs
        self.memory: list[tuple[np.ndarray, float, float, np.ndarray, bool]] = []
        self.mean_reward: float | None = None

    def act(self, state: np.ndarray, noise: float) -> float:
        """Return an action, 0 to 1: the actor's with noise of a normal distribution cut off at both ends."""
        action = float(_sigmoid(self.actor.forward(state[None])[-1])[0, 0])
        if noise > 0:
            low, high = (0 - action) / noise, (1 - action) / noise
            action = float(truncnorm.rvs(low, high, loc=action, scale=noise, random_state=self.rng))
        return min(max(action, 0.0), 1.0)

    def remember(self, steps: list[tuple[np.ndarray, float, np.ndarray, bool]], reward: float) -> None:
        """Keep an episode's steps, (state, action, state after, whether it is the last), each with its reward."""
        self.memory += [(state, action, reward, after, last) for state, action, after, last in steps]
        del self.memory[:-N_MEMORY]
        self.mean_reward = reward if self.mean_reward is None else 0.95 * self.mean_reward + 0.05 * reward

    def learn(self) -> None:
        """Take one step of critic and actor on a batch of the memory; rewards count beside their running mean."""
        if len(self.memory) < N_BATCH:
            return
        chosen = [self.memory[i] for i in self.rng.integers(len(self.memory), size=N_BATCH)]
        states, actions, rewards, after, last = (np.array(part, dtype=float) for part in zip(*chosen, strict=True))
        next_actions = _sigmoid(self.actor_behind.forward(after)[-1])
        next_values = self.critic_behind.forward(np.hstack([after, next_actions]))[-1][:, 0]
        wanted = rewards - self.mean_reward + DISCOUNT * (1 - last) * next_values
        signals = self.critic.forward(np.hstack([states, actions[:, None]]))
        error = (signals[-1][:, 0] - wanted)[:, None] * 2 / N_BATCH
        self.critic.descend(self.critic.backward(signals, error)[1])
        of_actor = self.actor.forward(states)
        own = _sigmoid(of_actor[-1])
        signals = self.critic.forward(np.hstack([states, own]))
        by_action = self.critic.backward(signals, np.full((N_BATCH, 1), -1 / N_BATCH))[0][:, -1:]
        self.actor.descend(self.actor.backward(of_actor, by_action * own * (1 - own))[1])
        self.actor_behind.follow(self.actor)
        self.critic_behind.follow(self.critic)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
