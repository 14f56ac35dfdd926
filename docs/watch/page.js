// The page: its settings, eight nets that train in workers, and their charts.

const element = (id) => document.getElementById(id);
let settings = {}; // as for a Training, without the seed
let nets = []; // by seed: status, reports, and the worker of one that trains
let frame = 0; // the request to draw, if there is one

/** Train a net in a worker, and report it after every 25 steps. */
function work() {
  onmessage = ({ data }) => {
    const training = new Training(data);
    while (training.status === "running") {
      for (let k = 0; k < 25; k++) training.step();
      const { status, steps, loss, right, net } = training;
      postMessage({ status, steps, loss, right, weights: Float32Array.from(net.weights) });
    }
  };
}

// A page that is opened from a disk may start a worker from its own text alone.
const PARTS = [Random, LSTM, latch, parity, delayLine, Training, `(${work})()`];
const WORKER = URL.createObjectURL(new Blob([PARTS.join("\n")]));

/** Take the settings of the link. A slider itself takes the nearest value that it allows. */
function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  element("task").value = link.get("task");
  if (!element("task").value) element("task").value = "latch";
  const { usual, lag, prefix } = element("task").selectedOptions[0].dataset;
  element("lag").max = lag;
  element("prefix").max = prefix;
  settings = { task: element("task").value };
  for (const [name, value] of new URLSearchParams(usual)) {
    const number = parseFloat(link.get(name));
    element(name).value = Number.isFinite(number) ? number : value;
    settings[name] = Number(element(name).value);
    element(name).nextElementSibling.value = settings[name];
  }
  showRule();
  reset("untrained");
}

/** Put the settings into the link; of another task the task alone. */
function writeLink({ target }) {
  const values = new URLSearchParams(new FormData(element("form")));
  location.replace(target.id === "task" ? `#task=${target.value}` : `#${values}`);
}

/** Show the rule by which nets pass, and the command that trains such nets. */
function showRule() {
  const { task, lag, units, forget_bias, rate, prefix } = settings;
  const length = Training.tasks[task].length(lag) + prefix;
  const until = task === "delay_line" ? "steady" : prefix ? "anywhere" : "up_to";
  for (const rule of ["up_to", "anywhere", "steady"]) element(rule).hidden = rule !== until;
  element("command").textContent =
    `memcap train task=${task} task.lag=${lag} task.length=${length} model.units=${units}`
    + ` recipe=${element(until).dataset.recipe} recipe.init=forget_bias recipe.lr=${rate}`
    + ` recipe.forget_bias=${forget_bias} evaluation.until=${until} 'axes={seed: 8}'`;
}

/** Stop the workers, and show new nets. */
function reset(status) {
  nets.forEach(({ worker }) => worker?.terminate());
  nets = Array.from({ length: 8 }, (_, seed) => {
    const { steps, loss, right, net } = new Training({ ...settings, seed });
    return { status, reports: [{ steps, loss, right, weights: net.weights }] };
  });
  draw();
}

/** Train a net of each seed. */
function train() {
  reset("running");
  nets.forEach((net, seed) => {
    net.worker = new Worker(WORKER);
    net.worker.postMessage({ ...settings, seed });
    net.worker.onmessage = ({ data }) => {
      net.reports.push(data);
      net.status = data.status;
      frame ||= requestAnimationFrame(draw);
    };
  });
}

/** Draw lines, each a class and its points, over axes that are given by their ticks. */
function plot(id, xs, ys, lines) {
  const left = (x) => 38 + (256 * (x - xs[0])) / (xs.at(-1) - xs[0]);
  const top = (y) => 150 - (140 * (Math.min(y, ys.at(-1)) - ys[0])) / (ys.at(-1) - ys[0]);
  const parts = xs.map((x) => `<text x="${left(x)}" y="168" text-anchor="middle">${x}</text>`);
  for (const y of ys) {
    parts.push(`<path class="axis" d="M38 ${top(y)}H294"/>`);
    parts.push(`<text x="33" y="${top(y) + 4}" text-anchor="end">${y}</text>`);
  }
  for (const [name, ...points] of lines) {
    const places = points.map(([x, y]) => `${left(x)},${top(y)}`);
    parts.push(`<polyline class="${name}" points="${places.join(" ")}"/>`);
  }
  element(id).innerHTML = parts.join("");
}

