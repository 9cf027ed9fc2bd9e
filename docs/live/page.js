// ---- The page "Letter by letter"; what it calls is in sequentia/export/page ----

const NAMES = { pairs: "Table of pairs", mlp: "MLP", gru: "GRU", transformer: "Transformer" };
const STEPS = [1, 10, 200];
const tokens = [".", ...characters];  // as shown
const find = (selector) => document.querySelector(selector);
const precise = (p) => p.toLocaleString("en", { style: "percent", maximumSignificantDigits: 2 });
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const ranked = (probabilities) => Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);

/** An element with properties, styles that start with `--`, attributes, and children. */
function make(tag, values = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A choice of one of several, as radio buttons. */
function choice(fieldset, options, first, onChange) {
  options.forEach(([value, text]) => {
    const input = make("input", { type: "radio", name: fieldset.parentElement.id, value });
    input.checked = value === first;
    fieldset.append(make("label", {}, input, text));
  });
  fieldset.addEventListener("change", onChange);
  return () => fieldset.querySelector(":checked").value;
}

/** Lets pointer, touch and arrow keys select a cell of a grid: `onSelect(row, column)`. One cell is in the order of the tab key. */
function selectable(grid, onSelect) {
  const rows = () => Array.from(grid.querySelectorAll("[role=row]"), (row) => [...row.querySelectorAll("[role=gridcell]")])
    .filter((cells) => cells.length);
  const position = (target) => {
    const cell = target.closest("[role=gridcell]"), all = rows(), row = all.findIndex((cells) => cells.includes(cell));
    return row < 0 ? null : [row, all[row].indexOf(cell)];
  };
  for (const type of ["pointerover", "pointerdown", "focusin"]) {
    grid.addEventListener(type, ({ target }) => {
      const at = position(target);
      if (at) onSelect(...at);
    });
  }
  grid.addEventListener("keydown", (event) => {
    const all = rows(), [row, column] = position(event.target) ?? [0, 0], last = all[0].length - 1;
    const to = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, last],
    }[event.key];
    const cell = to && all[to[0]]?.[to[1]];
    if (to) event.preventDefault();
    if (!cell) return;
    event.target.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
  });
}

// ---- Tables ----

/** A pair in words, with what is said about it. */
function pair(first, second, rest) {
  if (first === BOUNDARY) return second === BOUNDARY ? `A name has no letters: ${rest}` : `A name starts with “${tokens[second]}”: ${rest}`;
  if (second === BOUNDARY) return `After “${tokens[first]}” the name ends: ${rest}`;
  return `After “${tokens[first]}” comes “${tokens[second]}”: ${rest}`;
}

/** A table of probabilities as a heat map. */
function heatMap(table, label, describe) {
  const header = (role, text) => make("div", { role }, text);
  const map = make("div", { class: "map", role: "grid", "aria-label": label });
  map.append(make("div", { role: "row" }, header("columnheader", ""), ...tokens.map((token) => header("columnheader", token))));
  table.forEach((probabilities, i) => {
    const cells = Array.from(probabilities, (p, j) => make("div", {
      role: "gridcell", tabindex: i + j ? -1 : 0, "aria-label": describe(i, j), "--p": p, "--shade": Math.sqrt(p),
    }));
    map.append(make("div", { role: "row" }, header("rowheader", tokens[i]), ...cells));
  });
  return map;
}

/** Marks a cell of a heat map, and the letters of its row and column. */
function mark(map, row, column) {
  for (const marked of map.querySelectorAll(".current, .selected")) marked.classList.remove("current", "selected");
  const heads = map.firstChild.children, line = map.children[row + 1];
  for (const head of [heads[column + 1], line]) head.classList.add("current");
  line.children[column + 1].classList.add("selected");
}

function showPairs(counts, table) {
  const says = make("p", { class: "says", "aria-hidden": "true" });
  const describe = (i, j) => {
    const total = sum(counts[i]).toLocaleString("en"), unit = i === BOUNDARY ? "names" : "times";
    return pair(i, j, `${precise(table[i][j])} (${counts[i][j].toLocaleString("en")} of ${total} ${unit})`);
  };
  const map = heatMap(table, "Which letter follows which: rows are letters, columns the next ones", describe);
  const select = (i, j) => {
    mark(map, i, j);
    const most = ranked(table[i]).slice(0, 5).map((next) => `${tokens[next]} ${precise(table[i][next])}`).join(", ");
    says.replaceChildren(describe(i, j), make("small", {}, `Most often ${i ? `after “${tokens[i]}”` : "at the start"}: ${most}`));
  };
  selectable(map, select);
  find("#pairs").append(says, map);
  select(ids.get("q"), ids.get("u"));
}

