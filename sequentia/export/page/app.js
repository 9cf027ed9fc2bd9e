// ---- The page ----

const WANTED = 24, PATIENCE = 10_000;  // lines; draws without a new line after which the search ends
const [form, starts, contains, ends, letters, wild, fresh, error, stop, progress, status, list, why, favorites, selected] =
  ["form", "starts", "contains", "ends", "letters", "wild", "new", "error", "stop", "progress", "status", "lines", "why",
    "favorites", "selected"].map((id) => document.getElementById(id));
const menu = document.getElementById("label");  // null if lines have no labels
const fields = { starts, contains, ends, letters, wild, new: fresh, ...(menu && { label: menu }) };  // by their names in the link
const tree = new Map();
let model, filter;
let seed = 0, search = null;  // the seed of the lines shown; the last search, which ends all earlier ones

/** The characters of a field as the model knows them: composed (NFC), or in the other case, where only that exists. */
function read(field) {
  const text = [field.value, field.value.normalize("NFC")].find((text) => Array.from(text).every((c) => ids.has(c)));
  if (text !== undefined) return Array.from(text);
  return Array.from(field.value.normalize("NFC"), (character) =>
    [character, character.toLowerCase(), character.toUpperCase()].find((c) => ids.has(c)) ?? character);
}

/** The settings that the fields ask for; or, if they cannot be met, the field and what is wrong with it. */
function readSettings() {
  const settings = { starts: read(starts), contains: read(contains), ends: read(ends) };
  const limit = content.max_length, shown = characters.slice(0, 60).join("") + (characters.length > 60 ? "…" : "");
  const range = letters.value.match(/^\s*(\d*)\s*(?:([-–])\s*(\d*))?\s*$/);
  if (!range) return { field: letters, problem: "Letters must be a number, as 6, or a range, as 5-7." };
  const [, from, to, until] = range;
  settings.shortest = Number(from || 0);
  settings.longest = Number((to ? until : from) || limit);
  if (settings.shortest > settings.longest) return { field: letters, problem: "The range must start with the smaller number." };
  if (settings.longest > limit) return { field: letters, problem: `A line has at most ${limit} letters.` };
  for (const name of ["starts", "contains", "ends"]) {
    const unknown = settings[name].find((character) => !ids.has(character));
    if (unknown !== undefined) return { field: fields[name], problem: `The model does not know “${unknown}”. It knows: ${shown}` };
    if (settings[name].length > settings.longest) {
      return { field: fields[name], problem: `A line has at most ${settings.longest} letters, and this has ${settings[name].length}.` };
    }
  }
  if (menu?.selectedIndex < 0) return { field: menu, problem: "The model does not know the label of the link: choose another." };
  settings.label = menu ? labels.findIndex(({ name }) => (name || " ") === menu.value) : 0;  // -1: any
  return { settings: { ...settings, temperature: wild.valueAsNumber, onlyNew: fresh.checked } };
}

/** Shows what is wrong with a field, or that nothing is. */
function showProblem(field, problem = "") {
  error.textContent = problem;
  for (const other of Object.values(fields)) other.removeAttribute("aria-invalid");
  field?.setAttribute("aria-invalid", "true");
}

/** A function that lets the browser draw and react, 20 times per second. */
function pacemaker(onPause) {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    onPause();
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
  };
}

