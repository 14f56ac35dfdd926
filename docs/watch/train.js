// Training: the tasks, and a net that trains until memcap's rule ends it.

/** Draw a bit, `lag` distractors, and a trigger that asks for the bit; before, more distractors. */
function latch(random, lag, length) {
  const inputs = new Uint8Array(length).map(() => random.whole(2, 5));
  const targets = new Int8Array(length).fill(-1);
  inputs[length - 2 - lag] = random.whole(0, 1);
  inputs[length - 1] = 6;
  targets[length - 1] = inputs[length - 2 - lag];
  return { inputs, targets };
}

/** Draw `lag` bits and a blank, which asks whether the number of ones is odd; before, blanks. */
function parity(random, lag, length) {
  const inputs = new Uint8Array(length).fill(2);
  const targets = new Int8Array(length).fill(-1);
  const bits = inputs.subarray(-1 - lag, -1);
  bits.forEach((_, t) => (bits[t] = random.whole(0, 1)));
  targets[length - 1] = bits.reduce((sum, bit) => sum + bit) % 2;
  return { inputs, targets };
}

/** Draw bits, of which each step asks for that of `lag` steps before. */
function delayLine(random, lag, length) {
  const inputs = new Uint8Array(length).map(() => random.whole(0, 1));
  const targets = new Int8Array(length).map((_, t) => (t < lag ? -1 : inputs[t - lag]));
  return { inputs, targets };
}

/**
 * A net in training, by memcap's recipe `uniform`, or for streams `forget_bias`, and by its rule.
 * Settings: task, lag, units, forget_bias (at the start), rate, prefix (so many steps of filler or
 * fewer come before what counts) and seed.
 */
class Training {
  static uniform = { batch: 32, clip: 0.01, warmup: 1000, fallsAbove: 16, budget: 24000 };
  static stream = { batch: 64, clip: 1, warmup: 1, fallsAbove: Infinity, budget: 3000 };
  static tasks = {
    latch: { sample: latch, symbols: 7, length: (lag) => lag + 2 },
    parity: { sample: parity, symbols: 3, length: (lag) => lag + 1 },
    delay_line: { sample: delayLine, symbols: 2, length: (lag) => Math.max(4 * lag, 2 * lag + 10) },
  };

  constructor(settings) {
    Object.assign(this, settings, Training.tasks[settings.task]);
    this.isStream = this.task === "delay_line"; // the lag is part of its question: draw no other
    Object.assign(this, this.isStream ? Training.stream : Training.uniform);
    this.random = new Random(0x9e3779b9 * (1 + this.seed));
    this.net = new LSTM(this.symbols, this.units);
    this.net.draw(this.random, this.forget_bias);
    this.mean = new Float64Array(this.net.weights.length); // Adam's, of the gradient
    this.square = new Float64Array(this.net.weights.length);
    this.status = "running"; // at the end "passed" or "failed"
    this.steps = 0;
    this.loss = Math.LN2; // means over some ten batches, which begin at chance
    this.right = 0.5;
    this.score = NaN; // share right in some ten batches, once the front is at the lag
    this.passes = 0; // evaluations passed in a row
    this.isSolved = false;
    this.front = this.isStream ? this.lag : 1; // the longest lag of the batches
    this.frontScore = 0.5;
    this.arrival = this.front < this.lag ? Infinity : 0; // the step when the front is at the lag
  }

  /** Train on one batch, and judge the net after each hundred. */
  step() {
    const { net, random } = this;
    const lag = this.isStream ? this.lag : random.whole(1, this.front);
    const length = this.length(lag) + random.whole(0, this.prefix);
    const sums = { loss: 0, right: 0, due: 0 };
    net.gradient.fill(0);
    for (let k = 0; k < this.batch; k++) {
      const { inputs, targets } = this.sample(random, lag, length);
      net.read(inputs);
      net.learn(inputs, targets, sums);
    }
    this.update(Math.min(1 / sums.due, this.clip / Math.hypot(...net.gradient)));
    const right = sums.right / sums.due;
    this.loss += 0.1 * (sums.loss / sums.due - this.loss);
    this.right += 0.1 * (right - this.right);
    if (this.front < this.lag) this.advance(right);
    else this.score = Number.isNaN(this.score) ? right : 0.9 * this.score + 0.1 * right;
    if (this.steps % 100 === 0) this.judge();
  }