/** Mean NLL of all counted pairs under a table of probabilities. */
function meanNLL(counts, table) {
  const losses = counts.map((row, i) => sum(Array.from(row, (count, j) => (count ? -count * Math.log(table[i][j]) : 0))));
  return sum(losses) / sum(counts.map(sum));
}

function showDescent(counts, counted, tensors) {
  const [says, maps, note] = [".says", ".maps", ".note"].map((part) => find(`#two ${part}`));
  let at = [ids.get("q"), ids.get("u")];
  const step = choice(find("#two .choice"), STEPS.map((step) => [step, String(step)]), STEPS[0], show);
  const figure = (map, text, nll) =>
    make("figure", {}, make("figcaption", {}, `${text}: NLL `, make("b", {}, nll.toFixed(4))), map);

  function show() {
    const model = new ARCHITECTURES.Bigram(under(tensors, `step${step()}.`));
    const learned = counted.map((_, token) => softmax(model.step(token)[0]));
    const describe = (i, j) => pair(i, j, `counted ${precise(counted[i][j])}, learned ${precise(learned[i][j])}`);
    const both = [heatMap(counted, "Counted", describe), heatMap(learned, `Learned, after step ${step()}`, describe)];
    const select = (i, j) => {
      at = [i, j];
      for (const map of both) mark(map, i, j);
      says.textContent = describe(i, j);
    };
    for (const map of both) selectable(map, select);
    maps.replaceChildren(figure(both[0], "Counted", meanNLL(counts, counted)),
      figure(both[1], `Learned, step ${step()}`, meanNLL(counts, learned)));
    const apart = sum(counts.map((row, i) => sum(row) * sum(Array.from(row, (_, j) => Math.abs(counted[i][j] - learned[i][j])))));
    note.textContent = `In the learned table, ${precise(apart / 2 / sum(counts.map(sum)))} of the probability is in other cells than in the counted one.`;
    select(...at);
  }
  show();
}

// ---- A name under every model ----

/** The letters of a text that the models know: in lower case, without accents. */
function known(text) {
  return Array.from(text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "")).filter((character) => ids.has(character));
}

function showOwn(models) {
  const input = find("#own-name"), note = find("#own-note"), rows = find("#own .rows"), expected = find("#own .expected");
  let explained = {}, name = [];

  function select(_, t) {
    for (const marked of rows.querySelectorAll(".selected")) marked.classList.remove("selected");
    for (const letters of rows.querySelectorAll(".letters")) letters.children[t].classList.add("selected");
    const before = t ? `After “${name.slice(0, t).join("")}”` : "At the start";
    const lists = Object.entries(explained).map(([key, steps]) => {
      const { token, probabilities, likely } = steps[t];
      const items = likely.slice(0, 5).map((next) => make("li", { class: next === token ? "actual" : "", "--p": probabilities[next] },
        make("b", {}, tokens[next]), precise(probabilities[next])));
      return make("div", {}, NAMES[key], make("ol", {}, ...items));
    });
    expected.replaceChildren(make("p", {}, `${before}, the models expected most:`), ...lists);
  }

  function show() {
    const all = known(input.value);
    name = all.slice(0, content.max_length);
    const unknown = all.length < Array.from(input.value.normalize("NFC")).length ? "Only the letters a to z are used. " : "";
    note.textContent = unknown + (all.length > name.length ? `Only the first ${name.length} letters are used.` : "");
    explained = Object.fromEntries(Object.entries(models).map(([key, model]) => [key, explain(name, new Prefix(model, BOUNDARY))]));
    const nlls = Object.values(explained).map((steps) =>
      -sum(steps.map(({ token, probabilities }) => Math.log(probabilities[token]))) / steps.length);
    rows.replaceChildren(...Object.entries(explained).map(([key, steps], i) => {
      const cells = steps.map(({ token, probabilities, likely }, t) => {
        const p = probabilities[token], gain = Math.log(p * V) / Math.log(V);
        const most = likely.slice(0, 5).map((next) => `${next ? tokens[next] : "end"} ${precise(probabilities[next])}`).join(", ");
        return make("div", {
          role: "gridcell", tabindex: i + t ? -1 : 0, class: gain < 0 ? "surprising" : "", "--p": p,
          "--shade": Math.min(1, Math.abs(gain)),
          "aria-label": `${token ? tokens[token] : "end"}: ${precise(p)}. Most expected: ${most}`,
        }, tokens[token], make("small", {}, percent(p)));
      });
      const usual = content.models[key].test_nll.toFixed(2);
      const nll = make("div", { class: "nll" }, "NLL ", nlls[i].toFixed(2), make("small", {}, ` new names ${usual}`));
      nll.classList.toggle("best", nlls[i] === Math.min(...nlls));
      return make("div", { role: "row" }, make("div", { role: "rowheader" }, NAMES[key]),
        make("div", { class: "letters", role: "presentation" }, ...cells), nll);
    }));
    select(0, name.length >> 1);
  }

  selectable(rows, select);
  input.addEventListener("input", show);
  show();
}