/** Draws lines until there are enough, nothing new is found, or another search starts or `stop` is pressed. */
async function showLines() {
  const { settings, field, problem } = readSettings(), own = search = { stopped: false };
  showProblem(field, problem);
  list.replaceChildren();
  hideWhy();
  status.textContent = progress.textContent = "";
  stop.hidden = problem !== undefined;
  if (problem) return;
  writeLink();
  const random = randomNumbers(seed), seen = new Set(), any = settings.label < 0;
  const start = settings.starts.length ? ` that start with “${settings.starts.join("")}”` : "";
  let drawn = 0, fitting = 0, idle = 0;
  const count = () => `${fitting.toLocaleString("en")} of ${drawn.toLocaleString("en")} draws${start} fit`;
  const pause = pacemaker(() => { progress.textContent = `${count()} …`; });
  const probabilities = any && await labelProbabilities(settings, pause);
  while (!own.stopped && seen.size < WANTED && idle < PATIENCE) {
    const label = labels[any ? draw(probabilities, random) : settings.label];
    const line = await drawLine({ ...settings, start: label.start }, random, pause);
    if (own !== search) return;
    drawn++;
    idle++;
    if (!line || !fits(line, settings)) continue;
    fitting++;
    const entry = (menu ? label.name + "\t" : "") + line.join("");
    if (seen.has(entry)) continue;
    seen.add(entry);
    idle = 0;
    list.append(lineItem(entry, any));
    list.style.setProperty("--letters", Math.max(...Array.from(list.children, (item) => item.lastChild.dataset.text.length)));
  }
  const repeats = fitting > seen.size ? `; repeats left out: ${(fitting - seen.size).toLocaleString("en")}` : "";
  const advice = idle === PATIENCE ? " Nothing new in the last 10,000 draws: ask for less, or move the slider to wild." : "";
  status.textContent = `${own.stopped ? "Stopped: " : ""}${count()}${repeats}.${advice}`;
  progress.textContent = "";
  stop.hidden = true;
}

/** An entry of a list, given as `label<tab>line` where lines have labels: the line, which explains itself, and its star. */
function lineItem(entry, showLabel) {
  const label = menu ? labels.find(({ name }) => entry.startsWith(name + "\t")) : labels[0];
  const text = menu ? entry.slice(label.name.length + 1) : entry;
  const item = document.createElement("li"), line = document.createElement("button"), star = document.createElement("button");
  line.type = star.type = "button";
  line.className = "line";
  line.dir = "auto";
  line.textContent = text || "(empty)";
  line.addEventListener("click", () => showWhy(Array.from(text), label));
  star.className = "star";
  star.dataset.text = showLabel ? entry : text;
  star.dataset.entry = entry;
  star.setAttribute("aria-label", `Favorite: ${star.dataset.text}`);
  star.addEventListener("click", () => toggleFavorite(entry));
  showStar(star);
  item.append(line, star);
  if (showLabel) line.after(Object.assign(document.createElement("span"), { className: "label", textContent: label.name }));
  return item;
}

// ---- Why this line? ----

const nameOf = (token) => (token === BOUNDARY ? "end" : characters[token - 1]);

/** A large number, in full below a billion. */
function large(number) {
  if (number < 1e9) return Math.round(number).toLocaleString("en");
  if (number >= 1e15) return `10^${Math.round(Math.log10(number))}`;
  return number.toLocaleString("en", { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 3 });
}

function showWhy(line, label) {
  const steps = explain(line, startOfLine(label.start));
  const draws = steps.reduce((product, { token, probabilities }) => product / probabilities[token], 1);
  const cell = (type, text) => Object.assign(document.createElement(type), { textContent: text });
  const which = menu ? (label.name ? ` with the label “${label.name}”,` : " without a label,") : "";
  hideWhy();
  why.querySelector("[aria-live]").append(
    cell("h2", `Why “${line.join("")}”?`),
    cell("p", `One in ${large(draws)} draws${which} with empty fields and the slider in the middle. ` +
      "Each column has a letter, its probability after the letters before it, and what the model expected most."));
  const table = why.querySelector("table");
  const addRow = (name, cells) => {
    const row = table.insertRow();
    row.append(Object.assign(cell("th", name), { scope: "row" }), ...cells);
    return row;
  };
  addRow("letter", steps.map(({ token }) => Object.assign(cell("th", nameOf(token)), { scope: "col" })));
  addRow("probability", steps.map(({ token, probabilities }) => {
    const bar = cell("div", ""), found = cell("td", percent(probabilities[token]));
    bar.className = "bar";
    bar.style.height = `${Math.max(2, 64 * probabilities[token])}px`;
    found.prepend(bar);
    return found;
  }));
  for (const [i, name] of ["expected", "second", "third"].entries()) {
    if (i >= V) break;
    addRow(name, steps.map(({ likely, probabilities }) => {
      const expected = cell("td", "");
      expected.append(cell("span", nameOf(likely[i])), " ", cell("span", percent(probabilities[likely[i]])));
      return expected;
    })).className = "expected";
  }
  table.parentElement.hidden = false;
  why.scrollIntoView({ block: "nearest" });
}

