/** A config that gives a finding of a certain code. It stands in the documentation, and is tested. */
export interface Example {
  config: string;
  /** What else is to be known: orbs by reference, and references that can't be had. */
  orbs?: Record<string, string>;
  refused?: "unavailable" | "forbidden";
  /** Codes that come with it. */
  also?: string[];
  /** What to do instead, where the finding's own hint leaves something to be said. */
  advice?: string;
}

/** A config of one job, which the examples differ from in one place only. */
export function oneJob(steps: string, rest = ""): string {
  return `version: 2.1
jobs:
  build:
    docker: [{image: cimg/base:stable}]
    steps:
${indent(steps, 6)}
${rest}workflows:
  main:
    jobs: [build]
`;
}

/** A config whose job is fine, and whose workflow is what it is about. */
export function oneWorkflow(jobs: string): string {
  return `version: 2.1
jobs:
  build: &job
    docker: [{image: cimg/base:stable}]
    steps: [checkout]
  test: *job
workflows:
  main:
    jobs:
${indent(jobs, 6)}
`;
}

function indent(text: string, spaces: number): string {
  return text.trimEnd().replace(/^/gm, " ".repeat(spaces));
}
