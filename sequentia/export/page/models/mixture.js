/** The weighted sum of the log probabilities of several models. The state has the state of each. */
ARCHITECTURES.Mixture = class {
  constructor(tensors, { members }) {
    this.members = members.map(({ architecture, options }, i) =>
      new ARCHITECTURES[architecture](under(tensors, `members.${i}.`), options));
    this.weights = tensors.weights;
  }

  step(token, state = []) {
    const mixed = new Float32Array(V), after = [];
    this.members.forEach((member, i) => {
      const [logits, next] = member.step(token, state[i]);
      softmax(logits).forEach((probability, j) => { mixed[j] += this.weights[i] * Math.max(Math.log(probability), -100); });
      after.push(next);
    });
    return [mixed, after];
  }
};
