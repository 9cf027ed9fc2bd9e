// ---- Lines with labels: the menu, and the label of each line ----

document.querySelector(".fields").insertAdjacentHTML("beforeend", `<div><label for="label">Label</label>
  <select id="label" class="text" aria-describedby="error"><option value="">any</option></select></div>`);
for (const { name, count } of labels) {  // in links, lines without a label have a space, which no label is
  if (name || count) document.getElementById("label").add(new Option(name || "(no label)", name || " "));
}

/** How probable each label is: by its frequency among the training lines, given what lines start with. */
async function labelProbabilities({ starts }, pause) {
  const prior = labels.map(({ count }) => Math.log(count)), logs = [...prior];
  for (const [i, { start }] of labels.entries()) {
    let prefix = null;
    for (const [t, character] of starts.entries()) {
      prefix = t ? prefix.after(ids.get(starts[t - 1])) : startOfLine(start);
      logs[i] += Math.log(softmax(prefix.logits)[ids.get(character)]);
      await pause();
    }
  }
  return softmax(logs.some(Number.isFinite) ? logs : prior);
}
