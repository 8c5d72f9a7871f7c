/** What a config may be at most. Real ones stay a factor of ten below each of these. */
export const limits = {
  /** Characters of a config or an orb. */
  text: 3_000_000,
  /** Maps and lists inside one another. */
  depth: 120,
  /** Lines and commas of a config or an orb: what makes YAML slow to read. */
  separators: 150_000,
  /** Nodes of a config with its aliases written out. */
  nodes: 400_000,
  /** Work of an expansion: nodes, calls of commands (eight each) and, per 64, characters that templates make. */
  expansion: 1_000_000,
  /** Characters of one text that a template makes. */
  string: 1_000_000,
  /** Jobs of one matrix. */
  matrix: 10_000,
  /** Lists of steps inside one another, over all commands that call one another. */
  steps: 250,
  /** Commands that call one another. */
  calls: 60,
  /** Orbs of a config, those of its orbs included. */
  orbs: 200,
} as const;
