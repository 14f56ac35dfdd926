"""Draw a moving picture: the cell of one unit learns to hold a bit for 50 steps.

python docs/watch/picture.py        trains the unit in Node, as the page does
"""

import io
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from nets import run
from PIL import Image

FILE = Path(__file__).parents[2] / "sweeps" / "up_to" / "figures" / "one_unit.gif"
SETTINGS = {"task": "latch", "lag": 50, "units": 1, "forget_bias": 1, "rate": 0.06}
SETTINGS |= {"prefix": 0, "seed": 7}
STEPS = 240
BETWEEN = 6  # training steps between two frames
MILLISECONDS = 200  # of a frame
AT_ENDS = 1500  # of the first and the last one
COLOURS = {1: "#0969da", 0: "#bc4c00"}
TRAIN = """
const training = new Training(settings);
const { inputs } = training.sample(new Random(1), settings.lag, training.length(settings.lag));
const { net, random } = training;
result = [];
for (let step = 0; step <= steps; step++) {
  if (step % between === 0) {
    const cells = [0, 1].map((bit) => {
      inputs[0] = bit;
      net.read(inputs);
      return Array.from(net.cells.slice(1));
    });
    training.random = new Random(2); // what is drawn for a test takes nothing from training
    const right = training.test(settings.lag, inputs.length, 1000);
    training.random = random;
    result.push({ step, cells, right });
  }
  training.step();
}
"""


def frame(point: dict, shares: list[float], most: float) -> Image.Image:
    """Draw the cell after both bits, and the share of right answers so far."""
    figure = Figure((7.2, 2.9), dpi=90, layout="constrained")
    cell, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for bit, values in enumerate(point["cells"]):
        cell.plot(range(1, len(values) + 1), values, color=COLOURS[bit], lw=2)
        cell.annotate(
            f"a {bit} was seen",
            (0.02, 0.93 if bit else 0.04),
            xycoords="axes fraction",
            color=COLOURS[bit],
        )
    cell.set(title=f"one unit after {point['step']} training steps", ylim=(-most, most))
    cell.set(xlabel="step of the sequence", ylabel="cell")
    steps = [BETWEEN * k for k in range(len(shares))]
    right.plot(steps, shares, color="#1b1f24", lw=2)
    right.set(xlim=(0, STEPS), ylim=(0, 1.03), title="right after 50 steps")
    right.set(xlabel="training step")
    right.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (cell, right):
        axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file)
    colours = Image.open(file).convert("RGB")
    return colours.quantize(32, dither=Image.Dither.NONE)


def main() -> None:
    """Write the picture."""
    points = run(TRAIN, settings=SETTINGS, steps=STEPS, between=BETWEEN)
    most = max(
        abs(value) for point in points for cell in point["cells"] for value in cell
    )
    shares = [point["right"] for point in points]
    frames = [
        frame(point, shares[: k + 1], 1.05 * most) for k, point in enumerate(points)
    ]
    durations = [MILLISECONDS] * len(frames)
    durations[0] = AT_ENDS
    durations[-1] = AT_ENDS
    FILE.parent.mkdir(exist_ok=True)
    frames[0].save(
        FILE, save_all=True, append_images=frames[1:], duration=durations, loop=0
    )
    print(
        f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} kB, {sum(durations) / 1000:.1f} s"
    )


if __name__ == "__main__":
    main()
