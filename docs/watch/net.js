// The net, all in doubles: random numbers, and an LSTM with its read-out and its gradient.

/** Random numbers from a seed (mulberry32, by Tommy Ettinger). */
class Random {
  constructor(seed) {
    this.state = seed | 0;
  }

  /** Draw a number from 0 to 1, without 1. */
  uniform() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Draw a whole number from `least` to `most`, both included. */
  whole(least, most) {
    return least + Math.floor(this.uniform() * (most + 1 - least));
  }

  /** Draw fanIn * fanOut weights, uniformly (Glorot and Bengio, 2010). */
  glorot(fanIn, fanOut) {
    const limit = Math.sqrt(6 / (fanIn + fanOut));
    return Array.from({ length: fanIn * fanOut }, () => limit * (2 * this.uniform() - 1));
  }

  /** Draw the rows of an orthogonal matrix: normal ones, each made orthogonal to those before. */
  orthogonal(size) {
    const radius = () => Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const normal = () => radius() * Math.cos(2 * Math.PI * this.uniform()); // Box and Muller
    const rows = [];
    while (rows.length < size) {
      const row = Array.from({ length: size }, normal);
      for (const other of rows) {
        const product = row.reduce((sum, value, k) => sum + value * other[k], 0);
        row.forEach((value, k) => (row[k] = value - product * other[k]));
      }
      const norm = Math.hypot(...row);
      rows.push(row.map((value) => value / norm));
    }
    return rows;
  }
}

/**
 * An LSTM of U units that reads symbols, and a dense read-out of two classes:
 *
 *   i, f, g, o = split(kernel[symbol] + h recurrent + bias)
 *   c' = sigmoid(f) c + sigmoid(i) tanh(g)
 *   h' = sigmoid(o) tanh(c')
 *
 * Its weights are one vector, in memcap's order: bias (4 U), kernel (symbols, 4 U) and recurrent
 * (U, 4 U) of the gates, bias (2) and kernel (U, 2) of the read-out.
 */
class LSTM {
  constructor(symbols, units) {
    this.symbols = symbols;
    this.units = units;
    this.width = 4 * units;
    this.kernel = this.width;
    this.recurrent = this.kernel + symbols * this.width;
    this.readout = this.recurrent + units * this.width;
    this.weights = new Float64Array(this.readout + 2 + 2 * units);
    this.gradient = new Float64Array(this.weights.length);
  }

  /** Draw the first weights, as memcap's init=forget_bias does. */
  draw(random, forgetBias) {
    this.weights.fill(forgetBias, this.units, 2 * this.units);
    this.weights.set(random.glorot(this.symbols, this.width), this.kernel);
    for (let at = this.recurrent; at < this.recurrent + this.width; at += this.units) {
      random.orthogonal(this.units).forEach((row, j) => this.weights.set(row, at + j * this.width));
    }
    this.weights.set(random.glorot(this.units, 2), this.readout + 2);
  }

  /** Read a sequence. `gates` then holds its steps; `cells` and `hidden` begin with zeros. */
  read(inputs) {
    const { units, width, weights } = this;
    const gates = (this.gates = new Float64Array(inputs.length * width));
    const cells = (this.cells = new Float64Array((inputs.length + 1) * units));
    const hidden = (this.hidden = new Float64Array((inputs.length + 1) * units));
    for (let t = 0; t < inputs.length; t++) {
      const old = t * units;
      const here = t * width;
      const row = this.kernel + inputs[t] * width;
      for (let k = 0; k < width; k++) {
        let sum = weights[k] + weights[row + k];
        let weight = this.recurrent + k;
        for (let j = 0; j < units; j++, weight += width) sum += hidden[old + j] * weights[weight];
        const isCandidate = k >= 2 * units && k < 3 * units;
        gates[here + k] = isCandidate ? Math.tanh(sum) : 1 / (1 + Math.exp(-sum));
      }
      for (let u = 0; u < units; u++) {
        const kept = gates[here + units + u] * cells[old + u];
        const cell = kept + gates[here + u] * gates[here + 2 * units + u];
        cells[old + units + u] = cell;
        hidden[old + units + u] = gates[here + 3 * units + u] * Math.tanh(cell);
      }
    }
  }

  /**
   * Score the answer after step t: add its loss, whether it is right, and 1 to `sums`. Return the
   * probability of the second class less the target, which is the gradient by its logit.
   */
  score(t, target, sums) {
    const { units, weights, readout, hidden } = this;
    let logit = weights[readout + 1] - weights[readout];
    for (let u = 0, weight = readout + 2; u < units; u++, weight += 2) {
      logit += hidden[(t + 1) * units + u] * (weights[weight + 1] - weights[weight]);
    }
    const error = target ? -logit : logit; // in logits; the two parts of the loss cannot overflow
    sums.loss += Math.max(0, error) + Math.log1p(Math.exp(-Math.abs(error)));
    sums.right += logit > 0 === (target === 1);
    sums.due += 1;
    return 1 / (1 + Math.exp(-logit)) - target;
  }

  /**
   * Learn from the sequence that was just read: add to `gradient` that of its loss, the sum of the
   * cross entropies of its answers. No answer is due where the target is -1.
   */
  learn(inputs, targets, sums) {
    const { units, width, weights, readout, gradient, gates, cells, hidden } = this;
    const ofHidden = new Float64Array(units); // the gradient by h, by c, and by the gates' sums
    const ofCell = new Float64Array(units);
    const ofSums = new Float64Array(width);
    for (let t = inputs.length - 1; t >= 0; t--) {
      const old = t * units;
      const now = old + units;
      const here = t * width;
      const row = this.kernel + inputs[t] * width;
      if (targets[t] >= 0) {
        const error = this.score(t, targets[t], sums);
        gradient[readout] -= error;
        gradient[readout + 1] += error;
        for (let u = 0, weight = readout + 2; u < units; u++, weight += 2) {
          gradient[weight] -= error * hidden[now + u];
          gradient[weight + 1] += error * hidden[now + u];
          ofHidden[u] += error * (weights[weight + 1] - weights[weight]);
        }
      }
      for (let u = 0; u < units; u++) {
        const input = gates[here + u];
        const forget = gates[here + units + u];
        const candidate = gates[here + 2 * units + u];
        const output = gates[here + 3 * units + u];
        const tanh = Math.tanh(cells[now + u]);
        ofCell[u] += ofHidden[u] * output * (1 - tanh * tanh);
        ofSums[u] = ofCell[u] * candidate * input * (1 - input);
        ofSums[units + u] = ofCell[u] * cells[old + u] * forget * (1 - forget);
        ofSums[2 * units + u] = ofCell[u] * input * (1 - candidate * candidate);
        ofSums[3 * units + u] = ofHidden[u] * tanh * output * (1 - output);
        ofCell[u] *= forget;
        ofHidden[u] = 0;
      }
      for (let k = 0; k < width; k++) {
        gradient[k] += ofSums[k];
        gradient[row + k] += ofSums[k];
        let weight = this.recurrent + k;
        for (let j = 0; j < units; j++, weight += width) {
          gradient[weight] += ofSums[k] * hidden[old + j];
          ofHidden[j] += ofSums[k] * weights[weight];
        }
      }
    }
  }
}