/** Draw the cells of a net that reads two sequences. */
function plotCells(id, weights) {
  const { task, lag, units, prefix } = settings;
  const { sample, symbols, length } = Training.tasks[task];
  const { inputs } = sample(new Random(1), lag, length(lag) + prefix);
  const net = new LSTM(symbols, units);
  net.weights.set(weights);
  const lines = [];
  let most = 1;
  for (const name of ["one", "other"]) {
    net.read(inputs);
    most = Math.ceil(Math.max(most, ...net.cells.map(Math.abs)));
    for (let u = 0; u < units; u++) {
      lines.push([name, ...Array.from(inputs, (_, t) => [t + 1, net.cells[(t + 1) * units + u]])]);
    }
    inputs[prefix] = 1 - inputs[prefix]; // the first bit that counts
  }
  plot(id, [1, inputs.length], [-most, 0, most], lines);
}

/** Draw how many published nets passed at the nearest lag, and how many of these do. */
function plotCurve() {
  const { task, lag, units } = settings;
  const distance = (other) => Math.abs(Math.log(other / lag));
  const [near] = Object.keys(PUBLISHED[task]).sort((a, b) => distance(a) - distance(b));
  const rows = PUBLISHED[task][near];
  const passed = nets.filter(({ status }) => status === "passed").length;
  const ended = nets.filter(({ status }) => status === "failed").length + passed;
  const dot = (name, x, y) => [name, [x, y], [x, y]];
  const lines = rows.map((row) => ["net", [row.units, row.low], [row.units, row.high]]);
  lines.push(["net", ...rows.map((row) => [row.units, row.passed / row.nets])]);
  lines.push(...rows.map((row) => dot("dot", row.units, row.passed / row.nets)));
  if (ended) lines.push(dot("dot one", units, passed / ended));
  plot("curve", [0, 4, 8, 12], [0, 0.5, 1], lines);
  const counts = rows.map((row) => `${row.passed} of ${row.nets} with ${row.units}`).join(", ");
  element("published").textContent = `Published at lag ${near}, nets passed by units: ${counts}.`;
  const here = `Here, at lag ${lag}: ${passed} of ${ended} with ${units}.`;
  element("here").textContent = ended ? here : "";
}

/** Draw what training changes, and say how far it is. */
function draw() {
  frame = 0;
  const chosen = Number(document.querySelector("#nets :checked").value);
  const longest = Math.max(100, ...nets.map(({ reports }) => reports.at(-1).steps));
  const curves = (name) => nets.map(({ reports }, seed) => {
    const points = reports.map((report) => [report.steps, report[name]]);
    return [seed === chosen ? "chosen" : "net", ...points];
  });
  plot("loss", [0, longest / 2, longest], [0, 0.4, 0.8], curves("loss"));
  plot("right", [0, longest / 2, longest], [0, 0.5, 1], curves("right"));
  const { reports } = nets[chosen];
  const during = reports[Math.round((element("moment").value / 100) * (reports.length - 1))];
  element("step").value = during.steps;
  plotCells("before", reports[0].weights);
  plotCells("during", during.weights);
  plotCells("after", reports.at(-1).weights);
  plotCurve();
  nets.forEach(({ status, reports }, seed) => {
    const share = `${Math.round(100 * reports.at(-1).right)} % right`;
    element(`net${seed}`).textContent = `${status}, ${reports.at(-1).steps} steps, ${share}`;
  });
  const count = (status) => `${nets.filter((net) => net.status === status).length} ${status}`;
  const counts = ["untrained", "running", "passed", "failed"].map(count);
  const summary = `Of 8 nets: ${counts.filter((text) => text[0] > 0).join(", ")}.`;
  // A screen reader says it again whenever its text is set.
  if (element("summary").textContent !== summary) element("summary").textContent = summary;
}

for (let seed = 0; seed < 8; seed++) {
  element("nets").innerHTML += `<label><input type="radio" name="net" value="${seed}"
    ${seed ? "" : "checked"}> ${seed + 1}: <span id="net${seed}"></span></label>`;
}
element("nets").onchange = draw;
element("moment").oninput = draw;
element("form").oninput = ({ target }) => (target.nextElementSibling.value = target.value);
element("form").onchange = writeLink;
element("form").onsubmit = (event) => event.preventDefault() || train();
window.onhashchange = readLink;
readLink();