// ---- Drawing the next letter ----

function showNext(models) {
  const [text, bars, parts, marker, note, drawn] = [".text", ".bars", ".parts", ".mark", ".note", ".drawn"]
    .map((part) => find(`#next ${part}`));
  const temperature = find("#temperature"), seed = find("#seed");
  const chosen = choice(find("#next .choice"), Object.entries(NAMES), "transformer", reshape);
  let line = [], ended = false, random, drawing = null;

  const buttons = tokens.map((token, next) => make("button", { type: "button" }, make("i"), token));
  bars.append(...buttons);
  parts.append(...tokens.map(() => make("span")));

  function probabilities() {
    const prefix = line.reduce((prefix, next) => prefix.after(next), new Prefix(models[chosen()], BOUNDARY));
    return softmax(Array.from(prefix.logits), temperature.valueAsNumber);
  }

  /** The name so far and the probabilities of what comes next, or came next if the name has ended. */
  function show() {
    temperature.previousElementSibling.textContent = temperature.valueAsNumber.toFixed(1);
    text.textContent = line.map((token) => tokens[token]).join("") + (ended ? tokens[BOUNDARY] : "");
    probabilities().forEach((p, token) => {
      buttons[token].style.setProperty("--p", p);
      buttons[token].title = `${token ? tokens[token] : "end"}: ${precise(p)}`;
      buttons[token].setAttribute("aria-label", buttons[token].title);
      parts.children[token].style.setProperty("--p", p);
      parts.children[token].textContent = p > 0.025 ? tokens[token] : "";  // else there is no space for it
    });
  }

  function point(token, at) {
    buttons.forEach((button, i) => button.classList.toggle("selected", i === token));
    marker.hidden = at === undefined;
    marker.style.setProperty("--at", at);
  }

  /** Shows the probabilities of another model or temperature, in which the last random number has no place. */
  function reshape() {
    point();
    show();
  }

  /** Adds a token; a name that cannot be longer ends, too. */
  function append(token) {
    if (token !== BOUNDARY) line.push(token);
    ended = token === BOUNDARY || line.length === content.max_length;
    if (ended) {
      drawn.hidden = false;
      drawn.lastElementChild.prepend(line.map((token) => tokens[token]).join(""), " ");
    }
    show();
  }

  function begin() {
    if (!ended) return;
    [line, ended] = [[], false];
    reshape();
  }

  /** Draws letters until the end, or one; shows each for a moment before it is added. */
  async function drawLetters(once) {
    if (drawing) return;
    const own = drawing = {};
    begin();
    do {
      const at = random(), p = probabilities(), token = draw(p, () => at);
      point(token, at);
      note.textContent = `The random number ${at.toFixed(4)} falls into the part of ${token ? `“${tokens[token]}”` : "the end"}, ${precise(p[token])}.`;
      await new Promise((resolve) => setTimeout(resolve, 700));
      if (drawing !== own) return;
      append(token);
      if (!ended) point();
    } while (!once && !ended);
    drawing = null;
  }

  function startOver() {
    [drawing, line, ended] = [null, [], false];
    random = randomNumbers(seed.valueAsNumber >>> 0);
    note.textContent = "";
    reshape();
  }

  buttons.forEach((button, token) => button.addEventListener("click", () => {
    drawing = null;
    begin();
    point();
    append(token);
    note.textContent = `You chose ${token ? `“${tokens[token]}”` : "the end"}.`;
  }));
  temperature.addEventListener("input", reshape);
  seed.addEventListener("change", startOver);
  find("#draw-letter").addEventListener("click", () => drawLetters(true));
  find("#draw-name").addEventListener("click", () => drawLetters(false));
  find("#start-over").addEventListener("click", startOver);
  startOver();
}

async function start() {
  const tensors = await readTensors();
  const models = Object.fromEntries(Object.entries(content.models).map(([name, { architecture, options }]) =>
    [name, new ARCHITECTURES[architecture](under(tensors, `${name}.`), options)]));
  const counts = tokens.map((_, token) => row(tensors["pairs.counts"], token));
  const table = counts.map((row) => Array.from(row, (count) => count / sum(row)));
  showPairs(counts, table);
  showOwn(models);
  showNext(models);
  showDescent(counts, table, tensors);
}

start().catch((problem) => { find("#live-problem").textContent = `This page needs a newer browser: ${problem.message}`; });
