import { type Example, oneJob } from "./example.ts";

const greet = `commands:
  greet:
    parameters:
      name: {type: string}
    steps:
      - run: echo << parameters.name >>
`;

/** About parameters, arguments, templates and conditions. */
export const valueExamples = {
  "missing-argument": { config: oneJob("- greet", greet) },
  "unexpected-argument": { config: oneJob("- greet: {name: Ada, nmae: Ada}", greet) },
  "argument-type": {
    config: oneJob("- greet: {name: 42}", greet),
    advice: 'A number as text is written in quotes: `"42"`.',
  },
  "bad-parameter": { config: oneJob("- greet", greet.replace("{type: string}", "{type: string, default: 42}")) },
  "reserved-parameter": {
    config: oneJob("- checkout").replace(
      "    steps:",
      "    parameters:\n      name: {type: string, default: x}\n    steps:",
    ),
  },
  "undeclared-parameter": {
    config: oneJob("- greet: {name: Ada}", greet.replace("parameters.name", "parameters.nmae")),
  },
  "unknown-variable": { config: oneJob("- run: echo << pipeline.git.brunch >>") },
  "bad-template": { config: oneJob("- run: |\n    <<# pipeline.git.branch >> echo on a branch") },
  "bad-expression": { config: oneJob("- run: echo << pipeline.git.branch = 1 >>") },
  "bad-condition": { config: oneJob("- when:\n    condition: {equals: [1, 1]}\n    steps: [checkout]") },
  "bad-pattern": {
    config: oneJob('- when:\n    condition: {matches: {pattern: "(", value: x}}\n    steps: [checkout]'),
  },
  "always-true": {
    config: oneJob("- checkout").replace(
      "    jobs: [build]",
      '    when: << pipeline.git.branch >> == "main"\n    jobs: [build]',
    ),
    advice: 'Write the expression bare: `when: pipeline.git.branch == "main"`.',
  },
} satisfies Record<string, Example>;