/** Empties the explanation, whose place stays: a screen reader reads what is added there. */
function hideWhy() {
  why.querySelector("[aria-live]").replaceChildren();
  why.querySelector("table").replaceChildren();
  why.querySelector(".scroll").hidden = true;
}

// ---- Favorites, kept by the browser if it allows that ----

const shelf = ["sequentia", document.title, content.max_length, content.characters, ...(content.labels ?? [])].join(" ");
let kept = [];
try {
  kept = JSON.parse(localStorage.getItem(shelf) ?? "[]");
} catch {  // for this visit only
}

function toggleFavorite(entry) {
  kept = kept.includes(entry) ? kept.filter((other) => other !== entry) : [...kept, entry];
  try {
    localStorage.setItem(shelf, JSON.stringify(kept));
  } catch {  // for this visit only
  }
  showFavorites();
}

function showStar(star) {
  const pressed = kept.includes(star.dataset.entry);
  star.textContent = pressed ? "★" : "☆";
  star.setAttribute("aria-pressed", pressed);
}

function showFavorites() {
  favorites.hidden = kept.length === 0;
  favorites.querySelector("ul").replaceChildren(...kept.map((entry) => lineItem(entry, menu)));
  for (const star of list.querySelectorAll(".star")) showStar(star);
}

// ---- Links and copies ----

/** Puts seed and settings into the address: the same lines for everyone who opens it. */
function writeLink() {
  const values = Object.entries(fields).map(([name, field]) => [name, field.type === "checkbox" ? Number(field.checked) : field.value]);
  history.replaceState(null, "", `#${new URLSearchParams([...values, ["seed", seed]])}`);
}

/** Reads them from the address. */
function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  for (const [name, field] of Object.entries(fields)) {
    if (!link.has(name)) continue;
    if (field.type === "checkbox") field.checked = filter && link.get(name) === "1";
    else field.value = link.get(name);
  }
  seed = link.has("seed") ? Number(link.get("seed")) >>> 0 : newSeed();
}

function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = done;
  } catch {  // the browser does not allow it
    selected.textContent = text;
    selected.hidden = false;
    getSelection().selectAllChildren(selected);
    status.textContent = "The text below is selected: copy it with Ctrl+C or ⌘C.";
  }
}

const textsOf = (parent) => Array.from(parent.querySelectorAll(".star"), (star) => star.dataset.text + "\n").join("");
const onClick = (id, action) => document.getElementById(id).addEventListener("click", action);
onClick("copy", () => copyText(textsOf(list), "The lines are copied."));
onClick("copy-favorites", () => copyText(textsOf(favorites), "The favorites are copied."));
onClick("share", () => copyText(location.href, "The link is copied. It gives the same lines to everyone who has this page."));
onClick("stop", () => { search.stopped = true; });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  seed = newSeed();
  showLines();
  if (error.textContent) form.querySelector("[aria-invalid]").focus();
});
for (const field of [wild, fresh, ...(menu ? [menu] : [])]) field.addEventListener("change", showLines);
addEventListener("hashchange", () => {
  readLink();
  showLines();
});

/** Unpacks the model, then shows the first lines. */
async function start() {
  const tensors = await readTensors();
  model = new ARCHITECTURES[content.model.architecture](tensors, content.model.options);
  filter = tensors.filter;
  document.getElementById("only-new").hidden = !filter;
  fresh.checked = Boolean(filter);
  showFavorites();
  readLink();
  showLines();
}

const opened = start().catch((problem) => showProblem(null, `This page needs a newer browser: ${problem.message}`));
