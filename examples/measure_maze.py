"""Measure how wide the GRU of an agent must be to find the goal of a T-maze.

pip install memcap torch; then: python examples/measure_maze.py

It takes some minutes. A cue shows the side of the goal, a corridor of six steps follows,
and at its end the agent turns left or right (Bakker, 2002). It learns by the gradient of
its policy (Williams, 1992), from rewards alone.
"""

import torch
from torch import nn

import memcap

CORRIDOR = 6
SIDES = 4
EPISODES = 64  # in a batch
BATCHES = 1500


class Agent(nn.Module):
    """A GRU that reads the cue, the corridor and the junction, and turns."""

    def __init__(self, width: int):
        super().__init__()
        self.gru = nn.GRU(SIDES + 2, width, batch_first=True)
        self.turn = nn.Linear(width, SIDES)

    def forward(self, goals: torch.Tensor) -> torch.Tensor:
        """Return logits (N, SIDES) of the turn, for the goals (N,) that the cues show."""
        corridor = torch.full((len(goals), CORRIDOR), SIDES)
        junction = torch.full((len(goals), 1), SIDES + 1)
        seen = torch.cat([goals[:, None], corridor, junction], dim=1)
        return self.turn(self.gru(nn.functional.one_hot(seen).float())[0][:, -1])


def train(width: int, seed: int) -> float:
    """Train one agent; return the share of fresh episodes in which it finds the goal."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    agent = Agent(width)
    optimizer = torch.optim.Adam(agent.parameters(), lr=0.01)
    for _ in range(BATCHES):
        goals = torch.randint(SIDES, (EPISODES,))
        policy = torch.distributions.Categorical(logits=agent(goals))
        turns = policy.sample()
        rewards = (turns == goals).float()
        loss = -(policy.log_prob(turns) * (rewards - rewards.mean())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    goals = torch.arange(SIDES).repeat(500)
    turns = torch.distributions.Categorical(logits=agent(goals)).sample()
    return float((turns == goals).float().mean())


if __name__ == "__main__":
    found = memcap.measure(train, range(1, 17), name="maze", criterion=0.95, workers=2)
    print(found)
    found.plot().savefig("maze.png")