  /** Take Adam's step down `factor` times the gradient. */
  update(factor) {
    const { net, mean, square } = this;
    // After a warmup the rate falls with the front, and then as a cosine.
    const since = Math.max(0, this.steps - this.arrival) / Math.abs(this.budget - this.arrival);
    const share = Math.min(1, this.fallsAbove / this.front) * 0.5 * (1 + Math.cos(Math.PI * since));
    this.steps += 1;
    const rate = this.rate * Math.min(1, this.steps / this.warmup) * share;
    net.gradient.forEach((value, k) => {
      mean[k] += 0.1 * (factor * value - mean[k]);
      square[k] += 0.001 * ((factor * value) ** 2 - square[k]);
      const size = Math.sqrt(square[k] / (1 - 0.999 ** this.steps)) + 1e-8;
      net.weights[k] -= (rate * mean[k]) / (1 - 0.9 ** this.steps) / size;
    });
  }

  /** Move the front by one when batches are right, and to the lag by .7 of the budget. */
  advance(right) {
    this.frontScore = 0.8 * this.frontScore + 0.2 * right;
    const share = Math.min(1, this.steps / (0.7 * this.budget));
    const line = Math.floor(1 + (this.lag - 1) * share);
    const front = Math.min(this.lag, Math.max(line, this.front + (this.frontScore >= 0.95)));
    if (front > this.front) this.frontScore = 0.5;
    if (front === this.lag) this.arrival = this.steps;
    this.front = front;
  }

  /** Return the share of right answers in so many fresh sequences. */
  test(lag, length, sequences) {
    const sums = { loss: 0, right: 0, due: 0 };
    for (let k = 0; k < sequences; k++) {
      const { inputs, targets } = this.sample(this.random, lag, length);
      this.net.read(inputs);
      targets.forEach((target, t) => target >= 0 && this.net.score(t, target, sums));
    }
    return sums.right / sums.due;
  }

  /** Tell whether the net is right at every lag to test, or for a delay line in long sequences. */
  isRight() {
    if (this.isStream) return this.test(this.lag, 20 * this.lag, 512) >= 0.99;
    const eighths = Array.from({ length: 48 }, (_, k) => Math.round(8 * 2 ** (k / 8)));
    const lags = [1, 2, 3, 4, 5, 6, 7, ...eighths, this.lag].filter((lag) => lag <= this.lag);
    const scores = [...new Set(lags)].map((lag, k) => {
      const prefix = Math.floor((((k + 1) * 0.6180339887498949) % 1) * (this.prefix + 1));
      return this.test(lag, this.length(lag) + prefix, 256);
    });
    const mean = scores.reduce((sum, score) => sum + score) / scores.length;
    return mean >= 0.99 && Math.min(...scores) >= 0.99 - 3 * Math.sqrt((0.99 * 0.01) / 256);
  }

  /** Evaluate the net if it is time to, and end its training by the rule. */
  judge() {
    const isEnd = this.steps === this.budget;
    const isTime = this.isSolved ? this.steps % 500 === 0 : this.score >= 0.98;
    const length = this.length(this.lag) + this.prefix;
    const passes = (isTime || isEnd) && this.test(this.lag, length, 2048) >= 0.99;
    this.passes = passes ? this.passes + 1 : 0;
    this.isSolved ||= this.passes === 2;
    if (this.isSolved && passes && this.isRight()) this.status = "passed";
    else if (isEnd && (this.isSolved || !passes)) this.status = "failed";
    else if (isEnd) this.judge();
  }
}
